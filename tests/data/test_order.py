"""Sample order and random numbers: pure, uniform, independent, the same however a step is split."""

import hashlib
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.data.order import StepOrder, epoch_order, fingerprint, mix, sample_ids, uniform

WORD = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15

reproducible = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def finalise(x: int) -> int:
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & WORD
    return x ^ (x >> 31)


def splitmix64(state: int) -> int:
    """The output after ``state``, as published."""
    return finalise((state + GOLDEN) & WORD)


def restated_mix(key: int, value: int) -> int:
    return splitmix64(key ^ splitmix64(value & WORD))


def restated_uniform(
    seed: int, epoch: int, sample: int, purpose: str, view: int, draw: int
) -> float:
    key = int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=8).digest(), "little")
    for value in (seed, epoch, view, sample, draw):
        key = restated_mix(key, value)
    return (key >> 11) / 2**53


def names(count: int) -> list[str]:
    return [f"person_{i % 7}/{i:05d}.jpg" for i in range(count)]


# ---------------------------------------------------------------------------------------------- ids


def test_an_id_depends_on_the_name_alone_not_on_its_place_in_the_list():
    listed = names(200)
    shuffled = random.Random(0).sample(listed, len(listed))
    assert dict(zip(listed, sample_ids(listed), strict=True)) == dict(
        zip(shuffled, sample_ids(shuffled), strict=True)
    )
    assert sample_ids(listed)[17] == sample_ids(listed[17:18])[0]


def test_an_id_is_the_blake2b_hash_of_the_names_bytes():
    digest = hashlib.blake2b("ä/b c.png".encode(), digest_size=8).digest()
    assert int(sample_ids(["ä/b c.png"])[0]) == int.from_bytes(digest, "little")


def test_different_names_have_different_ids():
    assert len(set(sample_ids(names(50_000)).tolist())) == 50_000


def test_repeated_names_get_ids_of_their_own_by_occurrence():
    ids = sample_ids(["a", "b", "a", "a", "b"])
    assert len(set(ids.tolist())) == 5
    assert ids[0] == sample_ids(["a"])[0]
    assert sample_ids(["b", "a", "a", "b", "a"]).tolist() == ids[[1, 0, 2, 4, 3]].tolist()


def test_names_that_are_no_utf8_have_ids_of_their_own():
    raw = [b"caf\xe9.jpg", b"caf\xe8.jpg", "café.jpg".encode()]
    ids = sample_ids([name.decode("utf-8", "surrogateescape") for name in raw])
    assert [int(i) for i in ids] == [
        int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little") for name in raw
    ]


def test_no_names_give_no_ids():
    assert sample_ids([]).shape == (0,)


def test_a_fingerprint_names_the_set_of_samples_not_their_order():
    ids = sample_ids(names(100))
    assert fingerprint(ids) == fingerprint(ids[::-1])
    assert fingerprint(ids) != fingerprint(ids[:-1])
    assert fingerprint(ids) != fingerprint(sample_ids([*names(99), "other.jpg"]))
    assert fingerprint(ids).startswith("100-")


# ---------------------------------------------------------------------------------- random numbers


def test_mixing_agrees_with_the_published_splitmix64_sequence():
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    states = [(1234567 + step * GOLDEN) & WORD for step in range(5)]
    assert [splitmix64(state) for state in states] == published
    # A key that already holds the mixed value cancels it, which leaves splitmix64 of the state.
    mixed = [int(mix(np.uint64(state ^ splitmix64(0)), 0)) for state in states]
    assert mixed == published


@reproducible
@given(st.integers(0, WORD), st.integers(-(2**63), WORD))
def test_mixing_agrees_with_python_integers(key, value):
    assert int(mix(np.uint64(key), value)) == restated_mix(key, value)


def test_mixing_arrays_agrees_with_python_integers():
    keys = np.array([0, 1, WORD, GOLDEN, 2**63], np.uint64)
    values = np.array([WORD, 0, 1, 2**63, 12345], np.uint64)
    expected = [restated_mix(int(k), int(v)) for k, v in zip(keys, values, strict=True)]
    assert mix(keys, values).tolist() == expected


