"""Drawn faces with labels: the default data, with named dials and known ceilings.

If valence and arousal (VA) simply followed from expression and action units (AUs), a method that
predicts VA from their scores would be right by construction. So what each label shares with the
others is a dial, and `ceilings` measures what any method could reach.

The state of a face is a set of independent standard normals (`Latents`): a still draws them once,
from the stationary distribution; a video may let them wander (Ornstein-Uhlenbeck) and passes them
to the same `face_state`.

    expression    softmax of closeness to the class prototypes in the VA plane
    AUs           Du, Tao & Martinez (PNAS 2014) x gain + residual + speech on AU25/26
    VA            rho * f(expression, AUs) + (1 - rho) * hidden, rescaled to a constant spread;
                  hidden shows only in gaze, lids, blush and head droop

Dials of `SyntheticConfig`: `task_coupling` (how much the three share: the states behind expression
and AUs correlate by it, and rho becomes rho * coupling), `score_sufficiency` (rho) and
`redundancy` ("local": what expression moves shows from the nose downward only and the hidden part
of VA in the eyes only, other AUs keep their residual; "wide": all over the face).

An expression also has a sign of its own that is no AU (smile lines, tears, ...), else it could not
be seen at task coupling 0. At coupling 0 rho has no effect: VA is the hidden part alone.

Ceilings, measured with `ceilings(SyntheticConfig(score_sufficiency=rho), samples=60_000)`: the
best CCC on noisy labels from the true expression and AU scores alone, and from all latents.

    rho                          0.3           0.6           1
    scores, valence / arousal    .381 / .360   .808 / .760   .967 / .910
    latents, valence / arousal   .965 / .901   .966 / .905   .967 / .910

At every rho, given either: expression accuracy .794 and macro F1 .768, mean AU F1 .938. Pixels
know less than the latents (occluders, blur, small size), so a model stays below these.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import overload

import numpy as np
from numpy.typing import NDArray

from pretrain.data.drawing import (
    ACTION_UNITS,
    BACKDROPS,
    BEARDS,
    HAIR_STYLES,
    OCCLUDERS,
    SIGNS,
    Colour,
    FaceState,
    Look,
    Scene,
    draw_face,
    mix,
)

Array = NDArray[np.float64]
EXPRESSIONS = (
    *("Neutral", "Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise", "Other"),
)
SPLITS = ("pretrain", "cnn", "train", "development", "test")
SUBJECTS_PER_SPLIT = 100_000
PRESENT = 0.4
"""AU intensity from which an AU is present."""

PROTOTYPES = np.array(
    # AffectNet's class means; "Other" is ours, calm and weary, between neutral and sadness.
    [
        *((-0.02, -0.02), (-0.43, 0.55), (-0.68, 0.45), (-0.12, 0.76)),
        *((0.67, 0.08), (-0.63, -0.27), (0.18, 0.70), (-0.10, -0.50)),
    ]
)
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
NEIGHBOURS = (("Fear", "Surprise"), ("Anger", "Disgust"), ("Neutral", "Sadness", "Other"))
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
RATERS = 4
RATER_SD = np.array([0.25, 0.40])
CONFUSION = 0.25
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


@dataclass(frozen=True, kw_only=True)
class Style:
    """What distinguishes one kind of recording.

    Attributes:
        gain: factor on the AUs that an expression moves.
        posed: whether images gather around the class prototypes (else they roam the VA plane).
        yaw: standard deviation of the head turn in degrees, cut at 40.
        roll: standard deviation of the head tilt in degrees.
        occluded: share of images with an occluder.
        degraded: share of images with blur, and of images with a JPEG round trip.
        grain: mean grain in grey levels.
    """

    gain: float
    posed: bool
    yaw: float
    roll: float
    occluded: float
    degraded: float
    grain: float


STYLES = {
    "posed": Style(gain=1.15, posed=True, yaw=4, roll=2, occluded=0, degraded=0.1, grain=2),
    "wild": Style(gain=1.0, posed=False, yaw=16, roll=7, occluded=0.15, degraded=0.3, grain=3),
    "exaggerated": Style(gain=1.4, posed=False, yaw=10, roll=8, occluded=0.05, degraded=0, grain=0),
}


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """Which drawn faces, and what their labels share.

    Attributes:
        count: number of images.
        size: pixels a side, 32..512.
        subjects: number of subjects the images are spread over, 1..100000.
        split: pretrain, cnn, train, development or test; no subject is in two of them.
        style: posed (stills near the class prototypes), wild or exaggerated.
        task_coupling: 0, 0.5 or 1: how much expression, AUs and VA share.
        score_sufficiency: rho, 0.3, 0.6 or 1: what expression and AU scores can know of VA.
        redundancy: local (affect shows in one region) or wide (face-wide).
        seed: seed of everything, 0 or more.
    """

    count: int = 20_000
    size: int = 64
    subjects: int = 400
    split: str = "pretrain"
    style: str = "wild"
    task_coupling: float = 1.0
    score_sufficiency: float = 0.6
    redundancy: str = "wide"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values outside the documented ranges."""
        for name, low, high in (
            ("count", 1, 10**9),
            ("size", 32, 512),
            ("subjects", 1, SUBJECTS_PER_SPLIT),
            ("seed", 0, 2**63),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ValueError(f"{name} {value!r}, expected an integer in {low}..{high}")
        for name, choices in (
            ("split", SPLITS),
            ("style", tuple(STYLES)),
            ("task_coupling", (0.0, 0.5, 1.0)),
            ("score_sufficiency", (0.3, 0.6, 1.0)),
            ("redundancy", ("local", "wide")),
        ):
            value = getattr(self, name)
            if value not in choices:
                options = ", ".join(str(choice) for choice in choices)
                raise ValueError(f"{name} {value!r}, expected one of {options}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A person: how they look and how they express.

    Attributes:
        name: unique over all splits, e.g. "s000012".
        look: appearance.
        gain: expressivity, a factor on AU intensities.
        habits: [8, 16] which AUs this person shows with which expression, 0 or 1.
    """

    name: str
    look: Look
    gain: float
    habits: Array


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


_TABLE = np.array(
    [[ACTION_TABLE.get(e, {}).get(u, 0.0) for u in ACTION_UNITS] for e in EXPRESSIONS]
)
_SIGN_TABLE = np.array([[float(EXPRESSION_SIGN.get(e) == s) for s in SIGNS] for e in EXPRESSIONS])
_LOWER = np.array([float(u in LOWER_FACE) for u in ACTION_UNITS])
_AU_EFFECT = np.array([AU_EFFECT.get(u, (0.0, 0.0)) for u in ACTION_UNITS])
_OPEN, _DROP = ACTION_UNITS.index(25), ACTION_UNITS.index(26)
# Mean and standard deviation of f in the wild style, so that the spread of VA is one for every rho.
_SCORE_MEAN = np.array([-0.07, 0.24])
_SCORE_SD = np.array([0.47, 0.43])
_CORE_MEAN = np.array([-0.02, 0.12])
_CORE_SD = np.array([0.48, 0.42])
_SHARPNESS = 0.14  # distance in the VA plane at which closeness to a prototype has fallen to 0.61


def closeness(point: Array) -> Array:
    """[8] softmax of the (negative squared) distances of a VA point to the class prototypes."""
    distance = ((PROTOTYPES - point) ** 2).sum(1) / (2 * _SHARPNESS**2)
    weight = np.exp(distance.min() - distance)
    return np.asarray(weight / weight.sum())


def score_valence_arousal(probabilities: Array, action_units: Array) -> Array:
    """f: what expression and AU scores say of VA. [..., 8] and [..., 16] -> [..., 2]."""
    return np.asarray(probabilities @ PROTOTYPES + action_units @ _AU_EFFECT)


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

    table, signs = who.habits, probabilities @ _SIGN_TABLE
    wide = config.redundancy == "wide"
    if not wide:
        table = table * _LOWER
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
        signs=np.minimum(signs * style.gain, 1.0),
        hidden=latents.hidden,
        gaze=(float(np.tanh(0.5 * latents.gaze)), pleasant),
        lids=awake,
        blush=pleasant if wide else 0.0,
        droop=-awake if wide else 0.0,
        low_signs=not wide,
    )


SKINS: tuple[Colour, ...] = (
    *((240, 206, 182), (234, 194, 166), (226, 182, 150), (218, 170, 132), (205, 153, 114)),
    *((190, 136, 98), (166, 112, 76), (140, 92, 62), (114, 74, 50), (90, 58, 42)),
)
HAIRS: tuple[Colour, ...] = (
    *((28, 22, 22), (44, 31, 27), (70, 46, 34), (104, 68, 44), (142, 82, 46), (160, 76, 40)),
    *((176, 118, 66), (200, 156, 96), (226, 192, 132)),
)
IRISES: tuple[Colour, ...] = (
    *((72, 46, 28), (96, 62, 34), (58, 36, 24), (122, 92, 46), (84, 112, 72)),
    *((74, 122, 158), (104, 150, 180), (108, 124, 132)),
)
ACCENTS: tuple[Colour, ...] = (
    *((42, 40, 46), (40, 70, 110), (140, 50, 60), (60, 110, 100), (150, 110, 60), (96, 70, 120)),
)
CLOTHES: tuple[Colour, ...] = (
    *((52, 66, 96), (150, 60, 58), (70, 120, 110), (196, 170, 120), (90, 84, 92), (224, 220, 212)),
    *((108, 82, 130), (214, 134, 92), (44, 46, 52)),
)
WALLS: tuple[Colour, ...] = (
    *((188, 204, 214), (222, 208, 186), (164, 186, 160), (206, 178, 176), (132, 150, 176)),
    *((96, 106, 122), (232, 228, 222), (120, 132, 112), (176, 158, 190), (70, 84, 104)),
)
GIVEN_HAIR = {  # shares of `HAIR_STYLES` by the two ways of growing up that the drawing knows
    True: (0.30, 0.18, 0.10, 0.04, 0.0, 0.12, 0.02, 0.13, 0.11, 0.0),
    False: (0.05, 0.06, 0.12, 0.27, 0.18, 0.12, 0.10, 0.02, 0.01, 0.07),
}


def _pick(options: Sequence[Colour], u: float, jitter: Array, spread: float) -> Colour:
    """A colour between two neighbours of a palette, plus a little noise."""
    place = u * (len(options) - 1)
    low = min(int(place), len(options) - 2)
    colour = mix(options[low], options[low + 1], place - low)
    # Mostly brighter or darker, a little warmer or colder: three free channels would tint greys.
    shift = spread * (jitter[0] + np.array([0.3, 0.0, -0.3]) * jitter[1])
    red, green, blue = np.clip(np.array(colour) + shift, 8, 250).round().astype(int).tolist()
    return red, green, blue


@lru_cache(maxsize=8192)
def subject(seed: int, number: int) -> Subject:
    """The subject with a number that is unique over all splits; a pure function, cached."""
    rng = np.random.Generator(np.random.PCG64((seed, 1, number)))
    u, z = rng.random(24).tolist(), rng.standard_normal(48)
    habits = (rng.random(_TABLE.shape) < _TABLE).astype(np.float64)
    n = z.tolist()
    beardable = u[0] < 0.5
    hair_style = HAIR_STYLES[int(np.searchsorted(np.cumsum(GIVEN_HAIR[beardable]), u[1] * 0.999))]
    skin = _pick(SKINS, u[2], z[0:3], 3.0)
    # Dark hair goes with every skin, fair hair mostly with fair skin.
    shade = u[3] * (1.0 if u[2] < 0.45 else 0.35)
    hair = _pick(HAIRS, shade, z[3:6], 5.0)
    age = u[4] ** 2
    if age > 0.62:
        hair = mix(hair, (205, 202, 200), min(1.0, (age - 0.5) * 1.8))
    iris = _pick(IRISES, u[5] * (1.0 if u[2] < 0.5 else 0.3), z[6:9], 6.0)
    rouge = (196, 74, 84) if not beardable else (186, 96, 88)
    lips = mix(skin, rouge, 0.45 + (0.35 * u[6] if not beardable else 0.1))
    beard = BEARDS[int(np.searchsorted((0.48, 0.66, 0.75, 0.85, 1.0), u[7]))]

    def near(index: int, spread: float) -> float:
        return 1.0 + spread * float(max(-2.0, min(2.0, n[index])))

    look = Look(
        skin=skin,
        hair=hair,
        iris=iris,
        lips=lips,
        accent=ACCENTS[int(u[8] * len(ACCENTS))],
        hair_style=hair_style,
        beard=beard if beardable else "none",
        glasses="none" if u[9] > 0.24 else "round" if u[10] < 0.55 else "square",
        jaw=near(10, 0.06) * (1.03 if beardable else 0.95),
        chin=near(11, 0.03),
        width=near(12, 0.04),
        eye_size=near(13, 0.07) * (0.98 if beardable else 1.08),
        eye_gap=near(14, 0.035),
        eye_tilt=0.02 + 0.025 * n[15],
        brow_thickness=near(16, 0.22) * (1.15 if beardable else 0.85),
        brow_arch=max(0.1, near(17, 0.4)),
        nose_width=near(18, 0.12),
        nose_length=near(19, 0.06),
        mouth_width=near(20, 0.07),
        lip_fullness=near(21, 0.18) * (0.92 if beardable else 1.12),
        age=age,
        resting_brow=max(0.0, u[11] - 0.6) * 2.2,
        resting_mouth=max(0.0, u[12] - 0.6) * 2.2,
        lashes=0.15 * u[13] if beardable else 0.4 + 0.6 * u[13],
    )
    gain = float(np.exp(0.22 * max(-2.0, min(2.0, n[22]))))
    return Subject(name=f"s{number:06d}", look=look, gain=gain, habits=habits)


class _Names(Sequence[str]):
    """Names made when asked for: cheap for a million images."""

    def __init__(self, subjects: NDArray[np.int64]) -> None:
        self._subjects = subjects

    def __len__(self) -> int:
        return len(self._subjects)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        return f"s{self._subjects[at]:06d}/{at:07d}"


class SyntheticFaces:
    """Drawn faces, each a pure function of (config, index).

    Source: our own construction; AU table of Du, Tao & Martinez, "Compound facial expressions of
    emotion", PNAS 2014; class means of AffectNet.
    """

    names: Sequence[str]

    def __init__(self, config: SyntheticConfig) -> None:
        """Prepare the list of subjects; draws nothing."""
        self.config = config
        self._split = SPLITS.index(config.split)
        # splitmix64: a subject per index without a generator per index.
        with np.errstate(over="ignore"):
            key = np.uint64((config.seed * 8 + self._split) % 2**64)
            x = np.arange(1, config.count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            x += key * np.uint64(0xD1B54A32D192ED03)
            x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            x ^= x >> np.uint64(31)
        first = self._split * SUBJECTS_PER_SPLIT
        self._subjects = (x % np.uint64(config.subjects)).astype(np.int64) + first
        self.names = _Names(self._subjects)

    def __len__(self) -> int:
        return self.config.count

    def _draws(self, index: int) -> tuple[Subject, list[float], Array, np.random.Generator]:
        """The subject, uniforms [64], normals [64] and generator of an image."""
        at = range(len(self))[index]
        rng = np.random.Generator(np.random.PCG64((self.config.seed, 2, self._split, at)))
        who = subject(self.config.seed, int(self._subjects[at]))
        return who, rng.random(64).tolist(), rng.standard_normal(64), rng

    def _state(self, who: Subject, u: list[float], z: Array) -> FaceState:
        pose = int(u[0] * len(EXPRESSIONS))
        other = pose if u[1] < self.config.task_coupling else int(u[2] * len(EXPRESSIONS))
        latents = Latents(
            core=z[0:2],
            expression=z[2:4],
            action_units=z[4:6],
            hidden=z[6:8],
            residual=z[8:24],
            speech=float(z[24]),
            gaze=float(z[25]),
            posed=(pose, other),
        )
        return face_state(latents, who, self.config)

    def state(self, index: int) -> FaceState:
        """The true state of an image."""
        who, u, z, _ = self._draws(index)
        return self._state(who, u, z)

    def image(self, index: int) -> NDArray[np.uint8]:
        """[size, size, 3] uint8 RGB."""
        who, u, z, rng = self._draws(index)
        state = self._state(who, u, z)
        scene = _scene(STYLES[self.config.style], u[32:], z[40:].tolist())
        return draw_face(who.look, state, scene, self.config.size, rng)

    def labels(self, index: int) -> dict[str, str | float | None]:
        """What the annotators recorded of an image.

        Returns:
            `subject`; `valence` and `arousal` in [-1, 1]; `expression`, a name of `EXPRESSIONS`;
            `AU1` ... `AU26`, 0.0 or 1.0. None is a missing label; missing is decided per image.
        """
        who, u, z, _ = self._draws(index)
        labels = annotate(self._state(who, u, z), z[26:34], u[4:23])
        place = int(np.searchsorted(np.cumsum([share for share, _ in LABELLED]), u[3] * 0.999999))
        affect, expression, units = LABELLED[place][1]
        for name in labels:
            task = affect if name in ("valence", "arousal") else units
            if not (expression if name == "expression" else task):
                labels[name] = None
        return {"subject": who.name, **labels}


def annotate(state: FaceState, noise: Array, u: list[float]) -> dict[str, str | float | None]:
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
    labels: dict[str, str | float | None] = {
        "valence": valence,
        "arousal": arousal,
        "expression": expression,
    }
    for unit, strength, chance in zip(
        ACTION_UNITS, state.action_units.tolist(), u[2:18], strict=True
    ):
        labels[f"AU{unit}"] = float(strength >= PRESENT and chance >= miss_rate(strength))
    return labels


def miss_rate(intensity: float) -> float:
    """Probability that annotators miss a present AU of an intensity in [0.4, 1]."""
    return 0.5 * min(max((0.7 - intensity) / 0.3, 0.0), 1.0)


def _scene(style: Style, u: list[float], z: list[float]) -> Scene:
    """Nuisance of one image from uniforms [32] and normals [24]."""
    degrees = float(np.pi / 180)

    def cut(value: float, spread: float, limit: float) -> float:
        return max(-limit, min(limit, value * spread))

    first = WALLS[int(u[0] * len(WALLS))]
    second = WALLS[int(u[1] * len(WALLS))]
    clothes = CLOTHES[int(u[2] * len(CLOTHES))]
    backdrop = BACKDROPS[int(u[3] * len(BACKDROPS))]
    if style.posed:
        backdrop = BACKDROPS[int(u[3] * 2)]
    blobs = tuple((u[4 + 3 * k], u[5 + 3 * k], 0.06 + 0.12 * u[6 + 3 * k]) for k in range(4))
    occluder = "none"
    if u[16] < style.occluded:
        occluder = OCCLUDERS[1 + int(u[17] * (len(OCCLUDERS) - 1))]
    blurred, packed = u[18] < style.degraded, u[19] < style.degraded
    return Scene(
        yaw=cut(z[0], style.yaw, 40) * degrees,
        pitch=cut(z[1], 0.25 * style.yaw, 12) * degrees,
        roll=cut(z[2], style.roll, 20) * degrees,
        scale=1 + cut(z[3], 0.02 if style.posed else 0.05, 0.12),
        shift=(cut(z[4], 0.02 if style.posed else 0.05, 0.12), cut(z[5], 0.04, 0.1)),
        light=(cut(z[6], 0.7, 1.0), -0.4 + cut(z[7], 0.3, 0.6)),
        brightness=1.0 + cut(z[8], 0.04 if style.posed else 0.10, 0.25),
        contrast=1.0 + cut(z[9], 0.2, 0.5),
        warmth=cut(z[10], 0.5, 1.0),
        backdrop=backdrop,
        colours=(first, mix(first, second, 0.6), clothes),
        blobs=blobs,
        occluder=occluder,
        occluder_shift=(2 * u[20] - 1, 2 * u[21] - 1),
        blur=0.003 + 0.008 * u[22] if blurred else 0.0,
        jpeg_quality=int(40 + 50 * u[23]) if packed else 0,
        grain=style.grain * 2 * u[24],
    )


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
        who, u, z, _ = faces._draws(i)
        state = faces._state(who, u, z)
        noted = annotate(state, z[26:34], u[4:23])
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


def _best_correlation(known: Array, target: Array, bins: int) -> float:
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
