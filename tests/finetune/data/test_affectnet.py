"""AffectNet: both releases against hand-typed labels."""

import pickle

import numpy as np
import pytest
from label_files import TREES, lay_out, npy, refusal, refused_row, write

from finetune.data.affectnet import read

LIST = "training.csv"
TEXT = TREES["affectnet"][1][LIST]
FOLDER = "val_set/annotations"


def test_the_list(tmp_path):
    lay_out(tmp_path, "affectnet")
    found = read(tmp_path, "train")
    assert list(found.images) == [
        *("1/a.jpg", "1/b.JPG", "2/c.png", "2/d.jpg", "2/e.jpg", "2/f.jpg", "1/a.jpg", "3/g.jpg"),
    ]
    targets = found.targets
    names = [targets.expression_space.classes[index] for index in targets.expression]
    assert names[:3] == ["Happiness", "Contempt", "Anger"]
    assert names[6:] == ["Happiness", "Neutral"]
    assert targets.expression_valid.tolist() == [True] * 3 + [False] * 3 + [True] * 2
    assert targets.valence_arousal[:3].tolist() == [[0.785714, -0.055556], [-0.5, 0.25], [-1, 1]]
    assert targets.valence_arousal_valid.tolist() == (
        [[True, True]] * 3 + [[False, False]] * 3 + [[True, True], [True, False]]
    )
    assert not targets.action_units_valid.any()
    assert found.videos is found.subjects is None


def test_the_validation_list_in_its_own_folder_without_a_header(tmp_path):
    write(
        tmp_path / "Manually_Annotated_file_lists/validation.csv",
        TEXT[TEXT.index("\n") + 1 :],
    )
    found = read(tmp_path, "validation")
    assert len(found) == 8
    assert found.images[0] == "1/a.jpg"
    assert found.targets.expression.tolist() == [1, 7, 6, 0, 0, 0, 1, 0]


def test_columns_are_found_by_name(tmp_path):
    write(
        tmp_path / LIST,
        "arousal, expression ,valence,extra,subDirectory_filePath\n"
        '-0.5,2,0.25,"x, y","a, ""b"".jpg"\n',
    )
    found = read(tmp_path, "train")
    assert list(found.images) == ['a, "b".jpg']
    assert found.targets.valence_arousal.tolist() == [[0.25, -0.5]]
    assert found.targets.expression.tolist() == [2]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("7,-0.5,0.25", "11,-0.5,0.25", ":3: expression 11, expected 0 to 7 (Neutral, "),
        ("7,-0.5,0.25", "-1,-0.5,0.25", ":3: expression -1, expected 0 to 7 (Neutral, "),
        ("7,-0.5,0.25", "7.5,-0.5,0.25", ":3: expression '7.5', expected a whole number"),
        ("7,-0.5,0.25", "nan,-0.5,0.25", ":3: expression 'nan', expected a whole number"),
        ("7,-0.5,0.25", "1e9,-0.5,0.25", ":3: expression 1000000000, expected 0 to 7"),
        ("7,-0.5,0.25", "1e99,-0.5,0.25", ":3: expression '1e99', expected a whole number"),
        ("7,-0.5,0.25", ",-0.5,0.25", ":3: expression '', expected a number"),
        ("7,-0.5,0.25", "Happy,-0.5,0.25", ":3: expression 'Happy', expected a number"),
        ("7,-0.5,0.25", "7,-1.5,0.25", ":3: valence -1.5, expected in [-1, 1], or -2 for none"),
        ("7,-0.5,0.25", "7,-0.5,1.25", ":3: arousal 1.25, expected in [-1, 1], or -2 for none"),
        ("7,-0.5,0.25", "7,-0.5,nan", ":3: arousal nan, expected in [-1, 1]"),
        ("7,-0.5,0.25", "7,-0.5,0_1", ":3: arousal '0_1', expected a number"),
        ("7,-0.5,0.25", "7,-0.5,\u0661", ":3: arousal '\u0661', expected a number"),
        ("7,-0.5,0.25", "7,-0.5", ":3: 8 cells, expected 9"),
        ("7,-0.5,0.25", "7,-0.5,0.25,", ":3: 10 cells, expected 9"),
        ("1/b.JPG", '"1/b.JPG', ":9: unexpected end of data, expected a CSV file"),
        ("1/b.JPG", "", ":3: subDirectory_filePath '', expected the path of an image"),
        ("1/b.JPG", "../b.JPG", ":3: subDirectory_filePath '../b.JPG', expected the path"),
        ("1/b.JPG", "/b.JPG", ":3: subDirectory_filePath '/b.JPG', expected the path"),
        (",expression,", ",Expression,", ":1: 0 columns expression in the header, expected"),
        (",face_x,", ",arousal,", ":1: 2 columns arousal in the header, expected one each"),
        ("subDirectory_filePath,", "", ":1: 0 columns subDirectory_filePath in the header"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, old, new, said):
    assert refused_row(tmp_path, "affectnet", LIST, old, new).startswith(said)


