"""Behaviour of the drawn faces: determinism, regions, label statistics, dials."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from pretrain.data import drawing, synthetic
from pretrain.data.drawing import ACTION_UNITS, SIGNS, FaceState, Scene, draw_face
from pretrain.data.synthetic import (
    EXPRESSIONS,
    LABELLED,
    NEIGHBOURS,
    SPLITS,
    STYLES,
    SyntheticConfig,
    SyntheticFaces,
    annotate,
    ceilings,
    miss_rate,
    score_valence_arousal,
    subject,
)

N = 4000


@pytest.fixture(scope="module")
def faces() -> SyntheticFaces:
    return SyntheticFaces(SyntheticConfig(count=N))


@pytest.fixture(scope="module")
def states(faces: SyntheticFaces) -> list[FaceState]:
    return [faces.state(i) for i in range(N)]


@pytest.fixture(scope="module")
def labels(faces: SyntheticFaces) -> list[dict[str, str | float | None]]:
    return [faces.labels(i) for i in range(N)]


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


def bare_subjects(count: int) -> list[synthetic.Subject]:
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


def test_image_state_and_labels_depend_on_the_index_alone() -> None:
    config = SyntheticConfig(count=300, subjects=40, seed=3)
    first, second = SyntheticFaces(config), SyntheticFaces(config)
    order = np.random.default_rng(0).permutation(40).tolist()
    before = {i: (first.image(i), first.labels(i), first.state(i)) for i in range(40)}
    subject.cache_clear()
    for i in order:
        labels, image = second.labels(i), second.image(i)
        np.testing.assert_array_equal(image, before[i][0])
        assert labels == before[i][1]
        np.testing.assert_array_equal(second.state(i).action_units, before[i][2].action_units)


def test_a_longer_list_and_another_size_keep_the_same_people_and_labels() -> None:
    config = SyntheticConfig(count=50)
    small, large = SyntheticFaces(config), SyntheticFaces(replace(config, count=5000, size=96))
    assert list(small.names) == large.names[:50]
    assert [small.labels(i) for i in range(50)] == [large.labels(i) for i in range(50)]
    np.testing.assert_array_equal(small.image(7), SyntheticFaces(replace(config, count=9)).image(7))


def test_global_random_state_is_neither_used_nor_touched(faces: SyntheticFaces) -> None:
    np.random.seed(1)  # noqa: NPY002
    first = faces.image(5)
    after = np.random.random()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    assert after == np.random.random()  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    np.testing.assert_array_equal(first, faces.image(5))


def test_different_indices_seeds_and_splits_give_different_images(faces: SyntheticFaces) -> None:
    images = {faces.image(i).tobytes() for i in range(60)}
    images |= {SyntheticFaces(SyntheticConfig(count=9, seed=s)).image(0).tobytes() for s in (1, 2)}
    images |= {SyntheticFaces(SyntheticConfig(count=9, split=s)).image(0).tobytes() for s in SPLITS}
    assert len(images) == 60 + 2 + len(SPLITS) - 1  # the pretrain split is already there


def test_negative_and_outside_indices_behave_like_a_list(faces: SyntheticFaces) -> None:
    np.testing.assert_array_equal(faces.image(-1), faces.image(N - 1))
    with pytest.raises(IndexError):
        faces.image(N)


def test_splits_share_no_subject_and_names_are_unique() -> None:
    seen: dict[str, str] = {}
    for split in SPLITS:
        faces = SyntheticFaces(SyntheticConfig(count=2000, subjects=100, split=split))
        assert len(set(faces.names)) == len(faces) == 2000
        for name in faces.names:
            assert seen.setdefault(name.split("/")[0], split) == split
    assert len(seen) == 5 * 100  # and every subject is used
    looks = {repr(subject(0, int(name[1:])).look) for name in seen}
    assert len(looks) == len(seen)


def test_name_and_label_agree_on_the_subject(faces: SyntheticFaces) -> None:
    for i in range(20):
        assert faces.names[i] == f"{faces.labels(i)['subject']}/{i:07d}"


def test_names_of_a_million_images_are_cheap_sequences() -> None:
    names = SyntheticFaces(SyntheticConfig(count=1_000_000)).names
    assert len(names) == 1_000_000
    assert names[-1] == names[999_999] == names[999_990:][-1]


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
        sketch = drawing._sketch(subject(0, 1).look, with_unit(unit, intensity), Scene())
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


@pytest.mark.parametrize("style", STYLES)
def test_every_size_gives_rgb_bytes_with_contrast(style: str) -> None:
    for size in (32, 48, 64, 80, 96, 112, 160, 224):
        faces = SyntheticFaces(SyntheticConfig(count=500, size=size, style=style, seed=size))
        for i in (0, 1):
            image = faces.image(i)
            assert image.shape == (size, size, 3)
            assert image.dtype == np.uint8
            assert image.flags.writeable
            assert image.std() > 15


def test_images_are_not_dominated_by_nuisance_free_corners(faces: SyntheticFaces) -> None:
    images = np.stack([faces.image(i) for i in range(80)]).astype(float)
    assert images.std((1, 2, 3)).min() > 10
    assert images.std(0).mean() > 20  # images differ from one another everywhere


def within(successes: int, trials: int, share: float, deviations: float = 4.0) -> bool:
    """Whether a count agrees with a binomial share."""
    return abs(successes - trials * share) <= deviations * math.sqrt(trials * share * (1 - share))


def test_missing_labels_follow_the_documented_pattern(
    labels: list[dict[str, str | float | None]],
) -> None:
    pattern = Counter(
        (row["valence"] is not None, row["expression"] is not None, row["AU12"] is not None)
        for row in labels
    )
    assert sum(share for share, _ in LABELLED) == pytest.approx(1.0)
    assert set(pattern) == {have for _, have in LABELLED}
    for share, have in LABELLED:
        assert within(pattern[have], N, share), have
    for task, share in enumerate((0.73, 0.64, 0.73)):
        assert within(sum(n for have, n in pattern.items() if have[task]), N, share)


def test_a_task_is_missing_as_a_whole(labels: list[dict[str, str | float | None]]) -> None:
    units = [f"AU{unit}" for unit in ACTION_UNITS]
    for row in labels[:500]:
        assert list(row) == ["subject", "valence", "arousal", "expression", *units]
        assert (row["valence"] is None) == (row["arousal"] is None)
        assert len({row[unit] is None for unit in units}) == 1
        assert {row[unit] for unit in units} <= {0.0, 1.0, None}
        assert row["expression"] in (*EXPRESSIONS, None)


def test_rater_noise_has_the_documented_spread(
    states: list[FaceState], labels: list[dict[str, str | float | None]]
) -> None:
    for name, sd in (("valence", 0.25 / 2), ("arousal", 0.40 / 2)):
        error = [
            float(row[name]) - getattr(state, name)  # type: ignore[arg-type]
            for state, row in zip(states, labels, strict=True)
            if row[name] is not None and abs(getattr(state, name)) < 0.3  # far from the clip
        ]
        assert len(error) > 500
        assert np.std(error) == pytest.approx(sd, rel=0.1)
        assert np.mean(error) == pytest.approx(0, abs=4 * sd / math.sqrt(len(error)))


def test_expressions_are_confused_with_their_neighbours_only(
    states: list[FaceState], labels: list[dict[str, str | float | None]]
) -> None:
    group = {name: names for names in NEIGHBOURS for name in names}
    changed = total = 0
    for state, row in zip(states, labels, strict=True):
        noted = row["expression"]
        if noted is None:
            continue
        if state.expression == "Happiness":
            assert noted == "Happiness"
            continue
        assert noted in group[state.expression]
        changed, total = changed + (noted != state.expression), total + 1
    assert within(changed, total, 0.25)


def test_action_units_are_missed_only_when_weak_and_never_invented(
    states: list[FaceState], labels: list[dict[str, str | float | None]]
) -> None:
    expected = variance = missed = 0.0
    for state, row in zip(states, labels, strict=True):
        for unit, strength in zip(ACTION_UNITS, state.action_units.tolist(), strict=True):
            noted = row[f"AU{unit}"]
            if noted is None:
                continue
            if strength < 0.4:
                assert noted == 0.0
            elif strength >= 0.7:
                assert noted == 1.0
            else:
                p = miss_rate(strength)
                expected, variance = expected + p, variance + p * (1 - p)
                missed += noted == 0.0
    assert variance > 50
    assert abs(missed - expected) < 4 * math.sqrt(variance)


def test_every_expression_and_action_unit_occurs(states: list[FaceState]) -> None:
    counts = Counter(state.expression for state in states)
    assert set(counts) == set(EXPRESSIONS)
    assert min(counts.values()) > 0.03 * N
    present = np.mean([state.action_units >= 0.4 for state in states], axis=0)
    assert present.min() > 0.04
    assert present.max() < 0.6


def test_states_stay_in_their_ranges(states: list[FaceState]) -> None:
    for state in states[:500]:
        assert -1 <= state.valence <= 1
        assert -1 <= state.arousal <= 1
        assert state.action_units.min() >= 0
        assert state.action_units.max() <= 1
        assert state.probabilities.sum() == pytest.approx(1)
        assert EXPRESSIONS[int(state.probabilities.argmax())] == state.expression


def explained(config: SyntheticConfig, count: int = 1500) -> tuple[float, float]:
    """Share of the variance of valence and arousal that a linear fit on the scores explains."""
    faces = SyntheticFaces(replace(config, count=count))
    states = [faces.state(i) for i in range(count)]
    known = np.stack([np.concatenate((s.probabilities, s.action_units)) for s in states])
    target = np.array([(s.valence, s.arousal) for s in states])
    half = count // 2
    weights, *_ = np.linalg.lstsq(known[:half], target[:half], rcond=None)
    rest = target[half:] - known[half:] @ weights
    first, second = (1 - rest.var(0) / target[half:].var(0)).tolist()
    return first, second


def test_scores_determine_valence_arousal_at_rho_one_and_little_of_it_at_rho_point_three() -> None:
    assert min(explained(SyntheticConfig(score_sufficiency=1.0))) > 0.95
    middle = explained(SyntheticConfig(score_sufficiency=0.6))
    assert min(middle) > 0.5
    assert max(middle) < 0.85
    assert max(explained(SyntheticConfig(score_sufficiency=0.3))) < 0.3


def test_at_task_coupling_zero_the_three_tasks_are_independent() -> None:
    faces = SyntheticFaces(SyntheticConfig(count=3000, task_coupling=0.0, score_sufficiency=1.0))
    states = [faces.state(i) for i in range(3000)]
    p = np.stack([s.probabilities for s in states])
    units = np.stack([s.action_units for s in states])
    affect = np.array([(s.valence, s.arousal) for s in states])
    bound = 4.5 / math.sqrt(3000)
    for first, second in ((p, affect), (p, units), (units, affect)):
        both = np.corrcoef(first.T, second.T)[: first.shape[1], first.shape[1] :]
        assert np.abs(both).max() < bound


def test_at_task_coupling_one_they_are_not(states: list[FaceState]) -> None:
    p = np.stack([s.probabilities for s in states])
    units = np.stack([s.action_units for s in states])
    happy = p[:, EXPRESSIONS.index("Happiness")]
    assert np.corrcoef(happy, units[:, ACTION_UNITS.index(12)])[0, 1] > 0.7
    assert np.corrcoef(happy, [s.valence for s in states])[0, 1] > 0.4


def test_local_redundancy_keeps_expression_cues_low_and_hidden_cues_in_the_eyes() -> None:
    config = SyntheticConfig(count=1500, redundancy="local")
    faces = SyntheticFaces(config)
    states = [faces.state(i) for i in range(len(faces))]
    p = np.stack([s.probabilities for s in states])
    units = np.stack([s.action_units for s in states])
    upper = [k for k, unit in enumerate(ACTION_UNITS) if unit <= 9]
    both = np.corrcoef(p.T, units[:, upper].T)[: p.shape[1], p.shape[1] :]
    assert np.abs(both).max() < 4.5 / math.sqrt(1500)
    assert {(s.blush, s.droop) for s in states} == {(0.0, 0.0)}
    assert np.std([s.lids for s in states]) > 0.3


def test_valence_arousal_spread_does_not_depend_on_rho() -> None:
    spread = []
    for rho in (0.3, 0.6, 1.0):
        faces = SyntheticFaces(SyntheticConfig(count=1500, score_sufficiency=rho))
        spread.append(np.std([(s.valence, s.arousal) for s in map(faces.state, range(1500))], 0))
    assert np.ptp(spread, 0).max() < 0.06


def test_exaggerated_faces_move_more_than_wild_ones(states: list[FaceState]) -> None:
    faces = SyntheticFaces(SyntheticConfig(count=500, style="exaggerated"))
    strong = np.mean([faces.state(i).action_units for i in range(500)])
    assert strong > 1.05 * np.mean([s.action_units for s in states[:500]])


def test_posed_stills_cover_the_classes_evenly() -> None:
    faces = SyntheticFaces(SyntheticConfig(count=1600, style="posed", split="cnn"))
    counts = Counter(faces.state(i).expression for i in range(1600))
    assert min(counts.values()) > 140


def test_ceilings_order_as_the_dials_say() -> None:
    by_rho = {
        rho: ceilings(SyntheticConfig(score_sufficiency=rho), samples=3000)
        for rho in (0.3, 0.6, 1.0)
    }
    for name in ("ccc_valence", "ccc_arousal"):
        low, middle, high = (by_rho[rho][f"scores/{name}"] for rho in (0.3, 0.6, 1.0))
        assert low < 0.55 < middle < high
        assert high == pytest.approx(by_rho[1.0][f"latents/{name}"], abs=0.01)
        assert by_rho[0.3][f"latents/{name}"] > 0.85
    happy = 0.176  # share of the class that is never confused
    assert by_rho[0.6]["expression_accuracy"] == pytest.approx(0.75 + 0.25 * happy, abs=0.03)
    assert all(0 < value < 1 for value in by_rho[0.6].values())


def test_scores_map_to_valence_arousal_through_class_means() -> None:
    value = score_valence_arousal(np.eye(8)[EXPRESSIONS.index("Happiness")], np.zeros(16))
    np.testing.assert_allclose(value, (0.67, 0.08))


def test_annotation_without_noise_is_the_truth() -> None:
    state = replace(with_unit(12, 0.9), valence=0.5, arousal=-0.25, expression="Fear")
    noted = annotate(state, np.zeros(8), [0.99] * 18)
    assert (noted["valence"], noted["arousal"], noted["expression"]) == (0.5, -0.25, "Fear")
    assert {name for name, value in noted.items() if value == 1.0} == {"AU12"}
    assert annotate(state, np.zeros(8), [0.0] * 18)["expression"] == "Surprise"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", 0),
        ("count", 2.5),
        ("size", 31),
        ("size", 513),
        ("size", True),
        ("subjects", 0),
        ("subjects", 100_001),
        ("split", "validation"),
        ("style", "cartoon"),
        ("task_coupling", 0.7),
        ("score_sufficiency", 0.5),
        ("redundancy", "none"),
        ("seed", -1),
    ],
)
def test_a_refused_value_is_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{name} {value!r}, expected "):
        SyntheticConfig(**{name: value})  # type: ignore[arg-type]
