"""Listed images: which folder they are taken from, which are absent, and whose labels they keep."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_files import write
from numbered import number_of, picture, write_picture

from finetune.data.annotations import Annotations
from finetune.data.columns import make_targets
from finetune.data.images import FoundImages, LabelledImages, find_images
from finetune.labels import ACTION_UNIT_SPACES, EXPRESSION_SPACES
from pretrain.data.images import BadImage, decode

EIGHT = EXPRESSION_SPACES["aff_wild2_8"]
TWELVE = ACTION_UNIT_SPACES["aff_wild2_12"]


def numbered(images, numbers=None, videos=None):
    """Annotations whose every label tells its row's number, up to 255."""
    numbers = np.arange(len(images)) if numbers is None else np.asarray(numbers)
    n = len(images)
    return Annotations(
        images,
        make_targets(
            n,
            valence_arousal=(np.column_stack([numbers, -numbers]) / 256, np.ones((n, 2), bool)),
            expression=(numbers % 8, np.ones(n, bool)),
            action_units=(numbers[:, None] >> np.arange(12) & 1, np.ones((n, 12), bool)),
            expression_space=EIGHT,
            action_unit_space=TWELVE,
        ),
        videos=videos,
        frames=None if videos is None else numbers,
        subjects=[f"s{number}" for number in numbers],
    )


def numbers_in(targets):
    """The number that each row's labels tell, which have to agree."""
    affect = np.rint(targets.valence_arousal * [256, -256]).astype(int)
    units = (targets.action_units << np.arange(targets.action_units.shape[1])).sum(1)
    assert (affect[:, 0] == affect[:, 1]).all()
    assert (affect[:, 0] == units).all()
    assert (units % 8 == targets.expression).all()
    return units.tolist()


def numbers_of(images):
    return [number_of(images.image(row)) for row in range(len(images))]


def test_the_first_folder_that_holds_an_image_wins(tmp_path):
    for number, name in enumerate(["one/v/1.jpg", "two/v/1.jpg", "two/v/2.jpg", "v/3.jpg"]):
        write_picture(tmp_path / name, number)
    listed = ["v/2.jpg", "v/1.jpg", "v/3.jpg", "v/4.jpg", "v/1.jpg", "w/1.jpg"]
    paths, absent = find_images(tmp_path, ["one", "two", "."], listed)
    images = FoundImages(listed, paths)
    assert [number_of(images.image(row)) for row in (0, 1, 2, 4)] == [2, 0, 3, 0]
    assert absent == [3, 5]
    assert (paths[3], paths[5]) == (None, None)
    paths, _ = find_images(tmp_path, ["two", "one"], listed)
    assert number_of(FoundImages(listed, paths).image(1)) == 1


def test_images_in_the_folder_itself_and_deep_below_are_found(tmp_path):
    write(tmp_path / "a.png", "")
    write(tmp_path / "r/x/y/z/b.png", "")
    paths, absent = find_images(tmp_path, ["r", "."], ["a.png", "x/y/z/b.png", "r/x/y/z/b.png"])
    assert absent == []
    assert [path.removeprefix(str(tmp_path)) for path in paths] == [
        "/./a.png",
        "/r/x/y/z/b.png",
        "/./r/x/y/z/b.png",
    ]


def test_names_are_compared_letter_by_letter(tmp_path):
    write(tmp_path / "v/1.jpg", "")
    listed = ["v/1.JPG", "V/1.jpg", "v/01.jpg", "v/1", "v/1.jpg"]
    assert find_images(tmp_path, ["."], listed)[1] == [0, 1, 2, 3]


def test_a_file_where_a_folder_should_be_holds_no_images(tmp_path):
    write(tmp_path / "cropped", "")
    assert find_images(tmp_path, ["cropped", "gone"], ["v/1.jpg"]) == ([None], [0])
    assert find_images(tmp_path, ["."], []) == ([], [])


def test_an_absent_image_is_bad_by_its_name():
    images = FoundImages(["v/1.jpg"], [None])
    for ask in (images.image, images.encoded):
        with pytest.raises(BadImage, match=r"v/1\.jpg: absent: listed, but no such file"):
            ask(0)


def test_a_file_that_went_away_is_bad_by_its_path(tmp_path):
    images = FoundImages(["v/1.jpg"], [str(tmp_path / "v/1.jpg")])
    for ask in (images.image, images.encoded):
        with pytest.raises(BadImage, match=r"v/1\.jpg"):
            ask(0)


def labelled(tmp_path, there, listed):
    """Images of which some files exist; file and labels tell the row's number."""
    for row, name in enumerate(listed):
        if name in there and not (tmp_path / name).exists():
            write_picture(tmp_path / name, row)
    paths, absent = find_images(tmp_path, ["."], listed)
    return LabelledImages(FoundImages(listed, paths), numbered(listed), absent)


