"""From a config to a collection: every kind through the one door, and what no kind accepts."""

import os
from dataclasses import replace

import numpy as np
import pytest
from every_kind import EVERY
from label_files import write

from finetune.data import opening
from finetune.data.annotations import AbsentError, AnnotationError
from finetune.data.config import LabelledConfig
from finetune.data.opening import KINDS, KindError, read_collection, splits_of
from pretrain.data.images import BadImage
from pretrain.data.synthetic import SyntheticConfig


def refusal(config):
    with pytest.raises((KindError, AnnotationError)) as caught:
        read_collection(config)
    message = str(caught.value)
    assert "\n" not in message
    assert ", expected " in message
    return message


def test_every_kind_has_a_tree_here():
    own_tests = {"folder", "list", "generated", "synthetic"}
    assert {tree.kind for tree in EVERY.values()} | own_tests == set(KINDS)


@pytest.mark.parametrize("name", EVERY)
def test_every_kind_is_read_as_its_reader_reads_it(tmp_path, name):
    tree = EVERY[name]
    config = tree.lay_out(tmp_path)
    collection = read_collection(config)
    assert (collection.kind, collection.split, collection.drawn) == (tree.kind, tree.split, False)
    track = () if tree.track is None else (tree.track,)
    direct = KINDS[tree.kind].read(tmp_path, tree.split, *track)
    assert list(collection.annotations.images) == list(direct.images)
    assert collection.annotations.videos == direct.videos
    for field, value in vars(direct.targets).items():
        assert np.array_equal(value, getattr(collection.annotations.targets, field)), field


#: Typed by hand: the images of each tree in their order.
IMAGES = {
    "aff_wild2_mtl": "426/00001.jpg 426/00003.jpg video45_1/00050.jpg 426/00001.jpg 9_left/00002.jpg",
    "aff_wild2_mtl test": "7/00001.jpg video2_1/00009.jpg 7/00001.jpg 7/00004.jpg",
    "aff_wild2_video VA": "10_left/00001.jpg 10_left/00002.jpg 10_left/00003.jpg 9/00001.jpg",
    "aff_wild2_video EXPR": "3/00001.jpg 3/00002.jpg 3/00003.jpg 4/00001.jpg",
    "aff_wild2_video AU": "3/00001.jpg 3/00002.jpg 8/00001.jpg",
    "lsd test": "1.jpg 0.jpg 10.jpg 1.jpg",
    "manifest": "a/1.jpg b.jpg b.jpg",
    "raf_au": "0002_aligned.jpg 0001_aligned.jpg 0003_aligned.jpg 0004_aligned.jpg",
    "afew_va": "001/00000.png 002/00009.png 002/00010.png",
}


@pytest.mark.parametrize("name", IMAGES)
def test_the_images_come_in_the_order_of_the_list(tmp_path, name):
    collection = read_collection(EVERY[name].lay_out(tmp_path))
    assert list(collection.annotations.images) == IMAGES[name].split()


def test_a_track_has_its_own_labels_and_no_others(tmp_path):
    found = {}
    for track in ("VA", "EXPR", "AU"):
        targets = read_collection(
            EVERY[f"aff_wild2_video {track}"].lay_out(tmp_path)
        ).annotations.targets
        found[track] = [
            int(valid.any(-1).sum() if valid.ndim == 2 else valid.sum())
            for valid in (
                targets.valence_arousal_valid,
                targets.expression_valid,
                targets.action_units_valid,
            )
        ]
    assert found == {"VA": [3, 0, 0], "EXPR": [0, 3, 0], "AU": [0, 0, 2]}


@pytest.mark.parametrize("name", EVERY)
def test_reading_looks_at_no_image_and_opening_misses_them_all(tmp_path, name):
    collection = read_collection(EVERY[name].lay_out(tmp_path))
    images = collection.open_images()
    assert images.annotations is collection.annotations
    assert list(images.names) == list(collection.annotations.images)
    if name in ("lsd", "fer2013 folders"):  # their labels are the places of their images
        assert images.absent == ()
        return
    assert images.absent == tuple(range(len(images)))
    with pytest.raises(BadImage, match="absent: listed, but no such file"):
        images.image(0)


@pytest.mark.parametrize("name", EVERY)
def test_images_are_found_where_the_kind_keeps_them(tmp_path, name):
    tree = EVERY[name]
    config = tree.lay_out(tmp_path)
    folders = KINDS[tree.kind].IMAGE_ROOTS
    collection = read_collection(config)
    for folder in folders:
        for image in collection.annotations.images:
            write(tmp_path / folder / image, "")
    images = collection.open_images()
    assert images.absent == ()
    found = [os.path.normpath(path) for path in images.source.paths]
    first = tmp_path / folders[0]  # the others hold them as well
    assert found == [os.path.normpath(first / image) for image in images.names]


@pytest.mark.parametrize("name", EVERY)
def test_another_split_than_the_kinds_is_one_line(tmp_path, name):
    config = replace(EVERY[name].lay_out(tmp_path), split="traim")
    expected = f"split 'traim', expected one of {', '.join(KINDS[EVERY[name].kind].SPLITS)}"
    assert refusal(config) == f"{tmp_path}: {expected}"


@pytest.mark.parametrize("name", EVERY)
def test_a_track_belongs_to_one_kind_alone(tmp_path, name):
    config = EVERY[name].lay_out(tmp_path)
    if config.kind == "aff_wild2_video":
        assert refusal(replace(config, track=None)) == "track None, expected one of VA, EXPR, AU"
        assert refusal(replace(config, track="va")) == (
            f"{tmp_path}: track 'va', expected one of VA, EXPR, AU"
        )
    else:
        message = refusal(replace(config, track="VA"))
        assert message == f"track 'VA', expected none with kind {config.kind}"


