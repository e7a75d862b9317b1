"""FER2013: the list with pixels, and the folders of classes."""

from collections import Counter

import pytest
from label_files import lay_out, refusal, refused_row, write

from finetune.data.fer2013 import read


def names(found):
    assert found.targets.expression_valid.all()
    return [found.targets.expression_space.classes[index] for index in found.targets.expression]


def test_the_list(tmp_path):
    lay_out(tmp_path, "fer2013")
    found = read(tmp_path, "train")
    assert list(found.images) == [f"Training/0000{row}.png" for row in (0, 1, 3, 5, 7, 8)]
    assert names(found) == ["Anger", "Neutral", "Surprise", "Neutral", "Happiness", "Neutral"]
    found = read(tmp_path, "validation")
    assert (list(found.images), names(found)) == (["PublicTest/00002.png"], ["Happiness"])
    found = read(tmp_path, "test")
    assert list(found.images) == ["PrivateTest/00004.png", "PrivateTest/00006.png"]
    assert names(found) == ["Happiness", "Disgust"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("\n5,", "\n7,", ":5: expression 7, expected 0 to 6 (Anger, Disgust, "),
        ("\n5,", "\n-1,", ":5: expression -1, expected 0 to 6 (Anger, Disgust, "),
        ("\n5,", "\nx,", ":5: emotion 'x', expected a number"),
        ("\n5,7 7 ", "\n5,7 ", ":5: pixels 2303 values, expected 2304"),
        ("\n5,7 ", "\n5,7 7 ", ":5: pixels 2305 values, expected 2304"),
        ("\n5,", "\n", ":5: 2 cells, expected 3"),
        ("PublicTest", "Public", ":4: Usage 'Public', expected one of Training, PublicTest"),
        ("emotion,", "label,", ":1: 0 columns emotion in the header"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, old, new, said):
    assert refused_row(tmp_path, "fer2013", "fer2013.csv", old, new).startswith(said)


def test_a_split_without_images_is_refused(tmp_path):
    write(tmp_path / "fer2013.csv", f"emotion,pixels,Usage\n0,{'1 ' * 2303}1,Training\n")
    message = refusal(tmp_path, "fer2013", "test")
    assert message == "fer2013.csv: no image, expected some of Usage PrivateTest"


def test_folders_are_classes_by_their_names(tmp_path):
    lay_out(tmp_path, "fer2013 folders")
    write(tmp_path / "test/fear/Thumbs.db", "")
    write(tmp_path / "test/.DS_Store", "")
    found = read(tmp_path, "test")
    counts = Counter(names(found))
    assert counts == Counter(
        Anger=1, Disgust=2, Fear=3, Happiness=4, Neutral=5, Sadness=6, Surprise=7
    )
    by_image = dict(zip(found.images, names(found), strict=True))
    assert by_image["test/NEUTRAL/im4.jpg"] == "Neutral"
    assert by_image["test/happy/im3.JPG"] == "Happiness"
    assert list(found.images) == sorted(found.images)


def test_an_absent_an_unknown_and_a_doubled_folder_are_refused(tmp_path):
    kind = "fer2013 folders"
    lay_out(tmp_path, kind)
    (tmp_path / "test/joy").mkdir()
    assert refusal(tmp_path, kind).startswith("test: 'joy', expected one of Anger, ")
    (tmp_path / "test/joy").rename(tmp_path / "test/anger")
    assert refusal(tmp_path, kind) == "test: anger and angry, expected one folder a class"
    (tmp_path / "test/anger").rmdir()
    (tmp_path / "test/angry").rename(tmp_path / ".angry")
    message = "test: no folder for Anger, expected a folder for each of "
    assert refusal(tmp_path, kind).startswith(message)


def test_a_file_among_the_folders_is_refused(tmp_path):
    lay_out(tmp_path, "fer2013 folders")
    write(tmp_path / "test/notes.txt", "")
    assert refusal(tmp_path, "fer2013 folders").startswith("test: 'notes.txt', expected one of")


def test_both_forms_in_one_root_are_refused(tmp_path):
    lay_out(tmp_path, "fer2013")
    lay_out(tmp_path, "fer2013 folders")
    message = refusal(tmp_path, "fer2013", "test")
    assert message == ": has fer2013.csv and test, expected exactly one of fer2013.csv, test"
