"""What any method could reach on the labels of the drawn faces."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pretrain.data.drawing.state import ACTION_UNITS
from pretrain.data.synthetic.affect import score_valence_arousal
from pretrain.data.synthetic.annotation import PRESENT
from pretrain.data.synthetic.config import SyntheticConfig
from pretrain.data.synthetic.expressions import EXPRESSIONS
from pretrain.data.synthetic.faces import SyntheticFaces


def ceilings(config: SyntheticConfig, samples: int = 20_000) -> dict[str, float]:
    """The best scores that any method could reach on the labels, measured on simulated states.

    From `scores`: a method that knows the true expression probabilities and AU intensities, and
    nothing else. From `latents`: one that also knows the true VA. Both face the label noise.

    VA: the best CCC over all functions of what is known is the correlation of the label with its
    conditional mean (rescaled to the label's spread). The hidden part is independent of the
    scores, so that mean depends on them only through f: it is estimated in 100 quantile bins of f
    and, for all latents, of the true value.
    Expressions: Bayes' rule, which is the true class (three quarters of the labels keep it).
    AUs: the threshold on the intensity with the best F1 per AU, then the mean over the AUs.

    Args:
        config: the dials; its count is ignored.
        samples: number of simulated images; 20,000 take a few seconds.

    Returns:
        Scores in [0, 1] by name: `scores/ccc_valence`, `scores/ccc_arousal`,
        `latents/ccc_valence`, `latents/ccc_arousal`, `expression_accuracy`,
        `expression_macro_f1`, `action_unit_f1` (the last three hold for both).
    """
    faces = SyntheticFaces(replace(config, count=samples))
    f, truth, target = np.empty((3, samples, 2))
    units, unit_labels = np.empty((2, samples, len(ACTION_UNITS)))
    classes, class_labels = np.empty((2, samples), dtype=np.int64)
    for i in range(samples):
        state, noted = faces.state_and_all_labels(i)
        f[i] = score_valence_arousal(state.probabilities, state.action_units)
        truth[i] = state.valence, state.arousal
        target[i] = noted["valence"], noted["arousal"]
        units[i] = state.action_units
        unit_labels[i] = [noted[f"AU{unit}"] for unit in ACTION_UNITS]
        classes[i] = EXPRESSIONS.index(state.expression)
        class_labels[i] = EXPRESSIONS.index(str(noted["expression"]))
    result: dict[str, float] = {}
    for known, values in (("scores", f), ("latents", truth)):
        for k, name in enumerate(("valence", "arousal")):
            best = _best_correlation(values[:, k], target[:, k], bins=50)
            result[f"{known}/ccc_{name}"] = best
    result["expression_accuracy"] = float((classes == class_labels).mean())
    per_class = [_f1(classes == k, class_labels == k) for k in np.unique(class_labels)]
    result["expression_macro_f1"] = float(np.mean(per_class))
    per_unit = [
        max(_f1(units[:, k] >= cut, unit_labels[:, k] > 0) for cut in np.linspace(PRESENT, 0.7, 31))
        for k in range(len(ACTION_UNITS))
    ]
    result["action_unit_f1"] = float(np.mean(per_unit))
    return result


def _best_correlation(known: NDArray[np.float64], target: NDArray[np.float64], bins: int) -> float:
    """Correlation of the target with its mean per quantile bin, fitted on the other half."""
    edges = np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])
    place = np.searchsorted(edges, known)
    fit, held = place[::2], place[1::2]
    total = np.bincount(fit, target[::2], bins)
    mean = total / np.maximum(np.bincount(fit, minlength=bins), 1)
    return float(np.corrcoef(mean[held], target[1::2])[0, 1])


def _f1(predicted: NDArray[np.bool_], target: NDArray[np.bool_]) -> float:
    hits = float((predicted & target).sum())
    return 2 * hits / max(float(predicted.sum() + target.sum()), 1.0)