@reproducible
@given(
    seed=st.integers(0, 2**40),
    epoch=st.integers(0, 10_000),
    ids=st.lists(st.integers(0, WORD), min_size=1, max_size=4),
    purpose=st.sampled_from(["crop", "mask", "order"]),
    view=st.integers(0, 3),
)
def test_uniform_numbers_agree_with_python_integers(seed, epoch, ids, purpose, view):
    drawn = uniform(
        seed=seed,
        epoch=epoch,
        ids=np.array(ids, np.uint64),
        purpose=purpose,
        draws=3,
        view=view,
    )
    assert drawn.tolist() == [
        [restated_uniform(seed, epoch, sample, purpose, view, draw) for draw in range(3)]
        for sample in ids
    ]


def test_more_draws_leave_the_first_ones_as_they_were():
    ids = sample_ids(names(10))
    few = uniform(seed=1, epoch=2, ids=ids, purpose="crop", draws=5)
    many = uniform(seed=1, epoch=2, ids=ids, purpose="crop", draws=50)
    np.testing.assert_array_equal(few, many[:, :5])


def test_a_samples_numbers_do_not_depend_on_its_batch():
    ids = sample_ids(names(64))
    together = uniform(seed=1, epoch=2, ids=ids, purpose="mask", draws=9)
    alone = uniform(seed=1, epoch=2, ids=ids[40:41], purpose="mask", draws=9)
    np.testing.assert_array_equal(together[40:41], alone)


CONSECUTIVE = np.arange(20_000, dtype=np.uint64)
NAMED = sample_ids(names(20_000))


def drawn(**changes):
    arguments = {"seed": 0, "epoch": 0, "ids": NAMED, "purpose": "crop", "draws": 1, "view": 0}
    return uniform(**(arguments | changes)).ravel()


def one_by_one(field, values):
    return np.concatenate([drawn(ids=NAMED[:1], **{field: value}) for value in values])


STREAMS = {
    "over draws": lambda: drawn(ids=NAMED[:1], draws=50_000),
    "over named samples": drawn,
    "over consecutive ids": lambda: drawn(ids=CONSECUTIVE),
    "over epochs": lambda: one_by_one("epoch", range(5_000)),
    "over seeds": lambda: one_by_one("seed", range(5_000)),
    "over views": lambda: one_by_one("view", range(5_000)),
    "over purposes": lambda: one_by_one("purpose", [f"purpose {p}" for p in range(5_000)]),
    "over samples and draws": lambda: drawn(ids=NAMED[:2_000], draws=50),
}


@pytest.mark.parametrize("name", list(STREAMS))
def test_numbers_are_uniform(name):
    numbers = STREAMS[name]()
    count = len(numbers)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    # Kolmogorov-Smirnov: 1.95 / sqrt(n) is exceeded by one uniform sequence in a thousand.
    ranks = np.arange(1, count + 1) / count
    ordered = np.sort(numbers)
    distance = max((ranks - ordered).max(), (ordered - ranks + 1 / count).max())
    assert distance < 1.95 / math.sqrt(count)
    # Chi-square over 64 bins, its mean 63 and standard deviation sqrt(2 x 63).
    seen = np.histogram(numbers, 64, (0, 1))[0]
    statistic = ((seen - count / 64) ** 2 / (count / 64)).sum()
    assert abs(statistic - 63) < 4 * math.sqrt(2 * 63)
    # The low bits must be as good as the high ones: the fraction of the number's 2**20-fold.
    low = np.histogram((numbers * 2**20) % 1, 64, (0, 1))[0]
    statistic = ((low - count / 64) ** 2 / (count / 64)).sum()
    assert abs(statistic - 63) < 4 * math.sqrt(2 * 63)


