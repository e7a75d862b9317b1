"""The systems that can be trained: for each its options, its model and its objective."""
