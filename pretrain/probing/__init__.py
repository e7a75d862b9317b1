"""Probes: what frozen features know of labels that no pretraining has seen.

`config` (what is probed), `people` (who is probed, and whom pretraining has seen), `images` (the
probed images and their labels), `features` (from images to numbers, by an encoder or without one),
`linear` (from features to scores over folds of people), `report` (records, table, plot).
"""
