"""The video-wise tracks: lines become frames, headers are checked, test lists in every form."""

import pytest

from finetune.data.aff_wild2_video import (
    IMAGE_ROOTS,
    SPLITS,
    read,
)
from finetune.data.annotations import AnnotationError

#: As the challenge counts, typed from its description.
CLASSES = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"
UNITS = "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26"

FOLDERS = {
    "VA": "VA_Estimation_Challenge",
    "EXPR": "EXPR_Classification_Challenge",
    "AU": "AU_Detection_Challenge",
}
HEADERS = {"VA": "valence,arousal", "EXPR": CLASSES, "AU": UNITS}
ROWS = {"VA": "0.5,-0.25", "EXPR": "3", "AU": "0,1,0,0,0,0,1,0,0,0,1,0"}


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def labelled(root, track, video, rows, split="Train_Set"):
    content = "\n".join([HEADERS[track], *rows]) + "\n"
    written(root / FOLDERS[track] / split / f"{video}.txt", content)


def refusal(root, track, content):
    path = root / FOLDERS[track] / "Train_Set" / "v.txt"
    written(path, content)
    with pytest.raises(AnnotationError) as caught:
        read(root, "train", track)
    message = str(caught.value)
    assert "\n" not in message
    assert "expected" in message
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


def test_line_i_is_frame_i_and_videos_come_by_name(tmp_path):
    labelled(tmp_path, "VA", "video9_right", ["0.5,-1", "-5,-5"])
    labelled(tmp_path, "VA", "10-60-1280x720", ["1,0.125"])
    labelled(tmp_path, "VA", "video9_left", ["-0.5,0", "0,0", "0.25,0.75"])
    found = read(tmp_path, "train", "VA")
    assert list(found.images) == [
        "10-60-1280x720/00001.jpg",
        *("video9_left/00001.jpg", "video9_left/00002.jpg", "video9_left/00003.jpg"),
        *("video9_right/00001.jpg", "video9_right/00002.jpg"),
    ]
    assert list(found.videos) == ["10-60-1280x720", *["video9_left"] * 3, *["video9_right"] * 2]
    assert found.frames.tolist() == [1, 1, 2, 3, 1, 2]
    assert found.targets.valence_arousal.tolist() == [
        *([1, 0.125], [-0.5, 0], [0, 0], [0.25, 0.75], [0.5, -1], [0, 0])
    ]
    assert found.targets.valence_arousal_valid.all(1).tolist() == [True] * 5 + [False]
    assert not found.targets.expression_valid.any()
    assert not found.targets.action_units_valid.any()


def test_every_class_keeps_its_count(tmp_path):
    codes = [k for k in range(8) for _ in range(k + 1)]
    labelled(tmp_path, "EXPR", "a", map(str, [*codes[20:], -1]))
    labelled(tmp_path, "EXPR", "b", map(str, [-1, -1, *codes[:20]]))
    targets = read(tmp_path, "train", "EXPR").targets
    valid = targets.expression[targets.expression_valid]
    names = [targets.expression_space.classes[index] for index in valid]
    assert [names.count(name) for name in CLASSES.split(",")] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert (~targets.expression_valid).nonzero()[0].tolist() == [16, 17, 18]
    assert not targets.valence_arousal_valid.any()
    assert not targets.action_units_valid.any()


def test_every_action_unit_keeps_its_count(tmp_path):
    rows = [",".join(str(int(i <= j)) for j in range(12)) for i in range(12)]
    labelled(
        tmp_path, "AU", "a", [*rows, ",".join(["-1"] * 12), "-1" + ",1" * 11], "Validation_Set"
    )
    targets = read(tmp_path, "validation", "AU").targets
    counts = dict(zip(targets.action_unit_space.names, targets.action_units.sum(0), strict=True))
    assert [counts[name] for name in UNITS.split(",")] == [1, *range(3, 14)]
    assert targets.action_units_valid.sum(1).tolist() == [12] * 12 + [0, 11]
    assert not targets.valence_arousal_valid.any()
    assert not targets.expression_valid.any()


def test_the_splits_are_read_apart(tmp_path):
    labelled(tmp_path, "EXPR", "a", ["1"], "Train_Set")
    labelled(tmp_path, "EXPR", "b", ["2"], "Validation_Set")
    assert list(read(tmp_path, "train", "EXPR").images) == ["a/00001.jpg"]
    assert list(read(tmp_path, "validation", "EXPR").images) == ["b/00001.jpg"]
    assert SPLITS == ("train", "validation", "test")


