"""Models on databases: which, what they have seen of them, and one table of all scores."""