PAIRS = {
    "neighbouring draws": lambda: np.split(drawn(ids=NAMED, draws=2).reshape(-1, 2), 2, axis=1),
    "neighbouring named samples": lambda: (drawn()[:-1], drawn()[1:]),
    "neighbouring ids": lambda: (drawn(ids=CONSECUTIVE)[:-1], drawn(ids=CONSECUTIVE)[1:]),
    "neighbouring epochs": lambda: (drawn(epoch=3), drawn(epoch=4)),
    "neighbouring seeds": lambda: (drawn(seed=3), drawn(seed=4)),
    "views": lambda: (drawn(view=0), drawn(view=1)),
    "purposes": lambda: (drawn(purpose="crop"), drawn(purpose="mask")),
    "seed against epoch": lambda: (drawn(seed=1, epoch=0), drawn(seed=0, epoch=1)),
    "epoch against view": lambda: (drawn(epoch=1, view=0), drawn(epoch=0, view=1)),
    "ids one bit apart": lambda: (drawn(), drawn(ids=NAMED ^ np.uint64(1 << 63))),
}


@pytest.mark.parametrize("name", list(PAIRS))
def test_numbers_are_independent_of_their_neighbours(name):
    first, second = (np.ravel(side) for side in PAIRS[name]())
    count = len(first)
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / math.sqrt(count)
    # Dependence that is not linear: chi-square over an 8 x 8 table.
    seen = np.histogram2d(first, second, 8, ((0, 1), (0, 1)))[0]
    statistic = ((seen - count / 64) ** 2 / (count / 64)).sum()
    assert abs(statistic - 63) < 4 * math.sqrt(2 * 63)


def test_one_bit_of_the_id_changes_half_of_the_bits_drawn():
    key = mix(np.uint64(7), 11)
    ids = NAMED[:500]
    for bit in range(64):
        changed = mix(key, ids) ^ mix(key, ids ^ np.uint64(1 << bit))
        ones = np.unpackbits(changed.view(np.uint8)).mean()
        assert 0.48 < ones < 0.52, bit


# -------------------------------------------------------------------------------------------- order


def test_an_epochs_order_is_a_permutation():
    order = epoch_order(0, 5, sample_ids(names(1_000)))
    assert sorted(order.tolist()) == list(range(1_000))


def test_epochs_and_seeds_have_orders_of_their_own():
    ids = sample_ids(names(1_000))
    base = epoch_order(0, 0, ids)
    for other in (epoch_order(0, 1, ids), epoch_order(1, 0, ids)):
        assert (base == other).sum() < 10  # one is expected by chance
        assert abs(np.corrcoef(np.argsort(base), np.argsort(other))[0, 1]) < 4 / math.sqrt(1_000)
    np.testing.assert_array_equal(base, epoch_order(0, 0, ids))


def test_a_permutation_is_unrelated_to_the_listing():
    order = epoch_order(0, 0, sample_ids(names(5_000)))
    assert abs(np.corrcoef(order, np.arange(5_000))[0, 1]) < 4 / math.sqrt(5_000)


@reproducible
@given(st.integers(1, 60), st.integers(0, 2**31), st.integers(0, 50), st.randoms())
def test_the_sequence_of_names_does_not_depend_on_how_they_are_listed(count, seed, epoch, rng):
    listed = names(count)
    shuffled = rng.sample(listed, count)
    first = [listed[i] for i in epoch_order(seed, epoch, sample_ids(listed))]
    second = [shuffled[i] for i in epoch_order(seed, epoch, sample_ids(shuffled))]
    assert first == second


@reproducible
@given(st.integers(1, 40), st.integers(1, 40))
def test_an_epoch_has_as_many_steps_as_fit(count, batch):
    assert StepOrder(0, sample_ids(names(count)), batch).steps_per_epoch == count // batch


@reproducible
@given(st.integers(1, 50), st.data())
def test_a_step_follows_the_epochs_permutation_and_no_sample_comes_twice(count, data):
    batch = data.draw(st.integers(1, count))
    ids = sample_ids(names(count))
    order = StepOrder(3, ids, batch)
    for expected in range(3):
        steps = range(expected * order.steps_per_epoch, (expected + 1) * order.steps_per_epoch)
        taken = [order.samples(step) for step in steps]
        assert {epoch for epoch, _ in taken} == {expected}
        seen = np.concatenate([samples for _, samples in taken])
        assert len(set(seen.tolist())) == len(seen) == order.steps_per_epoch * batch
        np.testing.assert_array_equal(seen, epoch_order(3, expected, ids)[: len(seen)])


