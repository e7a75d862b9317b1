"""What each part of a face state does to the picture."""

import numpy as np
import pytest

from pretrain.data.drawing.face import draw_face, outline
from pretrain.data.drawing.scene import Scene
from pretrain.data.drawing.state import ACTION_UNITS, SIGNS, FaceState
from pretrain.data.synthetic.subjects import Subject, subject


def still(**changes: object) -> FaceState:
    """A neutral face."""
    values = {
        "expression": "Neutral",
        "probabilities": np.eye(8)[0],
        "action_units": np.zeros(len(ACTION_UNITS)),
        "valence": 0.0,
        "arousal": 0.0,
        "signs": np.zeros(len(SIGNS)),
        "hidden": np.zeros(2),
        "gaze": (0.0, 0.0),
        "lids": 0.0,
        "blush": 0.0,
        "droop": 0.0,
    }
    return FaceState(**{**values, **changes})  # type: ignore[arg-type]


def with_unit(unit: int, intensity: float) -> FaceState:
    units = np.zeros(len(ACTION_UNITS))
    units[ACTION_UNITS.index(unit)] = intensity
    return still(action_units=units)


def bare_subjects(count: int) -> list[Subject]:
    """Subjects whose hair, glasses and beard hide nothing."""
    found = []
    for number in range(500):
        who = subject(0, number)
        open_face = who.look.hair_style in ("short", "buzz", "bald", "bun")
        if open_face and who.look.beard == "none" and who.look.glasses == "none":
            found.append(who)
        if len(found) == count:
            return found
    raise AssertionError("too few bare faces")


REGIONS = {
    # (top, bottom) of the rows and the largest distance from the middle, as shares of the side
    "brows": ((1, 2, 4), 0.14, 0.52),
    "eyes": ((5, 7), 0.34, 0.60),
    "cheeks": ((6,), 0.34, 0.70),
    "nose": ((9,), 0.32, 0.74),
    "mouth": ((10, 12, 15, 20, 23, 24, 25), 0.55, 0.95),
    "chin": ((17, 26), 0.60, 1.0),
}


@pytest.mark.parametrize(
    ("unit", "top", "bottom"),
    [(unit, top, bottom) for units, top, bottom in REGIONS.values() for unit in units],
)
def test_an_action_unit_moves_its_own_region(unit: int, top: float, bottom: float) -> None:
    size = 96
    for who in bare_subjects(3):
        rest = draw_face(who.look, still(), Scene(), size).astype(float)
        moved = draw_face(who.look, with_unit(unit, 1.0), Scene(), size).astype(float)
        change = np.abs(moved - rest).sum(-1)
        inside = change[int(top * size) : int(bottom * size)].sum()
        assert change.max() > 40  # visible
        assert inside / change.sum() > 0.9


@pytest.mark.parametrize("unit", ACTION_UNITS)
def test_an_action_unit_is_drawn_monotone_in_its_intensity(unit: int) -> None:
    levels = np.linspace(0, 1, 6)
    for who in bare_subjects(2):
        images = [
            draw_face(who.look, with_unit(unit, x), Scene(), 96).astype(float) for x in levels
        ]
        distance = [float(np.abs(image - images[0]).sum()) for image in images]
        assert distance[1] > 0
        # Non-decreasing up to the canvas's rounding of outlines.
        steps = np.diff(distance)
        assert steps.min() > -0.03 * max(distance)


@pytest.mark.parametrize("unit", ACTION_UNITS)
def test_every_outline_moves_further_the_stronger_the_action_unit(unit: int) -> None:
    def outlines(intensity: float) -> dict[str, np.ndarray]:
        sketch = outline(subject(0, 1).look, with_unit(unit, intensity), Scene())
        return sketch.project(Scene(), 0.0, unit=1.0, centre=(0.0, 0.0), steps=4)

    rest = outlines(0.0)
    levels = [outlines(x) for x in np.linspace(0, 1, 11)]
    for name, curve in rest.items():
        distance = [np.linalg.norm(level[name] - curve, axis=-1).mean() for level in levels]
        # What lies inside the mouth may settle a little once it is bared.
        assert np.diff(distance).min() >= (-0.01 if name in ("teeth", "tongue") else -1e-4), name
    assert any(np.abs(levels[-1][name] - curve).max() > 0.02 for name, curve in rest.items())


@pytest.mark.parametrize("name", ["lids", "blush", "droop"])
def test_each_cue_of_the_hidden_part_is_visible(name: str) -> None:
    look = bare_subjects(1)[0].look
    low = draw_face(look, still(**{name: -0.8}), Scene(), 64).astype(float)
    high = draw_face(look, still(**{name: 0.8}), Scene(), 64).astype(float)
    assert np.abs(high - low).max() > 30


def test_each_expression_sign_is_visible() -> None:
    look = bare_subjects(1)[0].look
    rest = draw_face(look, still(), Scene(), 64).astype(float)
    for k, name in enumerate(SIGNS):
        changed = draw_face(look, still(signs=np.eye(len(SIGNS))[k]), Scene(), 64).astype(float)
        assert np.abs(changed - rest).max() > 30, name
        low = still(signs=np.eye(len(SIGNS))[k], low_signs=True)
        change = np.abs(draw_face(look, low, Scene(), 64).astype(float) - rest)
        assert change.max() > 30, name
        assert change[:36].sum() < 0.05 * change.sum(), name  # from the nose downward
