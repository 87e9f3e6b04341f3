"""The road itself: one verb a file, each a typed function that returns a frozen Result."""
