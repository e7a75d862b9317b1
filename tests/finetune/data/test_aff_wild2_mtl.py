"""The multi-task challenge's files: what is read, in which order, and what is refused where."""

import numpy as np
import pytest

from finetune.data.aff_wild2_mtl import IMAGE_ROOTS, SPLITS, read
from finetune.data.annotations import AnnotationError

HEADER = "image,valence,arousal,expression,aus"
#: As the challenge counts, typed from its description.
CLASSES = ["Neutral", "Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise", "Other"]
UNITS = ["AU1", "AU2", "AU4", "AU6", "AU7", "AU10", "AU12", "AU15", "AU23", "AU24", "AU25", "AU26"]
TRAIN, VALIDATION = "training_set_annotations.txt", "validation_set_annotations.txt"
TEST = "MTL_Challenge_test_set_release.txt"

GOOD = "426/00001.jpg,0.00,0.05,0,0,0,1,0,0,0,0,0,0,0,1,0"


def written(root, name, content):
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def refusal(root, split, name, content):
    written(root, name, content)
    with pytest.raises(AnnotationError) as caught:
        read(root, split)
    message = str(caught.value)
    assert "\n" not in message
    assert "expected" in message
    assert message.startswith(str(root / name))
    return message.removeprefix(str(root / name))


def row(image="426/00001.jpg", v="0.5", a="-0.25", e="3", units=("0",) * 12):
    return ",".join([image, v, a, e, *units])


def test_a_row_of_the_release_is_read_to_the_last_cell(tmp_path):
    lines = [
        HEADER,
        "426/00001.jpg,0.00,0.05,0,0,0,1,0,0,0,0,0,0,0,1,0",
        "video45_1/00050.jpg,-1,1.0,7,1,0,0,0,0,0,0,0,0,1,0,1",
    ]
    written(tmp_path, TRAIN, "\n".join(lines) + "\n")
    found = read(tmp_path, "train")
    assert list(found.images) == ["426/00001.jpg", "video45_1/00050.jpg"]
    assert list(found.videos) == ["426", "video45_1"]
    assert found.frames.tolist() == [1, 50]
    assert found.subjects is None
    targets = found.targets
    assert targets.valence_arousal.tolist() == [[0.0, 0.05], [-1.0, 1.0]]
    assert targets.expression.tolist() == [0, 7]
    assert targets.action_units.tolist() == [
        [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0],
        [1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1],
    ]
    assert targets.valence_arousal_valid.all()
    assert targets.expression_valid.all()
    assert targets.action_units_valid.all()


def test_every_class_and_action_unit_keeps_its_count(tmp_path):
    # Class k is there k + 1 times, action unit j is present j + 1 times: no two can be exchanged.
    codes = [k for k in range(8) for _ in range(k + 1)]
    rows = [
        row(f"7/{i:05d}.jpg", e=str(k), units=[str(int(i <= j)) for j in range(12)])
        for i, k in enumerate(codes)
    ]
    written(tmp_path, VALIDATION, "\n".join([HEADER, *rows]))
    targets = read(tmp_path, "validation").targets
    names = [targets.expression_space.classes[index] for index in targets.expression]
    assert [names.count(name) for name in CLASSES] == [1, 2, 3, 4, 5, 6, 7, 8]
    present = dict(zip(targets.action_unit_space.names, targets.action_units.sum(0), strict=True))
    assert [present[name] for name in UNITS] == list(range(1, 13))


def test_sentinels_become_masks_entry_by_entry(tmp_path):
    units = ["0", "1", "-1", "1", "0", "1", "0", "1", "0", "1", "0", "-1"]
    rows = [
        row(v="-5", a="-5"),
        row(v="-5.0", a="0.25"),
        row(e="-1"),
        row(units=("-1",) * 12),
        row(units=units),
        row(v="-5", a="-5", e="-1", units=("-1",) * 12),
    ]
    written(tmp_path, TRAIN, "\n".join([HEADER, *rows]))
    targets = read(tmp_path, "train").targets
    assert targets.valence_arousal_valid.tolist() == [
        *([False, False], [False, True], [True, True]),
        *([True, True], [True, True], [False, False]),
    ]
    assert targets.expression_valid.tolist() == [True, True, False, True, True, False]
    assert targets.action_units_valid.sum(1).tolist() == [12, 12, 12, 0, 10, 0]
    assert targets.action_units_valid[4].tolist() == [unit != "-1" for unit in units]
    assert targets.valence_arousal.min() == -0.25  # nothing of a sentinel is left
    assert targets.expression.min() == targets.action_units.min() == 0