def test_both_names_of_the_folder_of_expressions_but_not_both_at_once(tmp_path):
    written(tmp_path / "EXPR_Recognition_Challenge/Train_Set/a.txt", f"{CLASSES}\n6")
    assert read(tmp_path, "train", "EXPR").targets.expression.tolist() == [6]
    labelled(tmp_path, "EXPR", "a", ["1"])
    with pytest.raises(AnnotationError, match="EXPR_Classification_Challenge and EXPR_Recog"):
        read(tmp_path, "train", "EXPR")


def test_crops_may_lie_in_two_folders():
    assert {"cropped_aligned", "cropped_aligned_new_50_vids"} <= set(IMAGE_ROOTS)


@pytest.mark.parametrize("track", FOLDERS)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"  \n"])
@pytest.mark.parametrize("tail", [b"", b"\n\n \n"])
def test_marks_line_ends_and_blank_lines_at_the_end(tmp_path, track, mark, end, tail):
    header = HEADERS[track].replace(",", ", ").encode()
    content = mark + end.join([header, ROWS[track].encode(), ROWS[track].encode()]) + tail
    written(tmp_path / FOLDERS[track] / "Train_Set" / "v.txt", content)
    found = read(tmp_path, "train", track)
    assert list(found.images) == ["v/00001.jpg", "v/00002.jpg"]
    filled = {
        "VA": found.targets.valence_arousal.tolist() == [[0.5, -0.25]] * 2,
        "EXPR": found.targets.expression.tolist() == [3, 3],
        "AU": found.targets.action_units.tolist() == [[0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0]] * 2,
    }
    assert filled[track]


@pytest.mark.parametrize(
    ("track", "line", "expected"),
    [
        ("VA", "0.5", ":3: 1 cells, expected 2: valence, arousal"),
        ("VA", "0.5,0.5,0.5", ":3: 3 cells, expected 2"),
        ("VA", "", ":3: 0 cells, expected 2"),
        ("VA", "0.5 0.5", ":3: 1 cells, expected 2"),
        ("VA", "1.5,0", ":3: valence 1.5, expected in [-1, 1], or -5 for none"),
        ("VA", "0,-1", None),
        ("VA", "0,-1.01", ":3: arousal -1.01, expected in [-1, 1], or -5 for none"),
        ("VA", "0,nan", ":3: arousal nan, expected in [-1, 1]"),
        ("VA", "1e9,0", ":3: valence 1e+09, expected"),
        ("VA", "x,0", ":3: valence 'x', expected a number"),
        ("EXPR", "8", ":3: expression 8, expected 0 to 7 (Neutral, Anger"),
        ("EXPR", "-5", ":3: expression -5, expected 0 to 7"),
        ("EXPR", "1.5", ":3: expression '1.5', expected a whole number"),
        ("EXPR", "nan", ":3: expression 'nan', expected a whole number"),
        ("EXPR", "", ":3: 0 cells, expected 1: expression"),
        ("EXPR", "0,0,0,1,0,0,0,0", ":3: 8 cells, expected 1: expression"),
        ("AU", "0,1,0,0,0,0,1,0,0,0,1,2", ":3: AU26 2, expected 0 to 1, or -1 for none"),
        ("AU", "0,1,0,0,0,0,0.5,0,0,0,1,0", ":3: AU12 '0.5', expected a whole number"),
        ("AU", "0,1,0,0,0,0,1,0,0,0,1", ":3: 11 cells, expected 12: AU1, AU2"),
    ],
)
def test_a_wrong_line_is_refused_with_its_place(tmp_path, track, line, expected):
    content = "\n".join([HEADERS[track], ROWS[track], line, ROWS[track]])
    if expected is None:
        written(tmp_path / FOLDERS[track] / "Train_Set" / "v.txt", content)
        assert len(read(tmp_path, "train", track)) == 3
    else:
        assert refusal(tmp_path, track, content).startswith(expected)


@pytest.mark.parametrize("track", FOLDERS)
def test_another_header_is_refused(tmp_path, track):
    names = HEADERS[track].split(",")
    for header in (",".join([names[1], names[0], *names[2:]]), ",".join(names[:-1]), ROWS[track]):
        message = refusal(tmp_path, track, f"{header}\n{ROWS[track]}\n")
        assert message.startswith(":1: ")
        assert message.endswith(f"expected the header {HEADERS[track]}")


