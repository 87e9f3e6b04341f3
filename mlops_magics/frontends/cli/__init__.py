"""The `mlops` command, built from the signatures of the steps."""
