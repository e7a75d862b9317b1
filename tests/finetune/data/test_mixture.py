"""Labelled mixtures: whatever is mixed, permuted, repeated or packed, a label is of its own image.

Every image shows a number, and every label is made of the same number.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numbered import number_of, picture, write_picture

from finetune.data import synthetic
from finetune.data.annotations import Annotations
from finetune.data.columns import make_targets
from finetune.data.config import LabelledConfig
from finetune.data.images import LabelledImages, LabelledMixture
from finetune.data.opening import read_collection
from finetune.labels import ActionUnitSpace, expression_space
from pretrain import pack as packing
from pretrain.data.images import decode
from pretrain.data.order import epoch_order, sample_ids
from pretrain.data.packing.format import PackSettings
from pretrain.data.packing.pack import pack
from pretrain.data.shards import ShardSource
from pretrain.data.sources import Source, SourceError
from pretrain.data.synthetic import SyntheticConfig

EIGHT = expression_space("aff_wild2_8")
AFFECTNET = expression_space("affectnet_8")
RAFDB = expression_space("rafdb_7")
UNITS = ActionUnitSpace("eight", (1, 2, 4, 6, 12, 15, 25, 26))


class Drawn(Source):
    """Pictures of numbers, under names that tell them too."""

    def __init__(self, numbers):
        self.numbers = numbers
        self.names = [f"{number:03d}.png" for number in numbers]

    def image(self, index):
        return picture(self.numbers[index])


def annotations(numbers, classes=EIGHT, units=UNITS):
    """Labels made of numbers from 0 to 255: all of it as valence, its bits as action units."""
    numbers = np.asarray(numbers, np.int64)
    n = len(numbers)
    return Annotations(
        [f"{number:03d}.png" for number in numbers],
        make_targets(
            n,
            valence_arousal=(np.column_stack([numbers, -numbers]) / 256, np.ones((n, 2), bool)),
            expression=(numbers % len(classes), np.ones(n, bool)),
            action_units=(_bits(numbers, units), np.ones((n, len(units)), bool)),
            expression_space=classes,
            action_unit_space=units,
        ),
        subjects=[f"s{number}" for number in numbers],
    )


def _bits(numbers, space):
    """Bit b is the action unit in place b of UNITS, in whatever order the space has them."""
    places = [UNITS.units.index(unit) for unit in space.units]
    return numbers[:, None] >> np.array(places) & 1


def collection(numbers, classes=EIGHT, units=UNITS):
    return LabelledImages(Drawn(list(numbers)), annotations(numbers, classes, units))


def check(mixture, classes):
    """Every row's picture, name and labels tell the same number; returns the numbers.

    Args:
        mixture: of collections.
        classes: by row, the space that its labels were given in.
    """
    targets = mixture.targets
    assert len(targets) == len(mixture.names)
    numbers = [number_of(mixture.image(row)) for row in range(len(mixture.names))]
    for row, number in enumerate(numbers):
        assert mixture.names[row].endswith(f"/{number:03d}.png")
        assert targets.valence_arousal[row].tolist() == [number / 256, -number / 256]
        assert targets.action_units[row].tolist() == _bits(np.array([number]), UNITS)[0].tolist()
        own = classes[row].classes[number % len(classes[row])]
        if own in targets.expression_space.classes:
            assert targets.expression_valid[row]
            assert targets.expression_space.classes[targets.expression[row]] == own
        else:
            assert not targets.expression_valid[row]
    return numbers


def test_weights_repeat_images_and_labels_alike():
    one, two, three = collection([7, 3, 7]), collection([200, 100]), collection([9, 9, 1, 0])
    mixture = LabelledMixture([(one, 2), (two, 1.5), (three, 0.5)], EIGHT, UNITS)
    assert check(mixture, [EIGHT] * 14) == [7, 3, 7] * 2 + [200, 100] * 2 + [9, 9, 1, 0]
    assert mixture.partial == ((range(8, 10), 0.5), (range(10, 14), 0.5))
    assert mixture.names[:3] == ["0/007.png", "0/003.png", "0/007.png"]


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 255), min_size=2, max_size=12),
            st.sampled_from([0.5, 1, 1.5, 2, 3.25]),
            st.sampled_from([EIGHT, AFFECTNET, RAFDB]),
            st.permutations(UNITS.units),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_labels_stay_with_their_images_through_every_mixture(parts):
    collections, classes = [], []
    for numbers, weight, space, units in parts:
        named = ActionUnitSpace("permuted", tuple(units))
        collections.append((collection(numbers, space, named), weight))
        classes += [space] * (len(numbers) * int(np.ceil(weight)))
    mixture = LabelledMixture(collections, EIGHT, UNITS)
    check(mixture, classes)


def test_an_epoch_takes_images_and_labels_by_the_same_index():
    parts = [(collection(range(40)), 2), (collection(range(200, 220)), 0.5)]
    mixture = LabelledMixture(parts, EIGHT, UNITS)
    ids = sample_ids(mixture.names)
    for epoch in range(3):
        order = epoch_order(7, epoch, ids, mixture.partial).tolist()
        seen = [number_of(mixture.image(index)) for index in order]
        assert (256 * mixture.targets.valence_arousal[order, 0]).tolist() == seen
        half = [number for number in seen if number >= 200]
        assert sorted(set(seen) - set(half)) == list(range(40))
        assert (len(seen), len(half), len(set(half))) == (90, 10, 10)


def test_expressions_of_other_spaces_are_converted_by_name():
    numbers = list(range(16))
    parts = [(collection(numbers, AFFECTNET), 1), (collection(numbers, RAFDB), 1)]
    plain = LabelledMixture(parts, EIGHT, UNITS)
    check(plain, [AFFECTNET] * 16 + [RAFDB] * 16)
    contempt = [row for row in range(16) if row % 8 == 7]
    assert np.flatnonzero(~plain.targets.expression_valid).tolist() == contempt
    mapped = LabelledMixture(parts, EIGHT, UNITS, "contempt_to_other")
    assert mapped.targets.expression_valid.all()
    names = [EIGHT.classes[index] for index in mapped.targets.expression]
    assert [row for row, name in enumerate(names) if name == "Other"] == contempt
    assert names[:8] == [*AFFECTNET.classes[:7], "Other"]
    assert names[16:23] == list(RAFDB.classes)


def test_action_units_that_a_part_lacks_are_missing_in_its_rows_alone():
    few = ActionUnitSpace("few", (25, 1))
    parts = [(collection([255, 0]), 1), (collection([255, 0], units=few), 1)]
    targets = LabelledMixture(parts, EIGHT, UNITS).targets
    assert (
        targets.action_units_valid.tolist()
        == [[True] * 8] * 2 + [[True, False, False, False, False, False, True, False]] * 2
    )
    assert targets.action_units.tolist() == [
        [1] * 8,
        [0] * 8,
        [1, 0, 0, 0, 0, 0, 1, 0],
        [0] * 8,
    ]


def test_the_parts_keep_their_own_labels():
    part = collection([3, 250], AFFECTNET)
    before = part.targets.expression.copy()
    LabelledMixture([(part, 2)], EIGHT, UNITS, "contempt_to_other")
    assert part.targets.expression_space == AFFECTNET
    assert np.array_equal(part.targets.expression, before)


def test_a_weight_that_takes_nothing_is_refused():
    with pytest.raises(SourceError, match=r"weight 0\.1 takes none of the 2 images of part 1"):
        LabelledMixture([(collection([1]), 1), (collection([2, 3]), 0.1)], EIGHT, UNITS)


def write_list(root, numbers):
    """A manifest of pictures in any order, repeated ones included; every cell tells the number."""
    rows = ["image,valence,arousal,expression,AU1,AU2,AU4,AU6,AU12,AU15,AU25,AU26"]
    for number in numbers:
        name = f"{number % 5}/{number:03d}.png"
        if not (root / name).exists():
            write_picture(root / name, number)
        bits = [str(number >> bit & 1) for bit in range(8)]
        expression = EIGHT.classes[number % 8]
        rows.append(",".join([name, str(number / 256), str(-number / 256), expression, *bits]))
    (root / "train.csv").write_text("\n".join(rows) + "\n")
    return read_collection(LabelledConfig(kind="manifest", root=str(root), split="train"))


def test_files_listed_in_any_order_keep_their_labels(tmp_path):
    rng = np.random.default_rng(0)
    one = [*rng.permutation(60).tolist(), 5, 5, 59]
    two = rng.permutation(np.arange(200, 230)).tolist()
    for name, numbers in (("one", one), ("two", two)):
        (tmp_path / name).mkdir()
        write_list(tmp_path / name, numbers)
    (tmp_path / "one/3/003.png").unlink()
    first, second = (
        read_collection(
            LabelledConfig(kind="manifest", root=str(tmp_path / name), split="train")
        ).open_images()
        for name in ("one", "two")
    )
    kept, line = first.to_train_on()
    assert line == "1 of 63 listed images are absent: 3/003.png"
    mixture = LabelledMixture([(kept, 2), (second, 0.5)], EIGHT, UNITS)
    there = [number for number in one if number != 3]
    assert check(mixture, [EIGHT] * (2 * len(there) + len(two))) == there * 2 + two


def test_packed_shards_of_a_list_keep_its_order_and_its_labels(tmp_path):
    rng = np.random.default_rng(1)
    numbers = rng.permutation(100).tolist()
    listed = write_list(tmp_path, numbers)
    images = listed.open_images()
    for format_, workers in (("jpeg", 2), ("raw", 1)):
        folder = tmp_path / f"packed_{format_}"
        fit = "keep" if format_ == "jpeg" else "squash"
        pack_settings = PackSettings(format=format_, size=32, fit=fit, min_side=8, shard_images=7)
        pack(images, folder, pack_settings, origin="list", workers=workers, progress=lambda _: None)
        shards = ShardSource(folder)
        assert list(shards.names) == list(images.names)
        packed = LabelledImages(shards, listed.annotations)
        mixture = LabelledMixture([(packed, 1.5), (images, 1)], EIGHT, UNITS)
        assert check(mixture, [EIGHT] * 300) == numbers * 3
        encoded = packed.encoded(41)
        assert (encoded is None) == (format_ == "raw")
        assert encoded is None or number_of(decode(encoded, "x")) == numbers[41]


def test_the_packing_program_keeps_the_order_of_a_list(tmp_path, monkeypatch):
    numbers = [9, 200, 3, 77, 3, 41]
    listed = write_list(tmp_path, numbers)
    arguments = [
        *(tmp_path / "train.csv", tmp_path / "packed", "--root", tmp_path, "--size", 32),
        *("--min_side", 8, "--duplicates", "keep", "--workers", 1),
    ]
    monkeypatch.setattr("sys.argv", ["pack", *map(str, arguments)])
    assert packing.main() == 0
    packed = LabelledImages(ShardSource(tmp_path / "packed"), listed.annotations)
    assert check(LabelledMixture([(packed, 1)], EIGHT, UNITS), [EIGHT] * 6) == numbers


def test_drawn_faces_mix_with_others():
    config = LabelledConfig(split="train", synthetic=SyntheticConfig(count=8, subjects=4, size=32))
    drawn = read_collection(config)
    twelve = drawn.annotations.targets.action_unit_space
    mixture = LabelledMixture([(collection([5]), 1), (drawn.open_images(), 2)], EIGHT, twelve)
    source = synthetic.faces(config.synthetic, "train")
    for row, own in enumerate([*range(8), *range(8)], start=1):
        assert np.array_equal(mixture.image(row), source.image(own))
        for name in ("valence_arousal", "expression", "action_units_valid"):
            known = getattr(drawn.annotations.targets, name)[own]
            assert np.array_equal(getattr(mixture.targets, name)[row], known)