def test_rows_stay_in_order_with_duplicates(tmp_path):
    images = ["9/00003.jpg", "2/00010.jpg", "9/00003.jpg", "2/00002.jpg"]
    rows = [row(image, e=str(k)) for k, image in enumerate(images)]
    written(tmp_path, TRAIN, "\n".join([HEADER, *rows]))
    found = read(tmp_path, "train")
    assert list(found.images) == images
    assert found.targets.expression.tolist() == [0, 1, 2, 3]
    assert found.frames.tolist() == [3, 10, 3, 2]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b" \n"])
@pytest.mark.parametrize("tail", [b"", b"\n", b"\n\n  \n"])
def test_marks_line_ends_and_blank_lines_at_the_end(tmp_path, mark, end, tail):
    content = mark + end.join([HEADER.encode(), GOOD.encode(), row(e=" 4 ").encode()]) + tail
    written(tmp_path, TRAIN, content)
    found = read(tmp_path, "train")
    assert list(found.images) == ["426/00001.jpg"] * 2
    assert found.targets.expression.tolist() == [0, 4]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (row(v="1.01"), ":3: valence 1.01, expected in [-1, 1], or -5 for none"),
        (row(a="-2"), ":3: arousal -2, expected in [-1, 1], or -5"),
        (row(v="nan"), ":3: valence nan, expected in [-1, 1]"),
        (row(a="inf"), ":3: arousal inf, expected in [-1, 1]"),
        (row(a="1e9"), ":3: arousal 1e+09, expected in [-1, 1]"),
        (row(v=""), ":3: valence '', expected a number"),
        (row(v="0,5"), ":3: 17 cells, expected 16: image, valence, arousal, expression, AU1"),
        (row(e="8"), ":3: expression 8, expected 0 to 7 (Neutral, Anger"),
        (row(e="-2"), ":3: expression -2, expected 0 to 7"),
        (row(e="-5"), ":3: expression -5, expected 0 to 7"),
        (row(e="2.5"), ":3: expression '2.5', expected a whole number"),
        (row(e="nan"), ":3: expression 'nan', expected a whole number"),
        (row(e="1e9"), ":3: expression 1000000000, expected 0 to 7"),
        (row(e="1e300"), ":3: expression '1e300', expected a whole number"),
        (row(e="Anger"), ":3: expression 'Anger', expected a number"),
        (row(units=["0"] * 11 + ["2"]), ":3: AU26 2, expected 0 to 1, or -1 for none"),
        (row(units=["0", "0", "0.5"] + ["0"] * 9), ":3: AU4 '0.5', expected a whole number"),
        (row(units=["0"] * 9 + ["x"] + ["0"] * 2), ":3: AU24 'x', expected a number"),
        (row(units=["0"] * 4 + ["-5"] + ["0"] * 7), ":3: AU7 -5, expected 0 to 1"),
        (row(units=["0"] * 11), ":3: 15 cells, expected 16"),
        (row(units=["0"] * 13), ":3: 17 cells, expected 16"),
        (row() + ",", ":3: 17 cells, expected 16"),
        ("426/00001.jpg", ":3: 1 cells, expected 16"),
        (f"\n{GOOD}", ":3: 0 cells, expected 16"),
        (row().replace(",", ";"), ":3: 1 cells, expected 16"),
        (row(image=""), ":3: '', expected <video>/<frame number>.jpg"),
        (row(image="00001.jpg"), ":3: '00001.jpg', expected <video>/<frame number>.jpg"),
        (row(image="426/face.jpg"), ":3: '426/face.jpg', expected <video>/<frame number>.jpg"),
        (row(image="426/1²3.jpg"), ":3: '426/1²3.jpg', expected <video>/<frame number>.jpg"),
        (row(image="426/١٢.jpg"), ":3: '426/١٢.jpg', expected <video>/<frame number>.jpg"),
        (row(image="4\x006/001.jpg"), ":3: '4\\x006/001.jpg', expected <video>/<frame number>.jpg"),
        (row(image="426/" + "9" * 30 + ".jpg"), ":3: '426/999999"),
    ],
)
def test_a_wrong_row_is_refused_with_its_place(tmp_path, line, expected):
    assert refusal(tmp_path, "train", TRAIN, "\n".join([HEADER, GOOD, line, GOOD, ""])).startswith(
        expected
    )


def test_a_missing_or_other_header_is_refused(tmp_path):
    assert refusal(tmp_path, "train", TRAIN, f"{GOOD}\n{GOOD}\n").startswith(":1: ")
    other = "image,arousal,valence,expression,aus"
    message = refusal(tmp_path, "train", TRAIN, f"{other}\n{GOOD}\n")
    assert message == f":1: '{other}', expected the header {HEADER}"


