"""Scores of tables: challenge scores only of the challenge's labels, intervals over recordings."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score
from tables import EIGHT, guessed, labelled, perfect

from finetune.labels import ACTION_UNIT_SPACES, EXPRESSION_SPACES, action_unit_space
from finetune.scoring.joined import join
from finetune.scoring.scores import score, score_difference
from finetune.tallies import MetricError


def restated_p_mtl(table, targets):
    """The challenge's score from its description, on plain arrays."""
    total = 0.0
    for place in range(2):
        kept = targets.valence_arousal_valid[:, place]
        t, p = targets.valence_arousal[kept, place], table.valence_arousal[kept, place]
        total += np.cov(t, p, ddof=0)[0, 1] / (t.var() + p.var() + (t.mean() - p.mean()) ** 2)
    kept = targets.expression_valid
    guess = table.expression.argmax(1)
    labels, rows = range(8), (targets.expression[kept], guess[kept])
    total += f1_score(*rows, average="macro", labels=labels, zero_division=0)
    units = []
    for place in range(12):
        kept = targets.action_units_valid[:, place]
        found = table.action_units[kept, place] >= 0.5
        units.append(f1_score(targets.action_units[kept, place], found, zero_division=0))
    return total + float(np.mean(units))


def test_p_mtl_is_that_of_the_challenge():
    annotations = labelled(rows=200)
    table = guessed(annotations)
    found = score(join(table, annotations), resamples=0)
    assert float(found.value("p_mtl")) == pytest.approx(restated_p_mtl(table, annotations.targets))
    parts = [float(found.value(name)) for name in ("p_va", "p_expr", "p_au")]
    assert sum(parts) == pytest.approx(float(found.value("p_mtl")))


def test_the_labels_themselves_score_three():
    annotations = labelled(rows=120)
    assert float(score(join(perfect(annotations), annotations), resamples=0).value("p_mtl")) == 3


def test_every_number_is_under_the_name_of_what_it_is_of():
    annotations = labelled(rows=200)
    table = guessed(annotations)
    found = score(join(table, annotations), resamples=0).to_json()
    targets = annotations.targets
    kept = targets.action_units_valid[:, 3]
    area = roc_auc_score(targets.action_units[kept, 3], table.action_units[kept, 3])
    assert found["unit_auc"]["AU6"]["value"] == pytest.approx(area)
    rows = targets.expression_valid
    f1 = f1_score(
        targets.expression[rows], table.expression.argmax(1)[rows], average=None, labels=range(8)
    )
    assert [found["class_f1"][name]["value"] for name in EIGHT.classes] == pytest.approx(
        f1.tolist()
    )
    assert list(found["ccc"]) == ["valence", "arousal"]
    assert set(found["accuracy"]) == {"value"}


@pytest.mark.parametrize(
    ("expressions", "units", "challenge"),
    [
        ("aff_wild2_8", "aff_wild2_12", {"p_mtl", "p_va", "p_expr", "p_au", "abaw_2020_action_units"}),
        ("affectnet_8", "aff_wild2_12", {"p_va", "p_au", "abaw_2020_action_units"}),
        ("aff_wild2_7", "aff_wild_8", {"p_va", "abaw_2020_expression"}),  # no label of AU20
        ("lsd_6", "disfa_12", {"p_va", "lsd_f1"}),
    ],
)  # fmt: skip
def test_a_challenges_score_is_there_for_its_labels_alone(expressions, units, challenge):
    whole = labelled(rows=200)
    targets = whole.targets.to(EXPRESSION_SPACES[expressions], ACTION_UNIT_SPACES[units])
    annotations = replace(whole, targets=targets)
    found = score(join(perfect(annotations), annotations), resamples=0).found
    names = {name for name in found if name.startswith(("p_", "lsd", "abaw"))}
    assert names == challenge


