"""The prediction table: what a model says of a list of images, as a Parquet file.

Models write it; scoring, thresholds, smoothing, ensembles, submissions and reports read it, years
later as well, without a model. A row is a listed image, in the order of the list, duplicates kept:

    image                 its path, as the list has it
    video, frame          where the list has videos
    valence, arousal      in [-1, 1]
    expression_<Name>     a probability a class; a row adds up to 1
    AU<n>                 the probability that the action unit is there
    filled                where a row was filled afterwards: how

A task that the model does not know has no columns. A row without any prediction (no face was
found, the image is absent) is null in all of them; there is no row with a few. The file's metadata
(key ``faceprior``) holds the label spaces, thresholds, class biases and :class:`About`; a table
without it has the label spaces of its columns, thresholds of 0.5 and no biases.
"""

from finetune.table.about import About, Step
from finetune.table.parquet import read_table, write_table
from finetune.table.rows import PredictionTable, TableError

__all__ = ["About", "PredictionTable", "Step", "TableError", "read_table", "write_table"]