def test_a_header_alone_is_refused(tmp_path):
    write(tmp_path / LIST, TEXT[: TEXT.index("\n") + 1])
    assert refusal(tmp_path, "affectnet") == f"{LIST}: a header alone, expected a row an image"


def test_the_folders(tmp_path):
    lay_out(tmp_path, "affectnet folders")
    found = read(tmp_path, "validation")
    assert list(found.images) == [f"val_set/images/{name}.jpg" for name in (0, 9, 10, 11)]
    targets = found.targets
    assert targets.expression.tolist() == [0, 3, 7, 0]
    assert targets.expression_valid.tolist() == [True, True, True, False]
    assert targets.valence_arousal.tolist() == [[0, 0], [0.125, -1], [-0.25, 0.5], [0, 0]]
    assert targets.valence_arousal_valid.tolist() == [
        [True, False],
        [True, True],
        [True, True],
        [False, False],
    ]


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i4", "|u1", "<U5", ">U2", "|S3"])
def test_numbers_of_every_type_and_text_are_read(tmp_path, dtype):
    lay_out(tmp_path, "affectnet folders")
    write(tmp_path / FOLDER / "9_exp.npy", npy(np.array(5).astype(dtype)))
    assert read(tmp_path, "validation").targets.expression[1] == 5


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("9_exp.npy", npy(11), "expression 11, expected 0 to 7 (Neutral, "),
        ("9_exp.npy", npy("2.5"), "expression '2.5', expected a whole number"),
        ("10_val.npy", npy(1.5), "valence 1.5, expected in [-1, 1], or -2 for none"),
        ("10_aro.npy", npy("nan"), "arousal nan, expected in [-1, 1]"),
        ("10_aro.npy", npy("1e9"), "arousal 1e+09, expected in [-1, 1]"),
        ("10_aro.npy", npy("1_0"), "arousal '1_0', expected a number"),
        ("10_aro.npy", npy("x"), "arousal 'x', expected a number"),
        ("10_aro.npy", npy([0.5]), "expected a NumPy file of one number or its text"),
        ("10_aro.npy", npy("0.5").replace(b"5\0\0\0", b"5\0\0-"), "expected a NumPy file"),
        ("10_exp.npy", npy("3") + b"5\0\0\0", "expected a NumPy file of one number or its text"),
        ("10_exp.npy", npy(3) + bytes(8), "expected a NumPy file of one number or its text"),
        ("10_aro.npy", npy(0.5)[:-1], "expected a NumPy file of one number"),
        ("10_aro.npy", npy(0.5) + b"0", "expected a NumPy file of one number"),
        ("10_aro.npy", pickle.dumps(0.5), "expected a NumPy file of one number or its text"),
        ("10_aro.npy", b"", "arousal '', expected a NumPy file of one number or its text"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, file, content, said):
    lay_out(tmp_path, "affectnet folders")
    write(tmp_path / FOLDER / file, content)
    message = refusal(tmp_path, "affectnet folders")
    assert message.startswith(f"{FOLDER}/{file}: ")
    assert said in message


def test_pickled_objects_are_not_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").mkdir, ())

    lay_out(tmp_path, "affectnet folders")
    array = np.empty((), object)
    array[()] = Trap()
    with open(tmp_path / FOLDER / "9_exp.npy", "wb") as stream:
        np.save(stream, array, allow_pickle=True)
    assert refusal(tmp_path, "affectnet folders").startswith(f"{FOLDER}/9_exp.npy: ")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("label", ["exp", "val", "aro"])
def test_an_image_without_one_of_its_labels_is_refused(tmp_path, label):
    lay_out(tmp_path, "affectnet folders")
    (tmp_path / FOLDER / f"9_{label}.npy").unlink()
    said = f"{FOLDER}/9_{label}.npy: No such file or directory, expected"
    assert refusal(tmp_path, "affectnet folders").startswith(said)


def test_two_releases_in_one_root_are_refused(tmp_path):
    lay_out(tmp_path, "affectnet folders")
    write(tmp_path / "validation.csv", TEXT)
    assert "has validation.csv and val_set, expected exactly one" in refusal(
        tmp_path, "affectnet folders"
    )
