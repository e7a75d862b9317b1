"""Label files of published collections: one reader each, all giving the same annotations.

A reader is a module with ``SPLITS``, the splits that its files have, and ``read(root, split)``.
"""
