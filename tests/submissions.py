"""Small predictions and the submissions that they have to become, both typed by hand."""

from collections import defaultdict

import numpy as np

from finetune.labels import ActionUnitSpace, ExpressionSpace
from finetune.table import PredictionTable

#: Image, expression, valence, arousal, action units that are there. Three rows have one image; every
#: class and every action unit has another count.
ROWS = """\
v2/00001.jpg Neutral 0.5 -0.25 26
v2/00004.jpg Anger -1 1 25 26
v2/00007.jpg Disgust 0.0000001 -0.0000001 24 25 26
v2/00010.jpg Fear 0.1234567 -0.7654321 23 24 25 26
v2/00013.jpg Happiness 0.9999999 0.0000004 15 23 24 25 26
v2/00016.jpg Sadness -0.0000004 0.25 12 15 23 24 25 26
v2/00019.jpg Surprise -0.524 0.088 10 12 15 23 24 25 26
v2/00007.jpg Other -0.26 0.208 7 10 12 15 23 24 25 26
v2/00025.jpg Neutral 0.251 -0.869 6 7 10 12 15 23 24 25 26
v2/00028.jpg Disgust -0.974 0.675 4 6 7 10 12 15 23 24 25 26
v2/00031.jpg Fear -0.481 -0.531 2 4 6 7 10 12 15 23 24 25 26
v2/00034.jpg Happiness 0.991 -0.059 1 2 4 6 7 10 12 15 23 24 25 26
v2/00037.jpg Sadness 0.673 -0.047
v2/00040.jpg Surprise 0.278 -0.699
v2/00043.jpg Other 0.27 0.736
v2/00046.jpg Neutral 0.046 0.483
v2/00049.jpg Disgust 0.343 -0.872
v2/00052.jpg Happiness 0.516 0.182
v2/00055.jpg Sadness -0.397 -0.938
v2/00058.jpg Surprise 0.731 -0.055
v1/00001.jpg Other 0.438 0.758
v1/00003.jpg Disgust 0.428 0.842
v1/00005.jpg Happiness -0.21 0.602
v1/00007.jpg Sadness -0.111 0.871
v1/00009.jpg Surprise 0.758 -0.805
v1/00011.jpg Other -0.728 -0.566
v1/00013.jpg Disgust 0.931 -0.128
v1/00015.jpg Happiness 0.253 -0.398
v1/00017.jpg Sadness 0.014 -0.228
v1/00019.jpg Other -0.298 0.17
v2/00007.jpg Disgust 0.169 0.808
v1/00023.jpg Happiness 0.364 0.858
v1/00025.jpg Other 0.713 0.982
v1/00027.jpg Disgust 0.343 -0.674
v1/00029.jpg Happiness 0.721 0.929
v1/00031.jpg Happiness 0.809 0.138
"""

