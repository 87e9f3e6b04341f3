"""A package, so that its test modules may share names with those of the other folders."""