@pytest.mark.parametrize("track", FOLDERS)
def test_empty_and_foreign_files_and_folders_are_refused(tmp_path, track):
    with pytest.raises(AnnotationError, match=f"expected .*{FOLDERS[track]}"):
        read(tmp_path, "train", track)
    with pytest.raises(AnnotationError, match=f"expected .*{FOLDERS[track]}"):
        read(tmp_path / "gone", "train", track)
    (tmp_path / FOLDERS[track]).mkdir()
    with pytest.raises(AnnotationError, match="Train_Set: No such file"):
        read(tmp_path, "train", track)
    written(tmp_path / FOLDERS[track] / "Train_Set" / ".hidden.txt", "")
    with pytest.raises(AnnotationError, match=r"Train_Set: no \.txt files"):
        read(tmp_path, "train", track)
    assert refusal(tmp_path, track, "").startswith(": empty")
    assert refusal(tmp_path, track, HEADERS[track]).startswith(": a header alone")
    assert refusal(tmp_path, track, HEADERS[track].encode("utf-16")).startswith(":1: byte 0xff")
    (tmp_path / FOLDERS[track] / "Train_Set" / "u.txt").mkdir()
    with pytest.raises(AnnotationError, match=r"u\.txt: Is a directory"):
        read(tmp_path, "train", track)
    with pytest.raises(AnnotationError, match="split 'dev', expected one of train"):
        read(tmp_path, "dev", track)


IMAGES = ["b/00002.jpg", "video9_left/00001.jpg", "b/00002.jpg"]
LISTS = {
    "VA": "CVPR_6th_ABAW_VA_test_set_sample.txt",
    "EXPR": "CVPR_5th_ABAW_Expr_test_set_example.txt",
    "AU": "AU_test_set_sample.txt",
}


@pytest.mark.parametrize("track", FOLDERS)
@pytest.mark.parametrize("headed", [True, False])
@pytest.mark.parametrize("form", ["bare", "comma", "filled"])
@pytest.mark.parametrize("inside", [True, False])
def test_a_test_list_is_read_in_every_form_and_has_no_labels(tmp_path, track, headed, form, inside):
    ending = {"bare": "", "comma": ",", "filled": f",{ROWS[track]}"}[form]
    header = [f"image_location,{HEADERS[track]}"] * headed
    folder = tmp_path / FOLDERS[track] if inside else tmp_path
    written(folder / LISTS[track], "\n".join([*header, *(image + ending for image in IMAGES)]))
    for other in set(LISTS) - {track}:
        written(tmp_path / LISTS[other], "other/00001.jpg")
    found = read(tmp_path, "test", track)
    assert list(found.images) == IMAGES
    assert list(found.videos) == ["b", "video9_left", "b"]
    assert found.frames.tolist() == [2, 1, 2]
    assert not found.targets.valence_arousal_valid.any()
    assert not found.targets.expression_valid.any()
    assert not found.targets.action_units_valid.any()


def test_no_test_list_two_of_them_or_one_of_videos_alone_are_refused(tmp_path):
    with pytest.raises(AnnotationError, match=r"none, expected one list called \*_VA_test_set_sam"):
        read(tmp_path, "test", "VA")
    written(tmp_path / "Valence_Arousal_Estimation_Challenge_test_set_release.txt", "b\n")
    with pytest.raises(AnnotationError, match="none, expected one list"):
        read(tmp_path, "test", "VA")
    written(tmp_path / "NOVA_test_set_sample.txt", "b/00001.jpg\n")
    with pytest.raises(AnnotationError, match="none, expected one list"):
        read(tmp_path, "test", "VA")
    written(tmp_path / "x_VA_test_set_sample.txt", "video1\nvideo2\n")
    with pytest.raises(AnnotationError, match=r"_sample\.txt:2: image 'video2', expected the path"):
        read(tmp_path, "test", "VA")
    written(tmp_path / "VA_Estimation_Challenge/y_VA_test_set_example.txt", "b/00001.jpg")
    with pytest.raises(AnnotationError, match=r"x_VA_test.*, VA_Est.*y_VA_test.*, expected one"):
        read(tmp_path, "test", "VA")
    with pytest.raises(AnnotationError, match="gone: No such file"):
        read(tmp_path / "gone", "test", "VA")