def test_pixels_encoded_bytes_and_labels_are_of_the_same_row(tmp_path):
    listed = [f"v{number % 3}/{number}.jpg" for number in range(20)]
    images = labelled(tmp_path, set(listed), listed)
    assert numbers_of(images) == numbers_in(images.targets) == list(range(20))
    for row in range(20):
        assert number_of(decode(images.encoded(row), "x")) == row
        assert images.aspect(row) is None
    assert (len(images), images.named, images.cut) == (20, True, False)


def test_training_leaves_out_absent_rows_and_no_others(tmp_path):
    listed = ["a/0.png", "b/1.png", "a/2.png", "c/3.png", "a/4.png", "b/1.png", "a/2.png"]
    images = labelled(tmp_path, {"a/0.png", "a/2.png", "a/4.png"}, listed)
    assert images.absent == (1, 3, 5)
    kept, line = images.to_train_on()
    assert line == "3 of 7 listed images are absent: b/1.png, c/3.png, b/1.png"
    assert list(kept.names) == ["a/0.png", "a/2.png", "a/4.png", "a/2.png"]
    assert numbers_in(kept.targets) == [0, 2, 4, 6]
    assert numbers_of(kept) == [0, 2, 4, 2]  # the second a/2.png is the same file
    assert kept.annotations.subjects == ["s0", "s2", "s4", "s6"]
    assert kept.absent == ()
    assert kept.to_train_on() == (kept, "")


def test_the_list_itself_keeps_every_row(tmp_path):
    listed = ["a/0.png", "gone.png", "a/2.png"]
    images = labelled(tmp_path, {"a/0.png", "a/2.png"}, listed)
    images.to_train_on()
    assert list(images.names) == listed
    assert len(images) == len(images.annotations) == 3
    with pytest.raises(BadImage, match=r"gone\.png"):
        images.image(1)
    assert number_of(images.image(2)) == 2


def test_many_absent_images_are_counted_and_three_named(tmp_path):
    images = labelled(tmp_path, set(), [f"{number}.png" for number in range(12)])
    assert images.absent_line() == ("12 of 12 listed images are absent: 0.png, 1.png, 2.png, ...")
    kept, _ = images.to_train_on()
    assert len(kept) == 0


def test_other_spaces_change_labels_and_nothing_else(tmp_path):
    listed = ["a.png", "gone.png", "c.png"]
    images = labelled(tmp_path, {"a.png", "c.png"}, listed)
    found = images.in_spaces(EXPRESSION_SPACES["affectnet_8"], ACTION_UNIT_SPACES["aff_wild_8"])
    assert list(found.names) == listed
    assert found.absent == (1,)
    names = [found.targets.expression_space.classes[k] for k in found.targets.expression]
    assert names == ["Neutral", "Anger", "Disgust"]
    assert number_of(found.image(2)) == 2
    assert found.targets.action_units.shape == (3, 8)
    assert found.annotations.subjects == images.annotations.subjects
    assert images.targets.expression_space == EIGHT


def test_rows_of_annotations_are_selected_with_all_they_know():
    images = [f"v{number % 2}/{number}.jpg" for number in range(6)]
    known = numbered(images, videos=[f"v{number % 2}" for number in range(6)])
    found = known.select(np.array([4, 4, 0, 3]))
    assert list(found.images) == ["v0/4.jpg", "v0/4.jpg", "v0/0.jpg", "v1/3.jpg"]
    assert list(found.videos) == ["v0", "v0", "v0", "v1"]
    assert found.frames.tolist() == numbers_in(found.targets) == [4, 4, 0, 3]
    assert list(found.subjects) == ["s4", "s4", "s0", "s3"]
    assert len(known.select(np.array([], np.int64))) == 0


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.sets(st.integers(0, 30)))
def test_labels_follow_their_images_whatever_is_absent(numbers, gone):
    listed = [f"{number}.png" for number in numbers]

    class Drawn(FoundImages):
        def image(self, index):
            self._path(index)
            return picture(int(self.names[index].removesuffix(".png")))

    paths = [None if number in gone else name for number, name in zip(numbers, listed, strict=True)]
    absent = [row for row, path in enumerate(paths) if path is None]
    images = LabelledImages(Drawn(listed, paths), numbered(listed, numbers), absent)
    kept, line = images.to_train_on()
    expected = [number for number in numbers if number not in gone]
    assert numbers_of(kept) == numbers_in(kept.targets) == expected
    assert bool(line) == bool(absent)
