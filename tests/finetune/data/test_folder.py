"""A folder of images without labels."""

import os

import numpy as np
import pytest
from PIL import Image

from finetune.data.annotations import AnnotationError
from finetune.data.config import LabelledConfig
from finetune.data.folder import read
from finetune.data.opening import read_collection, splits_of
from pretrain.data.sources import FolderSource, SourceError


def paint(file, value):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (value, 0, 0)).save(file)


@pytest.fixture
def root(tmp_path):
    for value, name in enumerate(("b/2.png", "b/10.png", "a.png", "b/c/1.png", "Z.png")):
        paint(tmp_path / "faces" / name, value)
    (tmp_path / "faces" / "notes.txt").write_text("no image")
    (tmp_path / "faces" / ".hidden.png").write_bytes(b"")
    return tmp_path / "faces"


def test_all_images_below_the_root_are_listed_as_stage_one_lists_them(root):
    collection = read_collection(LabelledConfig(kind="folder", root=str(root)))
    assert (collection.kind, collection.split, collection.drawn) == ("folder", "all", False)
    known = collection.annotations
    assert list(known.images) == ["Z.png", "a.png", "b/10.png", "b/2.png", "b/c/1.png"]
    assert list(known.images) == list(FolderSource(root).names)
    assert (known.videos, known.frames, known.subjects) == (None, None, None)


def test_nothing_is_known_of_them(root):
    targets = read(root, "all").targets
    assert len(targets) == 5
    for name in ("valence_arousal_valid", "expression_valid", "action_units_valid"):
        assert not getattr(targets, name).any()


def test_the_images_are_those_of_their_names(root):
    images = read_collection(LabelledConfig(kind="folder", root=str(root))).open_images()
    assert images.absent == ()
    assert [int(images.image(row)[0, 0, 0]) for row in range(5)] == [4, 2, 1, 0, 3]


def test_linked_folders_are_followed(root, tmp_path):
    paint(tmp_path / "elsewhere" / "x.png", 9)
    (root / "link").symlink_to(tmp_path / "elsewhere")
    images = read_collection(LabelledConfig(kind="folder", root=str(root))).open_images()
    assert list(images.names)[-1] == "link/x.png"
    assert np.array_equal(images.image(5)[0, 0], [9, 0, 0])


def test_there_are_no_splits(root):
    assert splits_of(LabelledConfig(kind="folder", root=str(root))) == ("all",)
    with pytest.raises(AnnotationError, match="split 'test', expected one of all"):
        read(root, "test")


def test_a_folder_without_images_is_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError) as caught:
        read(tmp_path / "empty", "all")
    assert str(caught.value).startswith(f"{tmp_path / 'empty'}: no images, expected files ending")


def test_a_name_that_no_table_can_hold_is_refused(root):
    with open(os.path.join(os.fsencode(root), b"\xff.png"), "wb"):
        pass
    with pytest.raises(AnnotationError) as caught:
        read(root, "all")
    assert str(caught.value) == f"{root}: image '\\udcff.png', expected a name in UTF-8"
