"""Statistics of the labels: what is missing, noisy, confused or missed."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from pretrain.data.drawing.state import ACTION_UNITS, FaceState
from pretrain.data.synthetic import SyntheticConfig, SyntheticFaces
from pretrain.data.synthetic.annotation import LABELLED, NEIGHBOURS, Labels, annotate, miss_rate
from pretrain.data.synthetic.expressions import EXPRESSIONS


def within(successes: int, trials: int, share: float, deviations: float = 4.0) -> bool:
    """Whether a count agrees with a binomial share."""
    return abs(successes - trials * share) <= deviations * math.sqrt(trials * share * (1 - share))


def test_missing_labels_follow_the_documented_pattern(
    labels: list[Labels],
) -> None:
    pattern = Counter(
        (row["valence"] is not None, row["expression"] is not None, row["AU12"] is not None)
        for row in labels
    )
    assert sum(share for share, _ in LABELLED) == pytest.approx(1.0)
    assert set(pattern) == {have for _, have in LABELLED}
    for share, have in LABELLED:
        assert within(pattern[have], len(labels), share), have
    for task, share in enumerate((0.73, 0.64, 0.73)):
        assert within(sum(n for have, n in pattern.items() if have[task]), len(labels), share)


def test_without_overlap_an_image_has_labels_of_an_expression_or_of_units() -> None:
    config = SyntheticConfig(count=2000, size=32, overlap=False)
    faces, others = SyntheticFaces(config), SyntheticFaces(replace(config, overlap=True))
    pattern = Counter[tuple[bool, bool]]()
    for index in range(2000):
        row, whole = faces.labels(index), others.labels(index)
        had = whole["expression"] is not None, whole["AU1"] is not None
        has = row["expression"] is not None, row["AU1"] is not None
        assert row["valence"] == whole["valence"]
        assert has == had or (all(had) and sum(has) == 1)
        if all(had):
            pattern[has] += 1
    assert within(pattern[True, False], pattern.total(), 0.5)
    assert within(pattern.total(), 2000, 0.47)


def test_a_task_is_missing_as_a_whole(labels: list[Labels]) -> None:
    units = [f"AU{unit}" for unit in ACTION_UNITS]
    for row in labels[:500]:
        assert list(row) == ["subject", "valence", "arousal", "expression", *units]
        assert (row["valence"] is None) == (row["arousal"] is None)
        assert len({row[unit] is None for unit in units}) == 1
        assert {row[unit] for unit in units} <= {0.0, 1.0, None}
        assert row["expression"] in (*EXPRESSIONS, None)


def test_rater_noise_has_the_documented_spread(
    states: list[FaceState], labels: list[Labels]
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
    states: list[FaceState], labels: list[Labels]
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
    states: list[FaceState], labels: list[Labels]
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


def test_annotation_without_noise_is_the_truth(states: list[FaceState]) -> None:
    units = np.array([0.9 * (unit == 12) for unit in ACTION_UNITS])
    state = replace(states[0], action_units=units, valence=0.5, arousal=-0.25, expression="Fear")
    noted = annotate(state, np.zeros(8), [0.99] * 18)
    assert (noted["valence"], noted["arousal"], noted["expression"]) == (0.5, -0.25, "Fear")
    assert {name for name, value in noted.items() if value == 1.0} == {"AU12"}
    assert annotate(state, np.zeros(8), [0.0] * 18)["expression"] == "Surprise"