def test_a_model_that_lacks_an_action_unit_has_no_p_au():
    annotations = labelled(rows=80)
    table = guessed(annotations)
    eleven = action_unit_space(",".join(table.action_unit_space.names[:11]))
    fewer = replace(table, action_units=table.action_units[:, :11], action_unit_space=eleven)
    found = score(join(fewer, annotations), resamples=0)
    assert not {"p_au", "p_mtl"} & set(found.found)
    assert {"p_va", "p_expr", "mean_unit_f1"} <= set(found.found)
    assert "the model has no AU26, left out" in found.notes


def test_recordings_are_resampled_where_there_are_videos_and_images_elsewhere():
    annotations = labelled(rows=120, videos=12)
    found = score(join(guessed(annotations), annotations), resamples=100)
    assert found.over == "12 recordings"
    assert float(found.found["p_mtl"].low) < float(found.value("p_mtl"))
    videos = [f"video{row % 6}_{row % 2}" for row in range(120)]  # twelve videos of six recordings
    halved = replace(annotations, videos=videos)
    assert score(join(guessed(halved), halved), resamples=100).over == "6 recordings"
    stills = replace(annotations, videos=None, frames=None)
    assert score(join(guessed(stills), stills), resamples=100).over == "120 images"
    people = replace(stills, subjects=[f"s{row % 7}" for row in range(120)])
    assert score(join(guessed(people), people), resamples=100).over == "7 subjects"


def test_too_few_recordings_leave_no_intervals_and_say_so():
    annotations = labelled(rows=60, videos=3)
    found = score(join(guessed(annotations), annotations), resamples=100)
    assert (found.over, found.resamples) == ("", 0)
    assert found.notes == ("no intervals: 3 recordings, at least 5 are needed",)
    assert np.isnan(found.found["p_mtl"].low)


def test_an_auc_without_positives_is_not_defined_and_the_rest_is_scored():
    annotations = labelled(rows=60)
    targets = annotations.targets
    units = targets.action_units.copy()
    units[:, 5] = 0
    annotations = replace(annotations, targets=replace(targets, action_units=units))
    found = score(join(guessed(annotations), annotations), resamples=0).to_json()["unit_auc"]
    assert found["AU10"]["value"] is None
    assert all(found[name]["value"] is not None for name in found if name != "AU10")


def test_a_difference_is_paired():
    annotations = labelled(rows=160, videos=20)
    before, after = (guessed(annotations, seed=seed) for seed in (1, 2))
    joined = [join(table, annotations) for table in (before, after)]
    found = score_difference(*joined, resamples=200)
    alone = [score(one, resamples=0) for one in joined]
    for metric in ("p_mtl", "accuracy"):
        gain = float(alone[1].value(metric)) - float(alone[0].value(metric))
        assert float(found.value(metric)) == pytest.approx(gain)
    nothing = score_difference(joined[0], joined[0], resamples=200).found["p_mtl"]
    assert float(nothing.value) == float(nothing.low) == float(nothing.high) == 0
    lacking = replace(after, action_units=None, action_unit_space=None)
    with pytest.raises(MetricError, match=r"difference: got tables that know AU1, .* and nothing"):
        score_difference(joined[0], join(lacking, annotations), resamples=200)


def test_mistakes_of_one_recording_are_one_mistake():
    annotations = labelled(rows=400, videos=20, missing=0)
    order = np.random.default_rng(5).permutation(400)
    annotations = annotations.select(order)
    shift = {video: 0.4 * np.sin(place) for place, video in enumerate(set(annotations.videos))}
    shifts = np.array([[shift[video]] * 2 for video in annotations.videos])
    table = perfect(annotations)
    table = replace(table, valence_arousal=np.clip(table.valence_arousal + shifts, -1, 1))
    stills = replace(annotations, videos=None, frames=None)
    alone = replace(table, videos=None, frames=None)
    joined = join(table, annotations), join(alone, stills)
    ends = [score(one, resamples=200).found["p_va"] for one in joined]
    by_recording, by_image = (float(found.high - found.low) for found in ends)
    assert by_recording > 2 * by_image
