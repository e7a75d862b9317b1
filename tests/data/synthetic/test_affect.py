"""True states: ranges, classes, and what the dials let the tasks share."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from pretrain.data.drawing.state import ACTION_UNITS, FaceState
from pretrain.data.synthetic import SyntheticConfig, SyntheticFaces
from pretrain.data.synthetic.affect import score_valence_arousal
from pretrain.data.synthetic.expressions import EXPRESSIONS


def test_every_expression_and_action_unit_occurs(states: list[FaceState]) -> None:
    counts = Counter(state.expression for state in states)
    assert set(counts) == set(EXPRESSIONS)
    assert min(counts.values()) > 0.03 * len(states)
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


def test_scores_map_to_valence_arousal_through_class_means() -> None:
    value = score_valence_arousal(np.eye(8)[EXPRESSIONS.index("Happiness")], np.zeros(16))
    np.testing.assert_allclose(value, (0.67, 0.08))
