"""RAF-DB against hand-typed labels."""

import pytest
from label_files import TREES, lay_out, refusal, refused_row, write

from finetune.data.rafdb import read

LIST = "EmoLabel/list_patition_label.txt"
TEXT = TREES["rafdb"][1][LIST]


def labels(found):
    targets = found.targets
    assert targets.expression_valid.all()
    return [targets.expression_space.classes[index] for index in targets.expression]


def test_both_splits(tmp_path):
    lay_out(tmp_path, "rafdb")
    found = read(tmp_path, "train")
    assert list(found.images) == [
        f"train_0000{number}_aligned.jpg" for number in (1, 2, 3, 4, 5, 2, 6, 7)
    ]
    assert labels(found) == [
        *("Sadness", "Surprise", "Sadness", "Fear"),
        *("Happiness", "Surprise", "Anger", "Sadness"),
    ]
    assert not found.targets.valence_arousal_valid.any()
    found = read(tmp_path, "test")
    assert list(found.images) == ["test_0001_aligned.jpg", "test_0002_aligned.jpg"]
    assert labels(found) == ["Neutral", "Disgust"]


@pytest.mark.parametrize("folder", ["", "basic/EmoLabel/"])
def test_the_list_may_lie_elsewhere(tmp_path, folder):
    write(tmp_path / f"{folder}list_patition_label.txt", TEXT)
    assert len(read(tmp_path, "train")) == 8


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("00004.jpg 2", "00004.jpg 0", ":5: expression 0, expected 1 to 7 (Surprise, "),
        ("00004.jpg 2", "00004.jpg 8", ":5: expression 8, expected 1 to 7 (Surprise, "),
        ("00004.jpg 2", "00004.jpg 2.5", ":5: expression '2.5', expected a whole number"),
        ("00004.jpg 2", "00004.jpg fear", ":5: expression 'fear', expected a number"),
        ("00004.jpg 2", "00004.jpg", ":5: 1 words, expected an image and its class"),
        ("00004.jpg 2", "00004.jpg 2 3", ":5: 3 words, expected an image and its class"),
        ("train_00004", "val_00004", ":5: image 'val_00004.jpg', expected train_... or test_..."),
        ("train_00004", "../train_00004", ":5: image '../train_00004.jpg', expected the path"),
        ("test_0002.jpg 3", "test_0002.jpg 9", ":6: expression 9, expected 1 to 7"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, old, new, said):
    assert refused_row(tmp_path, "rafdb", LIST, old, new).startswith(said)


def test_a_split_without_images_is_refused(tmp_path):
    write(tmp_path / LIST, "test_0001.jpg 3\n")
    assert refusal(tmp_path, "rafdb") == f"{LIST}: no image of train, expected names train_..."