#: What ``abaw_mtl`` wants to have of them, below its header.
MTL_ROWS = """\
v2/00001.jpg,0.500000,-0.250000,0,0,0,0,0,0,0,0,0,0,0,0,1
v2/00004.jpg,-1.000000,1.000000,1,0,0,0,0,0,0,0,0,0,0,1,1
v2/00007.jpg,0.000000,0.000000,2,0,0,0,0,0,0,0,0,0,1,1,1
v2/00010.jpg,0.123457,-0.765432,3,0,0,0,0,0,0,0,0,1,1,1,1
v2/00013.jpg,1.000000,0.000000,4,0,0,0,0,0,0,0,1,1,1,1,1
v2/00016.jpg,0.000000,0.250000,5,0,0,0,0,0,0,1,1,1,1,1,1
v2/00019.jpg,-0.524000,0.088000,6,0,0,0,0,0,1,1,1,1,1,1,1
v2/00007.jpg,-0.260000,0.208000,7,0,0,0,0,1,1,1,1,1,1,1,1
v2/00025.jpg,0.251000,-0.869000,0,0,0,0,1,1,1,1,1,1,1,1,1
v2/00028.jpg,-0.974000,0.675000,2,0,0,1,1,1,1,1,1,1,1,1,1
v2/00031.jpg,-0.481000,-0.531000,3,0,1,1,1,1,1,1,1,1,1,1,1
v2/00034.jpg,0.991000,-0.059000,4,1,1,1,1,1,1,1,1,1,1,1,1
v2/00037.jpg,0.673000,-0.047000,5,0,0,0,0,0,0,0,0,0,0,0,0
v2/00040.jpg,0.278000,-0.699000,6,0,0,0,0,0,0,0,0,0,0,0,0
v2/00043.jpg,0.270000,0.736000,7,0,0,0,0,0,0,0,0,0,0,0,0
v2/00046.jpg,0.046000,0.483000,0,0,0,0,0,0,0,0,0,0,0,0,0
v2/00049.jpg,0.343000,-0.872000,2,0,0,0,0,0,0,0,0,0,0,0,0
v2/00052.jpg,0.516000,0.182000,4,0,0,0,0,0,0,0,0,0,0,0,0
v2/00055.jpg,-0.397000,-0.938000,5,0,0,0,0,0,0,0,0,0,0,0,0
v2/00058.jpg,0.731000,-0.055000,6,0,0,0,0,0,0,0,0,0,0,0,0
v1/00001.jpg,0.438000,0.758000,7,0,0,0,0,0,0,0,0,0,0,0,0
v1/00003.jpg,0.428000,0.842000,2,0,0,0,0,0,0,0,0,0,0,0,0
v1/00005.jpg,-0.210000,0.602000,4,0,0,0,0,0,0,0,0,0,0,0,0
v1/00007.jpg,-0.111000,0.871000,5,0,0,0,0,0,0,0,0,0,0,0,0
v1/00009.jpg,0.758000,-0.805000,6,0,0,0,0,0,0,0,0,0,0,0,0
v1/00011.jpg,-0.728000,-0.566000,7,0,0,0,0,0,0,0,0,0,0,0,0
v1/00013.jpg,0.931000,-0.128000,2,0,0,0,0,0,0,0,0,0,0,0,0
v1/00015.jpg,0.253000,-0.398000,4,0,0,0,0,0,0,0,0,0,0,0,0
v1/00017.jpg,0.014000,-0.228000,5,0,0,0,0,0,0,0,0,0,0,0,0
v1/00019.jpg,-0.298000,0.170000,7,0,0,0,0,0,0,0,0,0,0,0,0
v2/00007.jpg,0.169000,0.808000,2,0,0,0,0,0,0,0,0,0,0,0,0
v1/00023.jpg,0.364000,0.858000,4,0,0,0,0,0,0,0,0,0,0,0,0
v1/00025.jpg,0.713000,0.982000,7,0,0,0,0,0,0,0,0,0,0,0,0
v1/00027.jpg,0.343000,-0.674000,2,0,0,0,0,0,0,0,0,0,0,0,0
v1/00029.jpg,0.721000,0.929000,4,0,0,0,0,0,0,0,0,0,0,0,0
v1/00031.jpg,0.809000,0.138000,4,0,0,0,0,0,0,0,0,0,0,0,0
"""

MTL_HEADER = "image,valence,arousal,expression,aus\n"

#: Spaces in none of the orders that a challenge has, with classes and units that none of them has.
EXPRESSIONS = ExpressionSpace(
    "ours",
    (
        *("Surprise", "Contempt", "Other", "Anger", "Fear"),
        *("Neutral", "Sadness", "Happiness", "Disgust"),
    ),
)
UNITS = ActionUnitSpace("ours", (26, 5, 1, 24, 2, 12, 6, 4, 45, 7, 23, 15, 10, 25, 20))


def table(rows=ROWS, expressions=EXPRESSIONS, units=UNITS, **changes):
    """A table of rows as above, its probabilities far from a tie; None leaves a task out."""
    cells = [row.split() for row in rows.splitlines()]
    columns = {
        "images": [row[0] for row in cells],
        "valence_arousal": np.array([[float(cell) for cell in row[2:4]] for row in cells]),
    }
    if expressions is not None:
        scores = np.full((len(cells), len(expressions)), 0.4 / (len(expressions) - 1))
        for row, cell in zip(scores, cells, strict=True):
            row[expressions.classes.index(cell[1])] = 0.6
        columns |= {"expression": scores, "expression_space": expressions}
    if units is not None:
        there = [[str(unit) in row[4:] for unit in units.units] for row in cells]
        columns |= {
            "action_units": np.where(there, 0.75, 0.25),
            "action_unit_space": units,
        }
    return PredictionTable(**(columns | changes))


def shuffled(predictions, seed=5):
    """In another order, but for rows of one image, whose order says which is which."""
    order = np.random.default_rng(seed).permutation(len(predictions))
    places = defaultdict(list)
    for place, row in enumerate(order.tolist()):
        places[predictions.images[row]].append(place)
    for same in places.values():
        order[same] = np.sort(order[same])
    return predictions.select(order)


def images(rows=ROWS):
    """The listed images."""
    return [row.split()[0] for row in rows.splitlines()]


def bare_list(names=None):
    """A template without header."""
    return "".join(f"{name}\n" for name in (images() if names is None else names))
