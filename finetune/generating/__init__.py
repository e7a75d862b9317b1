"""Faces drawn by a generator: for what, how good, how many kinds."""
