"""From a prediction table to a better one: arithmetic on what models said, without any model.

The steps, in the one order that makes sense:

1. :mod:`.ensembling`, several models of the same images, or :mod:`.joining`, other images each:
   every later step sees one prediction a row;
2. :mod:`.filling`: rows without a face, from other frames of their video;
3. :mod:`.smoothing`: over the frames of a video; filled rows are smoothed and smooth nothing;
4. :mod:`.decisions`: thresholds and biases, chosen for predictions as the steps before left them.

Every step is a function from tables to a table, changes nothing that it is given, and writes into
``about.steps`` what it did with which settings and on whose labels these were fitted. Settings are
chosen by :mod:`.fitting`, judged by :mod:`.crossfit` and kept as :mod:`.rules`.

Legend: n rows, m frames, C columns, K expressions, A action units, M members of an ensemble.
"""