def test_every_epoch_leaves_out_other_samples():
    order = StepOrder(0, sample_ids(names(30)), 8)  # 3 steps, 6 samples are left out
    left_out = []
    for epoch in range(60):
        seen = np.concatenate([order.samples(3 * epoch + step)[1] for step in range(3)])
        left_out.append(frozenset(range(30)) - frozenset(seen.tolist()))
    assert all(len(out) == 6 for out in left_out)
    assert len(set(left_out)) > 50
    assert set().union(*left_out) == set(range(30))


@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize("micro_batches", [1, 2, 4])
def test_processes_and_micro_batches_tile_the_step(world_size, micro_batches):
    order = StepOrder(0, sample_ids(names(100)), 16)
    for step in (0, 5, 6, 13):
        epoch, samples = order.samples(step)
        parts = [
            part
            for rank in range(world_size)
            for part in order.share(step, rank, world_size, micro_batches)
        ]
        assert len(parts) == world_size * micro_batches
        assert {len(indices) for _, indices in parts} == {16 // world_size // micro_batches}
        assert {part_epoch for part_epoch, _ in parts} == {epoch}
        np.testing.assert_array_equal(np.concatenate([indices for _, indices in parts]), samples)


@reproducible
@given(
    st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 40), st.integers(0, 99)
)
def test_any_even_split_tiles_the_step(world_size, micro_batches, micro_batch, extra, step):
    batch = world_size * micro_batches * micro_batch
    order = StepOrder(9, sample_ids(names(batch + extra)), batch)
    shares = [order.share(step, rank, world_size, micro_batches) for rank in range(world_size)]
    joined = np.concatenate([indices for share in shares for _, indices in share])
    np.testing.assert_array_equal(joined, order.samples(step)[1])


@reproducible
@given(st.integers(1, 30), st.integers(1, 10), st.integers(0, 60))
def test_starting_at_a_later_step_gives_the_same_tail(count, batch, first):
    ids = sample_ids(names(max(count, batch)))
    through, resumed = StepOrder(1, ids, batch), StepOrder(1, ids, batch)
    for step in range(first + 20):
        epoch, samples = through.samples(step)
        if step >= first:
            resumed_epoch, resumed_samples = resumed.samples(step)
            assert epoch == resumed_epoch
            np.testing.assert_array_equal(samples, resumed_samples)


def test_steps_may_be_asked_for_in_any_order():
    order = StepOrder(1, sample_ids(names(20)), 4)
    forward = [order.samples(step)[1].tolist() for step in range(20)]
    backward = [order.samples(step)[1].tolist() for step in reversed(range(20))]
    assert forward == backward[::-1]


# ------------------------------------------------------------------------------------------ mixtures


def test_a_fraction_of_a_range_is_drawn_anew_in_every_epoch():
    ids = sample_ids([str(index) for index in range(100)])
    part = range(40, 90)
    epochs = [epoch_order(3, epoch, ids, [(part, 0.3)]) for epoch in range(200)]
    seen = np.zeros(100, int)
    for order in epochs:
        assert len(set(order.tolist())) == len(order) == 50 + 15
        assert set(range(40)) | set(range(90, 100)) <= set(order.tolist())
        seen[order] += 1
    # 200 draws of 0.3 each: 60 on average, with a standard deviation of 6.5
    assert abs(seen[40:90].mean() - 60) < 1e-9
    assert seen[40:90].min() > 30
    assert seen[40:90].max() < 90
    assert set(epochs[0].tolist()) != set(epochs[1].tolist())


def test_whole_ranges_are_ordered_as_without_fractions():
    ids = sample_ids([str(index) for index in range(60)])
    whole, part = epoch_order(3, 7, ids), epoch_order(3, 7, ids, [(range(10, 20), 0.5)])
    kept = set(part.tolist())
    assert [index for index in whole if index in kept] == part.tolist()


def test_the_steps_of_an_epoch_count_what_it_takes():
    ids = sample_ids([str(index) for index in range(100)])
    order = StepOrder(3, ids, 10, [(range(50), 0.5), (range(50, 60), 0.3)])
    assert order.steps_per_epoch == (25 + 3 + 40) // 10
    for step in range(2 * order.steps_per_epoch):
        epoch, samples = order.samples(step)
        assert epoch == step // order.steps_per_epoch
        assert len(samples) == 10