def test_what_is_no_such_file_is_refused(tmp_path):
    with pytest.raises(AnnotationError, match=f"{TRAIN}: No such file"):
        read(tmp_path, "train")
    (tmp_path / TRAIN).mkdir()
    with pytest.raises(AnnotationError, match=f"{TRAIN}: Is a directory"):
        read(tmp_path, "train")
    with pytest.raises(AnnotationError, match="split 'dev', expected one of train, validation"):
        read(tmp_path, "dev")
    for name, split in ((VALIDATION, "validation"), (TEST, "test")):
        assert refusal(tmp_path, split, name, "").startswith(": empty, expected")
        assert refusal(tmp_path, split, name, "\n \n").startswith(": empty, expected")
        assert refusal(tmp_path, split, name, HEADER).startswith(": a header alone, expected")
        message = refusal(tmp_path, split, name, f"{HEADER}\n{GOOD}\n".encode("utf-16"))
        assert message.startswith(":1: byte 0xff, expected")
        message = refusal(tmp_path, split, name, f"{HEADER}\n{GOOD}\ncaf".encode() + b"\xe9/1.jpg")
        assert message.startswith(":3: byte 0xe9, expected")


def test_a_file_cut_anywhere_is_read_to_a_line_end_or_refused(tmp_path):
    content = "\n".join([HEADER, GOOD, row("7/00002.jpg", e="6"), ""]).encode()
    for length in range(len(content)):
        written(tmp_path, TRAIN, content[:length])
        try:
            found = read(tmp_path, "train")
        except AnnotationError as error:
            assert "\n" not in str(error)
        else:
            assert length >= len(HEADER) + len(GOOD) + 1
            assert list(found.images) == ["426/00001.jpg", "7/00002.jpg"][: len(found)]


IMAGES = ["5/00003.jpg", "video2_1/00001.jpg", "5/00003.jpg", "5/00001.jpg"]


@pytest.mark.parametrize(
    "header", ["", "image\n", "image,valence,arousal,expression,aus\n", "image_location,x\r\n"]
)
@pytest.mark.parametrize(
    "ending", ["", ",", " ,", ",0.5,-0.5,7" + ",1" * 12, ",-9,many,,", ",0.1,0.2"]
)
def test_a_test_list_is_read_in_every_form_and_has_no_labels(tmp_path, header, ending):
    written(tmp_path, TEST, header + "\n".join(image + ending for image in IMAGES))
    found = read(tmp_path, "test")
    assert list(found.images) == IMAGES
    assert list(found.videos) == ["5", "video2_1", "5", "5"]
    assert found.frames.tolist() == [3, 1, 3, 1]
    targets = found.targets
    assert not targets.valence_arousal_valid.any()
    assert not targets.expression_valid.any()
    assert not targets.action_units_valid.any()
    assert targets.action_units.shape == (4, 12)
    assert " ".join(targets.expression_space.classes) == " ".join(CLASSES)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("5", ":2: image '5', expected the path of an image"),
        ("5/00001.j", ":2: image '5/00001.j', expected the path of an image"),
        ("", ":2: image '', expected"),
        ("image", ":2: image 'image', expected the path of an image"),
        ("/5/00001.jpg", ":2: image '/5/00001.jpg', expected"),
        ("../00001.jpg", ":2: image '../00001.jpg', expected"),
        ("a/5/00001.jpg", ":2: 'a/5/00001.jpg', expected <video>/<frame number>.jpg"),
        ("00001.jpg", ":2: '00001.jpg', expected <video>/<frame number>.jpg"),
    ],
)
def test_a_wrong_line_of_a_test_list_is_refused(tmp_path, line, expected):
    assert refusal(tmp_path, "test", TEST, f"5/00001.jpg\n{line}\n5/00002.jpg").startswith(expected)


def test_a_header_counts_as_a_line_of_a_test_list(tmp_path):
    message = refusal(tmp_path, "test", TEST, "image\n5/00001.jpg\n00002.jpg\n")
    assert message.startswith(":3: '00002.jpg', expected")


def test_a_first_line_that_is_neither_header_nor_image_is_refused(tmp_path):
    for line in ("426", "list of images", "5/00001", ".jpg"):
        assert refusal(tmp_path, "test", TEST, f"{line}\n5/00001.jpg\n").startswith(":1: image ")


def test_the_files_are_named_by_split_and_faces_by_folder():
    assert SPLITS == ("train", "validation", "test")
    assert {"cropped_aligned", "test_data/cropped_aligned", "testset/cropped_aligned", "."} <= set(
        IMAGE_ROOTS
    )


def test_numbers_may_be_spelt_as_floats(tmp_path):
    written(tmp_path, TRAIN, f"{HEADER}\n{row(e='3.0', units=['1.0'] * 12)}")
    targets = read(tmp_path, "train").targets
    assert targets.expression.tolist() == [3]
    assert np.array_equal(targets.action_units, np.ones((1, 12)))
