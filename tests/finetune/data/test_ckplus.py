"""CK+: the last frames, their action units and expressions."""

import shutil

import pytest
from label_files import lay_out, refusal, refused_row, write

from finetune.data.ckplus import read

FACS = "FACS/S005/001/S005_001_00000011_facs.txt"
EMOTION = "Emotion/S005/001/S005_001_00000011_emotion.txt"


def test_last_frames(tmp_path):
    lay_out(tmp_path, "ckplus")
    (tmp_path / "Emotion/S010/006").mkdir()  # as the collection has it: no file for many
    found = read(tmp_path, "all")
    assert list(found.images) == [
        "cohn-kanade-images/S005/001/S005_001_00000011.png",
        "cohn-kanade-images/S010/002/S010_002_00000014.png",
        "cohn-kanade-images/S010/004/S010_004_00000019.png",
        "cohn-kanade-images/S010/006/S010_006_00000015.png",
    ]
    assert found.subjects == ["S005", "S010", "S010", "S010"]
    assert found.videos == ["S005/001", "S010/002", "S010/004", "S010/006"]
    assert found.frames.tolist() == [11, 14, 19, 15]
    targets = found.targets
    assert targets.action_unit_space.units == (1, 9, 17, 25, 27)
    assert targets.action_units.tolist() == [
        [0, 1, 1, 1, 0],
        [1, 1, 0, 1, 0],
        [1, 0, 0, 0, 1],
        [1, 1, 0, 0, 0],
    ]
    assert targets.action_units_valid.all()
    names = [targets.expression_space.classes[index] for index in targets.expression[:3]]
    assert names == ["Disgust", "Contempt", "Surprise"]
    assert targets.expression_valid.tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("code", "name"),
    [
        *[(0, "Neutral"), (1, "Anger"), (2, "Contempt"), (3, "Disgust")],
        *[(4, "Fear"), (5, "Happiness"), (6, "Sadness"), (7, "Surprise")],
    ],
)
def test_emotion_codes(tmp_path, code, name):
    lay_out(tmp_path, "ckplus")
    write(tmp_path / EMOTION, f"   {code}.0000000e+00\n")
    targets = read(tmp_path, "all").targets
    assert targets.expression_space.classes[targets.expression[0]] == name


def test_folders_of_the_downloads(tmp_path):
    lay_out(tmp_path, "ckplus")
    for name in ("FACS", "Emotion"):
        (tmp_path / f"{name}_labels").mkdir()
        shutil.move(tmp_path / name, tmp_path / f"{name}_labels" / name)
    assert len(read(tmp_path, "all")) == 4


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("17 0", "17", ":2: 1 numbers, expected lines of an action unit and its intensity"),
        ("17 0", "17 0 1", ":2: 3 numbers, expected lines of an action unit"),
        ("17 0", "17.5 0", ":2: action unit '17.5', expected a whole number"),
        ("17 0", "0 0", ":2: action unit 0, expected 1 to 99"),
        ("17 0", "100 0", ":2: action unit 100, expected 1 to 99"),
        ("17 0", "17 6", ":2: intensity 6, expected 0 to 5"),
        ("17 0", "17 -1", ":2: intensity -1, expected 0 to 5"),
        ("17 0", "17 nan", ":2: intensity 'nan', expected a whole number"),
        ("17 0", "R17 0", ":2: action unit 'R17', expected a number"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, old, new, said):
    assert refused_row(tmp_path, "ckplus", FACS, old, new).startswith(said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("8", "expression 8, expected 0 to 7 (Neutral, Anger, Contempt"),
        ("-1", "expression -1, expected 0 to 7"),
        ("nan", "expression 'nan', expected a whole number"),
        ("3 3", "expression 2 numbers, expected one"),
        ("fear", "expression 'fear', expected a number"),
    ],
)
def test_a_wrong_emotion_is_named(tmp_path, content, said):
    lay_out(tmp_path, "ckplus")
    write(tmp_path / EMOTION, content)
    assert refusal(tmp_path, "ckplus").startswith(f"{EMOTION}: {said}")


def test_files_out_of_place_are_refused(tmp_path):
    lay_out(tmp_path, "ckplus")
    write(tmp_path / "FACS/S005/001/S005_001_00000012_facs.txt", "1 1\n")
    assert refusal(tmp_path, "ckplus").startswith("FACS/S005/001: 2 files, expected one file")
    (tmp_path / FACS).unlink()  # the emotion is that of frame 11
    said = f"{EMOTION}: no FACS file of this frame, expected S005_001_00000011_facs.txt"
    assert refusal(tmp_path, "ckplus") == said
    write(tmp_path / "FACS/S007/001/S005_001_00000011_facs.txt", "1 1\n")
    assert refusal(tmp_path, "ckplus").startswith("FACS/S007/001: 'S005_001_00000011_facs.txt'")
