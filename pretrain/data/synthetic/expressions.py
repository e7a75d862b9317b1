"""The expression classes: where they lie in the VA plane, which AUs and signs they show.

Source: class means of AffectNet; AU table of Du, Tao & Martinez, "Compound facial expressions of
emotion", PNAS 2014.
"""

import numpy as np

from pretrain.data.drawing.state import ACTION_UNITS, SIGNS

CLASS_MEANS = {
    # Valence and arousal. AffectNet; "Other" is ours, calm and weary, between neutral and sadness.
    "Neutral": (-0.02, -0.02),
    "Anger": (-0.43, 0.55),
    "Disgust": (-0.68, 0.45),
    "Fear": (-0.12, 0.76),
    "Happiness": (0.67, 0.08),
    "Sadness": (-0.63, -0.27),
    "Surprise": (0.18, 0.70),
    "Other": (-0.10, -0.50),
}
ACTION_TABLE: dict[str, dict[int, float]] = {
    # Du et al. 2014: 1 is prototypical, less is the share of subjects that show it. AU11 of
    # sadness is left out (not drawn). "Other" is ours: a one-sided smirk is its sign, not an AU.
    "Anger": {4: 1, 7: 1, 24: 1, 10: 0.26, 17: 0.52, 23: 0.29},
    "Disgust": {9: 1, 10: 1, 17: 1, 4: 0.31, 24: 0.26},
    "Fear": {1: 1, 4: 1, 20: 1, 25: 1, 2: 0.57, 5: 0.63, 26: 0.33},
    "Happiness": {12: 1, 25: 1, 6: 0.51},
    "Sadness": {4: 1, 15: 1, 1: 0.60, 6: 0.50, 17: 0.67},
    "Surprise": {1: 1, 2: 1, 25: 1, 26: 1, 5: 0.66},
}
AU_EFFECT = {
    # What an AU adds to (valence, arousal) beyond the class means, at full intensity. Ours.
    1: (-0.03, 0.03),
    4: (-0.08, 0.02),
    5: (0.0, 0.10),
    6: (0.06, 0.02),
    9: (-0.06, 0.04),
    12: (0.10, 0.03),
    15: (-0.08, -0.05),
    20: (-0.05, 0.06),
    25: (0.0, 0.08),
    26: (0.0, 0.10),
}
EXPRESSION_SIGN = {
    "Happiness": "smile_lines",
    "Sadness": "tears",
    "Fear": "sweat",
    "Anger": "flare",
    "Disgust": "tongue",
    "Surprise": "pout",
    "Other": "smirk",
}
LOWER_FACE = frozenset({10, 12, 15, 17, 20, 23, 24, 25, 26})

# The same as arrays: rows in the order of EXPRESSIONS, AUs in the order of ACTION_UNITS.
EXPRESSIONS = tuple(CLASS_MEANS)
PROTOTYPES = np.array(list(CLASS_MEANS.values()))
ACTION_MATRIX = np.array(
    [[ACTION_TABLE.get(e, {}).get(u, 0.0) for u in ACTION_UNITS] for e in EXPRESSIONS]
)
SIGN_MATRIX = np.array([[float(EXPRESSION_SIGN.get(e) == s) for s in SIGNS] for e in EXPRESSIONS])
IN_LOWER_FACE = np.array([float(u in LOWER_FACE) for u in ACTION_UNITS])
AU_EFFECT_MATRIX = np.array([AU_EFFECT.get(u, (0.0, 0.0)) for u in ACTION_UNITS])