@pytest.mark.parametrize("name", EVERY)
def test_a_wrong_root_is_one_line(tmp_path, name):
    config = EVERY[name].lay_out(tmp_path / "there")
    expected = f"expected the folder of a collection of kind {config.kind}"
    missing = refusal(replace(config, root=str(tmp_path / "gone")))
    assert missing == f"{tmp_path / 'gone'}: no such folder, {expected}"
    write(tmp_path / "file", "")
    assert refusal(replace(config, root=str(tmp_path / "file"))) == (
        f"{tmp_path / 'file'}: a file, {expected}"
    )


@pytest.mark.parametrize("name", EVERY)
def test_label_files_that_are_not_there_are_absent_and_not_wrong(tmp_path, name):
    tree = EVERY[name]
    config = LabelledConfig(kind=tree.kind, root=str(tmp_path), split=tree.split, track=tree.track)
    if tree.kind in ("afew_va", "emotionet"):  # known by any files of their form, and none is there
        refusal(config)
        return
    with pytest.raises(AbsentError):
        read_collection(config)


@pytest.mark.parametrize("name", ["fer2013", "ferplus", "rafdb"])
def test_a_list_without_a_split_lacks_it(tmp_path, name):
    tree = EVERY[name]
    config = tree.lay_out(tmp_path)
    file = tmp_path / next(iter(tree.files))
    lines = file.read_text().splitlines(keepends=True)
    kept = [line for line in lines if "Training" not in line and "train_" not in line]
    assert 1 < len(kept) < len(lines)
    write(file, "".join(kept))
    with pytest.raises(AbsentError):
        read_collection(config)
    assert len(read_collection(replace(config, split="test")).annotations) > 0


def test_a_file_that_is_there_but_no_file_is_wrong_and_not_absent(tmp_path):
    config = EVERY["aff_wild2_mtl"].lay_out(tmp_path)
    (tmp_path / "training_set_annotations.txt").unlink()
    (tmp_path / "training_set_annotations.txt").mkdir()
    with pytest.raises(AnnotationError) as caught:
        read_collection(config)
    assert not isinstance(caught.value, AbsentError)


def test_another_kind_is_one_line():
    config = LabelledConfig(kind="affwild", root=".")
    assert refusal(config) == f"kind 'affwild', expected one of {', '.join(KINDS)}"
    with pytest.raises(KindError):
        splits_of(config)


def test_a_root_goes_with_every_kind_but_drawn_faces():
    with pytest.raises(ValueError, match="root None with kind 'lsd', expected a folder"):
        LabelledConfig(kind="lsd")
    with pytest.raises(ValueError, match="root 'x' with kind 'synthetic', expected none"):
        LabelledConfig(root="x")


def test_a_list_goes_with_kind_list_alone():
    with pytest.raises(ValueError, match="list None with kind 'list', expected a file"):
        LabelledConfig(kind="list", root="x")
    with pytest.raises(ValueError, match=r"list 'a.txt' with kind 'folder', expected none"):
        LabelledConfig(kind="folder", root="x", list="a.txt")


@pytest.mark.parametrize(
    ("kind", "split"),
    [("manifest", "validation"), ("rafdb", "test"), ("disfa", "all"), ("affectnet", "validation")],
)
def test_without_a_split_the_usual_one_is_read(tmp_path, kind, split):
    with pytest.raises(AnnotationError) as named:
        read_collection(LabelledConfig(kind=kind, root=str(tmp_path), split=split))
    with pytest.raises(AnnotationError) as unnamed:
        read_collection(LabelledConfig(kind=kind, root=str(tmp_path)))
    assert str(named.value) == str(unnamed.value)
    assert splits_of(LabelledConfig(kind=kind, root=str(tmp_path))) == KINDS[kind].SPLITS


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    config = EVERY["manifest"].lay_out(tmp_path / "data")
    found = read_collection(replace(config, root="~/data"))
    assert len(found.annotations) == 3


def test_drawn_faces_are_marked_as_drawn():
    config = LabelledConfig(synthetic=SyntheticConfig(count=12, subjects=4), split="test")
    collection = read_collection(config)
    assert collection.drawn
    assert (collection.kind, collection.split) == ("synthetic", "test")
    images = collection.open_images()
    assert len(images) == len(collection.annotations) == 12
    assert images.image(3).shape == (images.source.config.size,) * 2 + (3,)
    assert refusal(replace(config, split="all")) == (
        "split 'all', expected one of train, validation, test, cnn"
    )


def test_kinds_are_called_as_their_modules():
    assert {module.__name__ for module in KINDS.values()} == {
        f"finetune.data.{name}" for name in KINDS
    }
    assert opening.LabelledConfig().kind in KINDS


def test_labels_can_be_taken_into_another_space():
    drawn = SyntheticConfig(count=200, size=32, subjects=20)
    whole = read_collection(LabelledConfig(synthetic=drawn)).annotations.targets
    six = read_collection(LabelledConfig(synthetic=drawn, expressions="lsd_6")).annotations.targets
    assert six.expression_space.name == "lsd_6"
    for row in range(200):
        name = whole.expression_space.classes[whole.expression[row]]
        known = bool(whole.expression_valid[row]) and name not in ("Neutral", "Other")
        assert six.expression_valid[row] == known
        if known:
            assert six.expression_space.classes[six.expression[row]] == name
    with pytest.raises(ValueError, match="lsd_7"):
        LabelledConfig(expressions="lsd_7")
