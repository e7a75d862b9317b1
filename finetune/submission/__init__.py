"""Submissions: from a prediction table and a challenge's list of images to checked files."""
