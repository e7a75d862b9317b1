"""From latent normals to a face: expression, AUs, VA and the cues of its hidden part."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pretrain.data.drawing.state import ACTION_UNITS, FaceState
from pretrain.data.synthetic.config import STYLES, SyntheticConfig
from pretrain.data.synthetic.expressions import (
    AU_EFFECT_MATRIX,
    EXPRESSIONS,
    IN_LOWER_FACE,
    PROTOTYPES,
    SIGN_MATRIX,
)
from pretrain.data.synthetic.subjects import Subject

Array = NDArray[np.float64]

_OPEN, _DROP = ACTION_UNITS.index(25), ACTION_UNITS.index(26)
# Mean and standard deviation of f in the wild style, so that VA spreads alike for every rho.
_SCORE_MEAN = np.array([-0.07, 0.24])
_SCORE_SD = np.array([0.47, 0.43])
_CORE_MEAN = np.array([-0.02, 0.12])
_CORE_SD = np.array([0.48, 0.42])
_SHARPNESS = 0.14  # distance in the VA plane at which closeness to a prototype has fallen to 0.61


@dataclass(frozen=True, kw_only=True, eq=False)
class Latents:
    """The state behind one instant: independent standard normals, and a class for posed stills.

    Attributes:
        core: [2] state that expression, AUs and VA can share.
        expression: [2] state of the expression alone.
        action_units: [2] state of the AUs alone.
        hidden: [2] the part of VA that only gaze, lids, blush and droop show.
        residual: [16] spontaneous AU activity.
        speech: one number, speech opens the mouth.
        gaze: one number, horizontal gaze: nuisance.
        posed: class indices that a posed still aims at, for the expression and for the AUs.
    """

    core: Array
    expression: Array
    action_units: Array
    hidden: Array
    residual: Array
    speech: float
    gaze: float
    posed: tuple[int, int]


def face_state(latents: Latents, who: Subject, config: SyntheticConfig) -> FaceState:
    """What a subject's face shows in a latent state; deterministic."""
    coupling, style = config.task_coupling, STYLES[config.style]
    shared, alone = np.sqrt(coupling), np.sqrt(1 - coupling)
    z = shared * latents.core + alone * np.stack((latents.expression, latents.action_units))
    if style.posed:
        point, other = PROTOTYPES[list(latents.posed)] + 0.10 * z
    else:
        point, other = _CORE_MEAN + _CORE_SD * z
    probabilities = closeness(point)
    moving = probabilities if coupling == 1 else closeness(other)

    wide = config.redundancy == "wide"
    table = who.habits if wide else who.habits * IN_LOWER_FACE
    units = who.gain * style.gain * (moving @ table)
    units *= 1 + 0.10 * latents.residual
    units += 0.40 * np.maximum(latents.residual - 0.6, 0)
    units[_OPEN] += 0.5 * max(latents.speech - 0.5, 0.0)
    units[_DROP] += 0.35 * max(latents.speech - 1.0, 0.0)
    units = np.clip(units, 0.0, 1.0)

    # Normalised to a constant spread: rho changes what is known of VA, not how much VA moves.
    rho = config.score_sufficiency * coupling
    known = (score_valence_arousal(probabilities, units) - _SCORE_MEAN) * rho
    unknown = _SCORE_SD * latents.hidden * (1 - rho)
    affect = _SCORE_MEAN + (known + unknown) / np.sqrt(rho**2 + (1 - rho) ** 2)
    valence, arousal = np.clip(affect, -1.0, 1.0).tolist()
    pleasant, awake = np.tanh(latents.hidden / 1.4).tolist()
    return FaceState(
        expression=EXPRESSIONS[int(probabilities.argmax())],
        probabilities=probabilities,
        action_units=units,
        valence=valence,
        arousal=arousal,
        signs=np.minimum((probabilities @ SIGN_MATRIX) * style.gain, 1.0),
        hidden=latents.hidden,
        gaze=(float(np.tanh(0.5 * latents.gaze)), pleasant),
        lids=awake,
        blush=pleasant if wide else 0.0,
        droop=-awake if wide else 0.0,
        low_signs=not wide,
    )


def heard_arousal(shown: float, voice: float, share: float) -> float:
    """Arousal of which a share of the variance is told by the voice alone, a standard normal."""
    mean, spread = float(_SCORE_MEAN[1]), float(_SCORE_SD[1])
    mixed = mean + np.sqrt(1 - share) * (shown - mean) + np.sqrt(share) * spread * voice
    return float(np.clip(mixed, -1, 1))


def closeness(point: Array) -> Array:
    """[8] softmax of the (negative squared) distances of a VA point to the class prototypes."""
    distance = ((PROTOTYPES - point) ** 2).sum(1) / (2 * _SHARPNESS**2)
    weight = np.exp(distance.min() - distance)
    return np.asarray(weight / weight.sum())


def score_valence_arousal(probabilities: Array, action_units: Array) -> Array:
    """f: what expression and AU scores say of VA. [..., 8] and [..., 16] -> [..., 2]."""
    return np.asarray(probabilities @ PROTOTYPES + action_units @ AU_EFFECT_MATRIX)
