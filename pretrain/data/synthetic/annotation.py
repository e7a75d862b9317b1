"""From the true state of a face to what annotators record: noise, confusion, missing labels."""

import numpy as np
from numpy.typing import NDArray

from pretrain.data.drawing.state import ACTION_UNITS, FaceState

Labels = dict[str, str | float | None]
"""Label by name (`valence`, `arousal`, `expression`, `AU1`, ...); None is a missing label."""

PRESENT = 0.4
"""AU intensity from which an AU is present."""

RATERS = 4
RATER_SD = np.array([0.25, 0.40])
"""Spread of one rater's error, valence and arousal."""

NEIGHBOURS = (("Fear", "Surprise"), ("Anger", "Disgust"), ("Neutral", "Sadness", "Other"))
"""Expressions that are taken for one another."""

CONFUSION = 0.25
"""Share of the expressions with neighbours that are confused."""

LABELLED = (
    # Share of images that carry (VA, expression, AUs): VA 73 %, expression 64 %, AUs 73 %,
    # all three 37 %, nothing 0 %.
    (0.37, (True, True, True)),
    (0.10, (False, True, True)),
    (0.16, (True, False, True)),
    (0.10, (True, True, False)),
    (0.10, (False, False, True)),
    (0.07, (False, True, False)),
    (0.10, (True, False, False)),
)


def annotate(state: FaceState, noise: NDArray[np.float64], u: list[float]) -> Labels:
    """The labels of a state, none missing.

    VA is the mean of four raters, clipped to [-1, 1]. A quarter of the expressions is confused
    with a neighbour (fear/surprise, anger/disgust, neutral/sadness/other; happiness has none). An
    AU that is present is missed with a probability that falls from 0.5 at intensity 0.4 to 0 at
    0.7; an absent one is never reported.

    Args:
        state: the truth.
        noise: [8] standard normals, the raters' errors.
        u: [18 or more] uniforms, for the confusion and for the AUs.
    """
    error = (noise.reshape(RATERS, 2) * RATER_SD).mean(0)
    valence, arousal = np.clip(np.array([state.valence, state.arousal]) + error, -1, 1).tolist()
    expression = state.expression
    for group in NEIGHBOURS:
        if expression in group and u[0] < CONFUSION:
            others = [name for name in group if name != expression]
            expression = others[int(u[1] * len(others))]
            break
    labels: Labels = {"valence": valence, "arousal": arousal, "expression": expression}
    for unit, strength, chance in zip(
        ACTION_UNITS, state.action_units.tolist(), u[2:18], strict=True
    ):
        labels[f"AU{unit}"] = float(strength >= PRESENT and chance >= miss_rate(strength))
    return labels


def miss_rate(intensity: float) -> float:
    """Probability that annotators miss a present AU of an intensity in [0.4, 1]."""
    return 0.5 * min(max((0.7 - intensity) / 0.3, 0.0), 1.0)


def withhold(labels: Labels, u: float, overlap: bool = True) -> Labels:
    """The labels with whole tasks set to None, in the shares of `LABELLED`.

    Args:
        labels: all of them.
        u: a uniform.
        overlap: whether an image keeps both an expression and AUs; if not, either is withheld.
    """
    place = int(np.searchsorted(np.cumsum([share for share, _ in LABELLED]), u * 0.999999))
    affect, expression, action_units = LABELLED[place][1]
    if expression and action_units and not overlap:
        expression = u * 1000 % 1 < 0.5
        action_units = not expression
    kept = {"valence": affect, "arousal": affect, "expression": expression}
    return {name: v if kept.get(name, action_units) else None for name, v in labels.items()}
