"""Packs: images checked once, in few files that open and read quickly.

`format` (what is on the disk), `pack` (from a source to a pack), `stored` (one image: decoded,
fitted, encoded), `workers` (many at a time, in order), `writer` (shards, committed whole),
`report` and `near_duplicates` (what a person reads afterwards), `verify` (the check).
:class:`pretrain.data.shards.ShardSource` reads a pack.
"""
