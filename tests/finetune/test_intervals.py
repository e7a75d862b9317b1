"""Intervals: sums stand for rows, the bootstrap-t restated, pairing, refusals, and coverage."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from finetune.intervals import (
    MAX_CLUSTERS,
    MIN_CLUSTERS,
    clusters_of,
    differences,
    intervals,
)
from finetune.metrics import every_metric, p_mtl
from finetune.tallies import Confusion, Decisions, MetricError, Moments, Tallies

reproducible = settings(max_examples=25, deadline=None, derandomize=True, database=None)


def table(videos=12, seed=0, skill=0.5, labels=0):
    """Rows of videos of different lengths; `labels` decides the truth, `seed` the prediction."""
    rng = np.random.default_rng(labels)
    cluster = np.repeat(np.arange(videos), rng.integers(3, 15, videos))
    n = len(cluster)
    rows = {
        "va": rng.uniform(-1, 1, (n, 2)) * 0.7 + rng.uniform(-0.3, 0.3, (videos, 2))[cluster],
        "expression": rng.integers(0, 8, n),
        "units": rng.integers(0, 2, (n, 12)),
        "va_valid": rng.random((n, 2)) < 0.9,
        "expression_valid": rng.random(n) < 0.7,
        "units_valid": rng.random((n, 12)) < 0.8,
    }
    rng = np.random.default_rng(seed + 1000)
    noise = rng.normal(0, 0.3, (n, 2)) + rng.normal(0, 0.1, (videos, 2))[cluster]
    return rows | {
        "va_guess": rows["va"] * skill + noise,
        "expression_guess": np.where(
            rng.random(n) < skill, rows["expression"], rng.integers(0, 8, n)
        ),
        "units_guess": np.where(
            rng.random((n, 12)) < skill, rows["units"], rng.integers(0, 2, (n, 12))
        ),
        "cluster": cluster,
    }


def tally(rows, cluster):
    def pick(task):
        return {
            "target": rows[task],
            "prediction": rows[f"{task}_guess"],
            "valid": rows[f"{task}_valid"],
            "cluster": cluster,
        }

    return Tallies(
        valence_arousal=Moments.of(**pick("va")),
        expression=Confusion.of(**pick("expression"), classes=8),
        action_units=Decisions.of(**pick("units")),
    )


def with_p_mtl(tallies):
    return {**every_metric(tallies), "p_mtl": p_mtl(**vars(tallies))}


def ends(found):
    return {
        name: (it.value.tolist(), it.low.tolist(), it.high.tolist()) for name, it in found.items()
    }


def refusal(call, *arguments, **more):
    with pytest.raises(MetricError) as caught:
        call(*arguments, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ----------------------------------------------------------------------------- sums stand for rows


@reproducible
@given(st.integers(0, 10_000), st.lists(st.integers(0, 3), min_size=12, max_size=12))
def test_the_metrics_of_weighted_sums_are_those_of_repeated_rows(seed, times):
    rows = table(labels=seed)
    repeated = np.repeat(np.arange(len(rows["cluster"])), np.array(times)[rows["cluster"]])
    if not all(
        rows[f"{task}_valid"][repeated].any(0).all() for task in ("va", "expression", "units")
    ):
        return
    drawn = {name: values[repeated] for name, values in rows.items()}
    found = with_p_mtl(tally(rows, rows["cluster"]).weighted(np.array([times], np.float64)))
    for name, want in with_p_mtl(tally(drawn, None)).items():
        assert found[name][0] == pytest.approx(want, abs=1e-12), name


def test_the_total_of_all_clusters_is_the_table():
    rows = table(videos=30)
    found = with_p_mtl(tally(rows, rows["cluster"]).total())
    for name, want in with_p_mtl(tally(rows, None)).items():
        assert found[name] == pytest.approx(want, abs=1e-12), name


def test_a_resample_of_videos_with_a_constant_prediction_has_ccc_and_pearson_0():
    # The prediction varies between videos: one constant in each, far from the median.
    cluster = np.repeat(np.arange(4), 50)
    guess = np.array([0.1, -0.7, 1 / 3, 0.9])[cluster]
    target = np.random.default_rng(0).uniform(-1, 1, 200)
    sums = Moments.of(target=target, prediction=guess, cluster=cluster)
    alone = sums.weighted(3 * np.eye(4))
    assert alone.ccc().tolist() == [0] * 4
    assert alone.pearson().tolist() == [0] * 4
    assert abs(sums.total().pearson()) > 0


def test_metrics_of_a_resample_without_labels_are_not_defined():
    cluster = np.array([0, 0, 1, 1])
    valid = np.array([True, True, False, False])
    weights = np.array([[0.0, 2.0], [1.0, 1.0]])
    number = {"target": [0.1, 0.2, 0.3, 0.4], "prediction": [0.1, 0.3, 0.2, 0.4]}
    index = {"target": [0, 1, 0, 1], "prediction": [0, 1, 1, 1]}
    unit = {"target": [[0], [1], [0], [1]], "prediction": [[0], [1], [1], [1]]}
    found = every_metric(
        Tallies(
            valence_arousal=Moments.of(**number, valid=valid, cluster=cluster).weighted(weights),
            expression=Confusion.of(**index, classes=2, valid=valid, cluster=cluster).weighted(
                weights
            ),
            action_units=Decisions.of(**unit, valid=valid[:, None], cluster=cluster).weighted(
                weights
            ),
        )
    )
    for name, values in found.items():
        assert np.isnan(values[0]).all(), name
        assert np.isfinite(values[1]).all(), name


# ------------------------------------------------------------------------------ the interval itself


def slow_interval(cluster, score, level, resamples, seed):
    """The bootstrap-t on rows, restated: each resample and each left-out video as a list of rows."""
    rows = [np.flatnonzero(cluster == c) for c in range(cluster.max() + 1)]
    count = len(rows)

    def with_error(drawn):
        value = score(np.concatenate([rows[c] for c in drawn]))
        without = np.array(
            [
                score(np.concatenate([rows[c] for c in np.delete(drawn, place)]))
                for place in range(count)
            ]
        )
        return value, math.sqrt((count - 1) * np.mean((without - without.mean()) ** 2))

    value, error = with_error(np.arange(count))
    rng, found = np.random.default_rng(seed), []
    for _ in range(resamples):
        there, spread = with_error(rng.integers(0, count, count))
        apart = there - value
        found.append(apart / (spread if spread > 1e-12 else error))
    rank = math.floor((1 - level) / 2 * (resamples + 1))
    ordered = sorted(found)
    return value, value - ordered[-rank] * error, value - ordered[rank - 1] * error


def test_the_interval_agrees_with_a_restatement_on_rows():
    rows = table()
    found = intervals(tally(rows, rows["cluster"]), level=0.9, resamples=40, seed=7)

    def valence(kept):
        kept = kept[rows["va_valid"][kept, 0]]
        t, p = rows["va"][kept, 0], rows["va_guess"][kept, 0]
        return 2 * np.cov(t, p, ddof=0)[0, 1] / (t.var() + p.var() + (t.mean() - p.mean()) ** 2)

    def macro(kept):
        kept = kept[rows["expression_valid"][kept]]
        t, p = rows["expression"][kept], rows["expression_guess"][kept]
        return f1_score(t, p, average="macro", labels=range(8), zero_division=0.0)

    def third_unit(kept):
        kept = kept[rows["units_valid"][kept, 2]]
        return f1_score(rows["units"][kept, 2], rows["units_guess"][kept, 2], zero_division=0.0)

    def right(kept):
        kept = kept[rows["expression_valid"][kept]]
        return accuracy_score(rows["expression"][kept], rows["expression_guess"][kept])

    for name, place, score in (
        ("ccc", 0, valence),
        ("macro_f1", (), macro),
        ("unit_f1", 2, third_unit),
        ("accuracy", (), right),
    ):
        want = slow_interval(rows["cluster"], score, 0.9, 40, 7)
        it = found[name]
        got = [float(part[place]) for part in (it.value, it.low, it.high)]
        assert got == pytest.approx([want[0], max(want[1], -1), min(want[2], 1)], abs=1e-9), name


def test_intervals_hold_their_value_and_grow_with_the_level():
    rows = table(videos=40)
    tallies = tally(rows, rows["cluster"])
    narrow, wide = (
        intervals(tallies, with_p_mtl, level=level, resamples=300) for level in (0.5, 0.95)
    )
    shapes = {name: values.shape for name, values in with_p_mtl(tallies.total()).items()}
    for name, it in wide.items():
        assert it.value.shape == it.low.shape == it.high.shape == it.undefined.shape == shapes[name]
        assert (it.low <= it.value).all(), name
        assert (it.value <= it.high).all(), name
        assert (it.low <= narrow[name].low).all(), name
        assert (narrow[name].high <= it.high).all(), name
        assert not it.undefined.any(), name
    assert wide["p_mtl"].high - wide["p_mtl"].low > narrow["p_mtl"].high - narrow["p_mtl"].low


def test_a_rare_mistake_leaves_a_narrow_interval():
    # Without it a resample has no spread; its distance must not be infinite.
    target = np.repeat([0, 1], 500)
    guess = target.copy()
    guess[7] = 1
    sums = Confusion.of(target=target, prediction=guess, classes=2, cluster=clusters_of(1000))
    found = intervals(Tallies(expression=sums))["accuracy"]
    assert found.value == 0.999
    assert 0.99 < found.low < 0.999 < found.high == 1


def test_the_seed_decides_the_resamples_and_nothing_else_does():
    rows = table()
    tallies = tally(rows, rows["cluster"])
    one, again, other = (intervals(tallies, resamples=60, seed=seed) for seed in (3, 3, 4))
    assert ends(one) == ends(again)
    assert ends(one) != ends(other)
    alone = intervals(Tallies(expression=tallies.expression), resamples=60, seed=3)
    assert ends(alone)["macro_f1"] == ends(one)["macro_f1"]


def test_frames_of_a_video_are_no_independent_evidence():
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(30), 50)
    target = rng.uniform(-1, 1, 1500)
    guess = target + rng.normal(0, 0.5, 30)[cluster]  # one error a video

    def width(clusters):
        sums = Moments.of(target=target, prediction=guess, cluster=clusters)
        found = intervals(Tallies(valence_arousal=sums), resamples=300)["ccc"]
        return float(found.high - found.low)

    assert width(cluster) > 3 * width(clusters_of(1500))


def test_an_interval_ends_where_the_metric_does():
    # An AU in one of eight videos: in a third of the resamples it is nowhere.
    cluster = np.repeat(np.arange(8), 10)
    there = (cluster == 3)[:, None] & (np.arange(80) % 2 == 0)[:, None]
    found_in = there | (np.arange(80) % 9 == 0)[:, None]
    sums = Decisions.of(target=there, prediction=found_in, cluster=cluster)
    it = intervals(Tallies(action_units=sums))["unit_f1"]
    assert 0 <= it.low[0] <= it.value[0] <= it.high[0] == 1
    free = intervals(Tallies(action_units=sums), ranges={})["unit_f1"]
    assert free.high[0] > 1


@pytest.mark.parametrize("skill", [0.0, 1.0])
def test_a_score_that_is_the_same_in_every_video_has_no_width(skill):
    cluster = np.repeat(np.arange(10), 6)
    target = np.tile([-0.5, -0.1, 0.0, 0.3, 0.5, 0.7], 10)
    sums = Moments.of(target=target, prediction=skill * target + 0.1, cluster=cluster)
    found = intervals(Tallies(valence_arousal=sums), resamples=100)
    for name, it in found.items():
        assert it.low == pytest.approx(float(it.value), abs=1e-9), name
        assert it.high == pytest.approx(float(it.value), abs=1e-9), name


def test_undefined_resamples_are_counted_and_too_many_leave_no_interval():
    cluster = np.repeat(np.arange(10), 4)
    target = np.tile([0, 1, 1, 0], 10)
    guess = np.where(np.arange(40) % 3 == 0, 1 - target, target)

    def accuracy_of(labelled):
        sums = Confusion.of(
            target=target,
            prediction=guess,
            classes=2,
            valid=np.isin(cluster, labelled),
            cluster=cluster,
        )
        return intervals(Tallies(expression=sums))["accuracy"]

    few = accuracy_of([0, 1, 2, 3])
    # P(no labelled video drawn, or only one draw of one) = .6^10 + 10 * .4 * .6^9 = .046
    assert 20 < few.undefined < 80
    assert few.low < few.value < few.high
    many = accuracy_of([0, 1])
    assert many.undefined > 200
    assert np.isnan(many.low)
    assert np.isnan(many.high)
    assert np.isfinite(many.value)


def test_progress_counts_resamples():
    rows = table(videos=100)
    seen = []
    intervals(tally(rows, rows["cluster"]), resamples=450, progress=lambda *now: seen.append(now))
    assert [done for done, _ in seen] == [200, 400, 450]
    assert {total for _, total in seen} == {450}


# ---------------------------------------------------------------------------------------- differences


def test_a_difference_is_candidate_minus_baseline_on_the_same_resamples():
    worse, better = (table(videos=40, skill=skill) for skill in (0.4, 0.6))
    one, other = (tally(rows, rows["cluster"]) for rows in (worse, better))
    found = differences(one, other, with_p_mtl, resamples=200)
    before, after = (with_p_mtl(tallies.total()) for tallies in (one, other))
    for name, it in found.items():
        assert it.value == pytest.approx(after[name] - before[name], abs=1e-12), name
    assert 0 < found["p_mtl"].low < found["p_mtl"].high
    back = differences(other, one, with_p_mtl, resamples=200)["p_mtl"]
    assert back.low == pytest.approx(-float(found["p_mtl"].high), abs=1e-9)
    # Paired: what the videos have in common cancels.
    alone = intervals(one, with_p_mtl, resamples=200)["p_mtl"]
    close = table(videos=40, skill=0.4)
    close["va_guess"] = close["va_guess"] * 0.99
    near = tally(close, close["cluster"])
    paired = differences(one, near, with_p_mtl, resamples=200)["p_mtl"]
    assert paired.high - paired.low < (alone.high - alone.low) / 10


def test_a_table_differs_from_itself_by_nothing():
    rows = table()
    one = tally(rows, rows["cluster"])
    for name, it in differences(one, one, resamples=60).items():
        assert not it.value.any(), name
        assert not it.low.any(), name
        assert not it.high.any(), name


def test_tables_of_other_labels_or_videos_are_not_compared():
    rows = table()
    one = tally(rows, rows["cluster"])
    message = "difference: got two tables of other labels or videos, expected the same"
    flipped = {
        "va": -rows["va"],
        "expression": (rows["expression"] + 1) % 8,
        "units": 1 - rows["units"],
        "va_valid": np.ones_like(rows["va_valid"]),
        "expression_valid": ~rows["expression_valid"],
        "units_valid": np.ones_like(rows["units_valid"]),
    }
    absent = np.argwhere(rows["units_valid"] & (rows["units"] == 0))[0]
    without_one = rows["units_valid"].copy()
    without_one[tuple(absent)] = False
    for name, values in [*flipped.items(), ("units_valid", without_one)]:
        other = tally(rows | {name: values}, rows["cluster"])
        assert refusal(differences, one, other) == message, name
    assert refusal(differences, one, tally(rows, rows["cluster"][::-1].copy())) == message
    assert refusal(differences, one, tally(rows, np.minimum(rows["cluster"], 9))) == message
    assert refusal(differences, one, Tallies(expression=one.expression)) == message


# ------------------------------------------------------------------------------------------- clusters


def test_rows_are_numbered_by_video_in_order_of_appearance():
    videos = ["b", "b", "a", "c", "a", "d", "e"]
    assert clusters_of(7, videos).tolist() == [0, 0, 1, 2, 1, 3, 4]


def test_rows_without_a_video_stand_for_themselves():
    assert clusters_of(6).tolist() == [0, 1, 2, 3, 4, 5]
    assert clusters_of(6, ["a", None, "a", None, "b", "c"]).tolist() == [0, 1, 0, 2, 3, 4]


def test_many_clusters_are_joined_evenly_and_never_split():
    videos = [f"v{row // 3}" for row in range(3 * 1000)]
    cluster = clusters_of(3000, videos)
    assert set(cluster.tolist()) == set(range(MAX_CLUSTERS))
    assert (cluster.reshape(1000, 3) == cluster.reshape(1000, 3)[:, :1]).all()
    members = np.bincount(cluster[::3])
    assert members.max() - members.min() <= 1
    assert (clusters_of(3000, videos) == cluster).all()
    assert (clusters_of(3000, videos, seed=1) != cluster).any()
    # Neighbours are not joined: that would be blocks of similar videos.
    assert np.mean(cluster[3::3] == cluster[:-3:3]) < 0.05


def test_joining_rows_leaves_the_interval():
    rng = np.random.default_rng(0)
    target = rng.uniform(-1, 1, 4000)
    guess = 0.5 * target + rng.normal(0, 0.3, 4000)
    sums = Moments.of(target=target, prediction=guess, cluster=clusters_of(4000))
    it = intervals(Tallies(valence_arousal=sums), resamples=400)["mae"]
    theory = 2 * 1.96 * abs(target - guess).std() / math.sqrt(4000)
    assert it.high - it.low == pytest.approx(theory, rel=0.15)


# -------------------------------------------------------------------------------------------- refusals


def test_too_little_to_resample_is_refused():
    assert refusal(clusters_of, 4, ["a", "b", "c", "c"]) == (
        f"interval: got 3 videos, expected at least {MIN_CLUSTERS} to resample"
    )
    assert refusal(clusters_of, 3) == "interval: got 3 rows, expected at least 5 to resample"
    assert refusal(clusters_of, 3, ["a"]) == "videos: got 1, expected one for each of 3 rows"
    rows = table(videos=3)
    few = tally(rows, rows["cluster"])
    assert refusal(intervals, few) == "interval: got 3 clusters, expected at least 5"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 1.0}, "level: got 1.0, expected more than 0 and less than 1"),
        ({"level": 95}, "level: got 95, expected more than 0 and less than 1"),
        ({"resamples": 39}, "resamples: got 39, expected at least 40"),
        ({"resamples": 199, "level": 0.99}, "resamples: got 199, expected at least 200"),
    ],
)
def test_options_that_make_no_interval_are_refused(options, message):
    rows = table()
    assert refusal(intervals, tally(rows, rows["cluster"]), **options) == message


# -------------------------------------------------------------------------------------------- coverage


def simulated(videos, seed, frames=50):
    """Videos of unequal lengths, each with moods, errors and biases of its own."""
    rng = np.random.default_rng(seed)
    length = np.clip(rng.lognormal(np.log(frames), 0.8, videos), 8, 10 * frames).astype(int)
    cluster = np.repeat(np.arange(videos), length)
    n = len(cluster)

    def by_video(*arguments, draw=rng.normal, columns=()):
        return draw(*arguments, (videos, *columns))[cluster]

    truth = by_video(0.2, 0.25, columns=(2,)) + rng.normal(0, 0.2, (n, 2))
    guess = 0.1 + 0.55 * truth + by_video(0, 0.2, columns=(2,)) + rng.normal(0, 0.1, (n, 2))

    prior = np.array([1886, 487, 565, 1254, 3751, 1893, 1003, 4601]) / 15440
    shares = rng.gamma(2 * prior, size=(videos, 8)) + 1e-9
    cumulative = (shares / shares.sum(1, keepdims=True)).cumsum(1)[cluster]
    known = (rng.random((n, 1)) > cumulative).sum(1).clip(0, 7)
    wrong = rng.choice(8, n, p=prior)
    seen = np.where(rng.random(n) < by_video(2, 2, draw=rng.beta), known, wrong)

    often = (
        np.array([5531, 2554, 5442, 8818, 13224, 11421, 8319, 782, 757, 808, 20427, 2934]) / 26876
    )
    there = rng.random((n, 12)) < rng.beta(1.5 * often, 1.5 * (1 - often), (videos, 12))[cluster]
    hit = rng.random((n, 12)) < by_video(4, 2, draw=rng.beta, columns=(12,))
    alarm = rng.random((n, 12)) < by_video(1.5, 9, draw=rng.beta, columns=(12,))
    return Tallies(
        valence_arousal=Moments.of(target=truth, prediction=guess, cluster=cluster),
        expression=Confusion.of(target=known, prediction=seen, classes=8, cluster=cluster),
        action_units=Decisions.of(
            target=there, prediction=np.where(there, hit, alarm), cluster=cluster
        ),
    )


def coverage(world, videos, repetitions, resamples, seed):
    """How often 95 % intervals from drawn videos cover the score of the world they come from."""
    rng = np.random.default_rng(seed)
    truth = with_p_mtl(world.total())
    hits = {name: np.zeros(values.shape) for name, values in truth.items()}
    for repetition in range(repetitions):
        drawn = np.zeros((videos, world.clusters))
        drawn[np.arange(videos), rng.integers(0, world.clusters, videos)] = 1
        found = intervals(world.weighted(drawn), with_p_mtl, resamples=resamples, seed=repetition)
        for name, it in found.items():
            hits[name] += (it.low <= truth[name]) & (truth[name] <= it.high)
    return {name: np.atleast_1d(count) / repetitions for name, count in hits.items()}


def test_intervals_of_thirty_videos_cover_the_truth_mostly():
    found = coverage(simulated(1000, seed=1, frames=25), 30, repetitions=80, resamples=120, seed=2)
    everything = np.concatenate(list(found.values()))
    assert 0.90 < everything.mean() < 0.98
    assert found["ccc"].mean() > 0.85


@pytest.mark.slow
def test_95_percent_intervals_of_fifty_videos_cover_the_truth_in_93_to_97_percent():
    found = coverage(simulated(10_000, seed=1), 50, repetitions=600, resamples=500, seed=2)
    for name, shares in found.items():
        print(name, np.round(100 * shares, 1))
    everything = np.concatenate(list(found.values()))
    print("mean", everything.mean(), "least", everything.min(), "most", everything.max())
    assert 0.93 < everything.mean() < 0.97
    for name in ("ccc", "macro_f1", "accuracy", "unit_accuracy", "p_mtl"):
        assert (found[name] > 0.91).all(), name
    # Means of rare AUs and classes are the hardest: their F1 is biased with so few videos.
    assert everything.min() > 0.90
    assert everything.max() < 0.985
