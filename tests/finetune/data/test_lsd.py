"""Learning from synthetic data: a folder's name is the label, its place among others is not."""

import pytest

from finetune.data.annotations import AnnotationError
from finetune.data.lsd import IMAGE_ROOTS, SPLITS, read

TRAIN, VALIDATION = "training_set_synthetic_images", "validation_set_real_images"
TEST = "LSD_Challenge_test_set_release.txt"

#: How many images each folder has; typed from the challenge's description, in its order.
COUNTS = {"ANGER": 3, "DISGUST": 1, "FEAR": 4, "HAPPINESS": 2, "SADNESS": 6, "SURPRISE": 5}


def collection(root, split=TRAIN, rename=None):
    for name, count in COUNTS.items():
        folder = root / split / (rename or {}).get(name, name)
        folder.mkdir(parents=True)
        for i in range(count):
            (folder / f"{i}.jpg").touch()


def named(annotations):
    targets = annotations.targets
    assert targets.expression_valid.all()
    assert not targets.valence_arousal_valid.any()
    assert not targets.action_units_valid.any()
    return [targets.expression_space.classes[index] for index in targets.expression]


@pytest.mark.parametrize("anger", ["ANGER", "ANGRER", "ANGERE", "anger", "Angrer"])
@pytest.mark.parametrize(("split", "folder"), [("train", TRAIN), ("validation", VALIDATION)])
def test_folders_are_labels_however_anger_is_spelt(tmp_path, anger, split, folder):
    collection(tmp_path, folder, {"ANGER": anger})
    found = read(tmp_path, split)
    names = named(found)
    assert {name.upper(): names.count(name) for name in names} == COUNTS
    assert found.targets.expression.tolist() == [list(COUNTS).index(name.upper()) for name in names]
    for image, name in zip(found.images, names, strict=True):
        assert (tmp_path / image).is_file()
        assert name.upper() == {anger: "ANGER"}.get(image.split("/")[1], image.split("/")[1])
    assert found.videos is found.frames is found.subjects is None


def test_a_name_in_other_letters_changes_the_order_but_no_label(tmp_path):
    # "surprise" sorts behind the capitals and "anger" as well: places among others move.
    collection(tmp_path, rename={"ANGER": "angrer", "SURPRISE": "Surprise", "FEAR": "fear"})
    found = read(tmp_path, "train")
    assert found.images[0] == f"{TRAIN}/DISGUST/0.jpg"
    for image, name in zip(found.images, named(found), strict=True):
        assert image.split("/")[1].lower().replace("angrer", "anger") == name.lower()


@pytest.mark.parametrize("name", COUNTS)
def test_a_missing_folder_is_refused(tmp_path, name):
    collection(tmp_path)
    (tmp_path / TRAIN / name).rename(tmp_path / name)
    with pytest.raises(AnnotationError, match=f"{TRAIN}: no folder {name}, expected the folders"):
        read(tmp_path, "train")


@pytest.mark.parametrize("name", ["NEUTRAL", "CONTEMPT", "HAPPY", "0", "ANGERR", "OTHER"])
def test_an_unknown_folder_is_refused(tmp_path, name):
    collection(tmp_path)
    (tmp_path / TRAIN / name).mkdir()
    with pytest.raises(AnnotationError, match=f"{TRAIN}/{name}: an unknown folder, expected"):
        read(tmp_path, "train")


def test_two_folders_of_one_expression_are_refused(tmp_path):
    collection(tmp_path)
    (tmp_path / TRAIN / "ANGRER").mkdir()
    with pytest.raises(AnnotationError, match="the folders ANGER and ANGRER, expected one"):
        read(tmp_path, "train")


def test_images_elsewhere_and_folders_without_any_are_refused(tmp_path):
    collection(tmp_path)
    (tmp_path / TRAIN / "stray.jpg").touch()
    with pytest.raises(AnnotationError, match=r"stray\.jpg: an image in no folder"):
        read(tmp_path, "train")
    (tmp_path / TRAIN / "stray.jpg").unlink()
    (tmp_path / TRAIN / "FEAR" / "more").mkdir()
    with pytest.raises(AnnotationError, match="FEAR/more: a folder, expected images alone"):
        read(tmp_path, "train")
    (tmp_path / TRAIN / "FEAR" / "more").rmdir()
    (tmp_path / TRAIN / "DISGUST" / "0.jpg").rename(tmp_path / TRAIN / "DISGUST" / "0.txt")
    with pytest.raises(AnnotationError, match="DISGUST: no images, expected"):
        read(tmp_path, "train")


def test_hidden_and_other_files_are_no_images(tmp_path):
    collection(tmp_path)
    for name in (".DS_Store", "readme.txt", "FEAR/Thumbs.db", "FEAR/._0.jpg", "FEAR/.x/y"):
        (tmp_path / TRAIN / name).parent.mkdir(exist_ok=True)
        (tmp_path / TRAIN / name).touch()
    (tmp_path / TRAIN / ".git").mkdir()
    assert len(read(tmp_path, "train")) == sum(COUNTS.values())


def test_missing_and_wrong_folders_are_refused(tmp_path):
    with pytest.raises(AnnotationError, match=f"{TRAIN}: No such file or directory, expected"):
        read(tmp_path, "train")
    (tmp_path / VALIDATION).touch()
    with pytest.raises(AnnotationError, match=f"{VALIDATION}: Not a directory, expected"):
        read(tmp_path, "validation")
    with pytest.raises(AnnotationError, match=f"{TEST}: No such file"):
        read(tmp_path, "test")
    with pytest.raises(AnnotationError, match="split 'val', expected one of train, validation"):
        read(tmp_path, "val")


@pytest.mark.parametrize("header", ["", "image,expression\n", "\ufeffimage\r\n"])
@pytest.mark.parametrize("ending", ["", ",", ",4", "  "])
def test_the_test_list_is_read_in_every_form_and_has_no_labels(tmp_path, header, ending):
    images = ["10.jpg", "2.jpg", "10.jpg", "0.jpg"]
    content = header + "\n".join(image + ending for image in images) + "\n\n"
    (tmp_path / TEST).write_text(content, encoding="utf-8")
    found = read(tmp_path, "test")
    assert list(found.images) == images
    assert not found.targets.expression_valid.any()
    assert " ".join(found.targets.expression_space.classes).upper() == " ".join(COUNTS)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", ": empty, expected a list of images"),
        (b"image,expression\n", ": a header alone, expected a list of images"),
        (b"image,expression\n0.jpg\n1\n", ":3: image '1', expected the path of an image"),
        (b"image,expression\n0.jpg\n\n1.jpg\n", ":3: image '', expected the path of an image"),
        (b"0.jpg\n\xe9.jpg\n", ":2: byte 0xe9, expected a list of images in UTF-8"),
        (b"image expression\n0.jpg\n", ":1: image 'image expression', expected the path"),
    ],
)
def test_a_wrong_test_list_is_refused(tmp_path, content, expected):
    (tmp_path / TEST).write_bytes(content)
    with pytest.raises(AnnotationError) as caught:
        read(tmp_path, "test")
    assert str(caught.value).removeprefix(str(tmp_path / TEST)).startswith(expected)


def test_splits_and_folders():
    assert SPLITS == ("train", "validation", "test")
    assert {".", "lsd_test_data"} == set(IMAGE_ROOTS)
