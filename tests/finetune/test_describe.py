"""The description of a copy: counts against hand counts, absent and damaged splits, leaks, published counts."""

import json
import math
from pathlib import Path

import full_size
import pytest
from label_files import TREES, lay_out, write
from pictures import encoded
from programs import run

from finetune import describe
from finetune.data.config import LabelledConfig
from finetune.data.opening import KINDS, read_collection
from finetune.data.published import PUBLISHED, Published
from finetune.describing.summary import TOTALS, compare, summarise

#: Typed by hand: every count below was made by looking at it.
TRAIN = """image,valence,arousal,expression,aus
a/00001.jpg,0.5,-0.25,3,1,0,0,0,0,0,0,0,0,0,0,1
a/00003.jpg,-0.5,0.75,-1,1,1,0,0,0,0,0,0,0,0,0,0
a/00003.jpg,-5,-5,3,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1
video7_1/00001.jpg,-5,0.25,7,0,0,0,0,0,0,0,0,0,0,-1,1
video7_2/00001.jpg,-5,-5,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1
b_left/00009.jpg,-5,-5,0,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1
"""
VALIDATION = """image,valence,arousal,expression,aus
c/00001.jpg,1,1,0,0,0,0,0,0,0,0,0,0,0,0,0
b_right/00001.jpg,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1
"""
FILES = {full_size.TRAIN: TRAIN, full_size.VALIDATION: VALIDATION}
MTL = ("--data.kind", "aff_wild2_mtl", "--data.root")


@pytest.fixture
def root(tmp_path):
    for name, content in FILES.items():
        write(tmp_path / "root" / name, content)
    return tmp_path / "root"


def described(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["describe", *map(str, arguments)])
    code = describe.main()
    output = capsys.readouterr()
    return code, output.out, output.err


def record(monkeypatch, capsys, tmp_path, *arguments):
    out = tmp_path / "out.json"
    code, text, err = described(monkeypatch, capsys, *arguments, "--out", out)
    assert (code, err) == (0, "")
    return json.loads(out.read_text()), text


def refusal(monkeypatch, capsys, *arguments):
    code, out, err = described(monkeypatch, capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "Traceback" not in err
    return err.removeprefix("error: ").rstrip()


def test_every_count_of_a_small_copy(root, tmp_path, monkeypatch, capsys):
    found, _ = record(monkeypatch, capsys, tmp_path, *MTL, root)
    train = found["splits"]["train"]
    assert train["totals"] == {
        "rows": 6,
        "unique_images": 5,
        "duplicate_rows": 1,
        "videos": 4,
        "recordings": 3,
        "valence_arousal": 3,
        "one_of_valence_arousal": 1,
        "expression": 4,
        "action_units": 3,
        "some_action_units": 1,
        "all_tasks": 2,
        "no_task": 1,
    }
    assert train["classes"] == {
        "Neutral": 1,
        "Anger": 0,
        "Disgust": 0,
        "Fear": 2,
        "Happiness": 0,
        "Sadness": 0,
        "Surprise": 0,
        "Other": 1,
    }
    assert train["units"]["AU1"] == {"labelled": 3, "present": 2}
    assert train["units"]["AU2"] == {"labelled": 3, "present": 1}
    assert train["units"]["AU25"] == {"labelled": 2, "present": 0}
    assert train["units"]["AU26"] == {"labelled": 3, "present": 2}
    assert train["affect"]["valence"] == {
        "labelled": 2,
        "mean": 0,
        "sd": 0.5,
        "least": -0.5,
        "most": 0.5,
    }
    arousal = train["affect"]["arousal"]  # -1/4, 3/4, 1/4
    assert (arousal["labelled"], arousal["least"], arousal["most"]) == (3, -0.25, 0.75)
    assert arousal["mean"] == pytest.approx(0.25)
    assert arousal["sd"] == pytest.approx(math.sqrt(1 / 6))
    assert found["splits"]["validation"]["totals"]["no_task"] == 0
    assert list(found["splits"]) == ["train", "validation"]
    assert found["drawn"] is False


def test_the_text_is_a_table_of_the_same_numbers(root, monkeypatch, capsys):
    code, text, err = described(monkeypatch, capsys, *MTL, root)
    assert (code, err) == (0, "")
    lines = {" ".join(line.split()) for line in text.splitlines()}
    assert {
        f"aff_wild2_mtl in {root}",
        "rows 6 differs: 142,382 2 differs: 26,876",
        "videos 4 differs: 257 2 differs: 50",
        "recordings 3 2",
        "rows with one of the two 1 0",
        "rows with no label 1 differs: 49 0",
        "Fear 2 50.0% differs: 3,122 0 0.0% differs: 1,254",
        "AU1 2 66.7% 3 differs: 18,713 0 0.0% 2 differs: 5,531",
        "train valence 2 0.000 0.500 -0.500 0.500",
    } <= lines
    assert all(line == line.rstrip() for line in text.splitlines())


def test_an_absent_split_is_named_and_ends_nothing(root, tmp_path, monkeypatch, capsys):
    found, text = record(monkeypatch, capsys, tmp_path, *MTL, root)
    reason = f"{root / full_size.TEST}: No such file or directory, expected a list of images"
    assert found["missing"] == {"test": reason}
    assert f"test is not here: {reason}\n" in text


def test_a_damaged_split_is_an_error_and_no_absence(root, monkeypatch, capsys):
    write(root / full_size.TEST, "image\na/b/00001.jpg\n")
    message = refusal(monkeypatch, capsys, *MTL, root)
    assert message.startswith(f"{root / full_size.TEST}:2: 'a/b/00001.jpg', expected <video>")


def test_a_split_that_was_asked_for_must_be_there(root, monkeypatch, capsys):
    message = refusal(monkeypatch, capsys, *MTL, root, "--data.split", "test")
    assert message.startswith(f"{root / full_size.TEST}: No such file or directory")
    message = refusal(monkeypatch, capsys, *MTL, root, "--data.split", "dev")
    assert message == f"{root}: split 'dev', expected one of train, validation, test"


def test_one_split_alone_is_compared_with_none(root, tmp_path, monkeypatch, capsys):
    arguments = (*MTL, root, "--data.split", "validation")
    found, text = record(monkeypatch, capsys, tmp_path, *arguments)
    assert list(found["splits"]) == ["validation"]
    assert (found["missing"], found["shared"], found["comparable"]) == ({}, [], [])
    assert "LEAK" not in text
    assert "no two splits" not in text


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("synthetic", "list")])
def test_a_folder_without_any_split_is_refused_on_one_line(tmp_path, monkeypatch, capsys, kind):
    track = ("--data.track", "AU") if kind == "aff_wild2_video" else ()
    arguments = ("--data.kind", kind, "--data.root", tmp_path, *track)
    message = refusal(monkeypatch, capsys, *arguments)
    splits = KINDS[kind].SPLITS
    none = f"none of {', '.join(splits)} is here: " if len(splits) > 1 else ""
    assert message.startswith(none + str(tmp_path))
    assert ", expected " in message


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--data.kind", "affwild", "--data.root", "."), "kind 'affwild', expected one of synth"),
        (("--data.kind", "lsd"), "data.root None with kind 'lsd', expected a folder"),
        (("--data.root", "."), "--data.root '.' with kind 'synthetic', expected none"),
        (("--data.kind", "aff_wild2_video", "--data.root", "."), "track None, expected one of VA"),
        (("--data.kind", "lsd", "--data.root", ".", "--data.track", "VA"), "track 'VA', expected"),
        (("--data.kind", "lsd", "--data.root", "gone"), "gone: no such folder, expected the fold"),
        (("--data.kind", "lsd", "--data.root", "setup.cfg"), "setup.cfg: "),
        (("--table", "t"), "--table: unknown key"),
        (("--images", "perhaps"), "--images: "),
        (
            ("--images", "false", "--near_duplicates", "true"),
            "--images False with near_duplicates, expected true",
        ),
    ],
)
def test_wrong_options_are_one_line(monkeypatch, capsys, tmp_path, arguments, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "setup.cfg").write_text("")
    assert refusal(monkeypatch, capsys, *arguments).startswith(expected)


def test_a_file_that_cannot_be_written_is_refused(root, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["describe", *map(str, (*MTL, root, "--out", tmp_path))])
    assert describe.main() == 2
    assert capsys.readouterr().err.startswith(
        f"error: {tmp_path}: is no regular file, expected a file"
    )


def test_what_two_splits_share_is_called_a_leak(tmp_path, monkeypatch, capsys):
    head = "image,subject,video\n"
    write(tmp_path / "train.csv", head + "x.jpg,ann,u_left\ny.jpg,bob,v\ny.jpg,bob,v\n")
    write(tmp_path / "validation.csv", head + "y.jpg,bob,v\nz.jpg,cid,u_right\n")
    write(tmp_path / "test.csv", head + "w.jpg,ann,t\n")
    arguments = ("--data.kind", "manifest", "--data.root", tmp_path)
    found, text = record(monkeypatch, capsys, tmp_path, *arguments)
    shared = [(o["one"], o["other"], o["what"], o["names"]) for o in found["shared"]]
    assert shared == [
        ("train", "validation", "images", ["y.jpg"]),
        ("train", "validation", "videos", ["v"]),
        ("train", "validation", "recordings", ["u", "v"]),
        ("train", "validation", "subjects", ["bob"]),
        ("train", "test", "subjects", ["ann"]),
    ]
    assert text.count("LEAK: ") == 5
    assert "LEAK: recordings in both train and validation: 2 (u, v)\n" in text


def test_splits_that_share_nothing_say_so(root, monkeypatch, capsys):
    write(root / full_size.VALIDATION, VALIDATION.replace("b_right", "d"))
    _, text, _ = described(monkeypatch, capsys, *MTL, root)
    assert "no two splits share any of their images, videos, recordings\n" in text
    write(root / full_size.VALIDATION, VALIDATION)
    _, text, _ = described(monkeypatch, capsys, *MTL, root)
    assert "LEAK: recordings in both train and validation: 1 (b)\n" in text
    assert "LEAK: videos" not in text


def test_images_are_looked_for_in_their_folders_unless_told_not_to(
    root, tmp_path, monkeypatch, capsys
):
    for image in ("cropped_aligned/a/00001.jpg", "cropped_aligned/c/00001.jpg"):
        write(root / image, "")
    found, text = record(monkeypatch, capsys, tmp_path, *MTL, root)
    assert found["images"]["train"] == {
        "listed": 6,
        "absent": 5,
        "absent_images": 4,
        "first": ["a/00003.jpg", "video7_1/00001.jpg", "video7_2/00001.jpg"],
    }
    assert (
        "train: 5 of 6 listed images are absent: a/00003.jpg, video7_1/00001.jpg,"
        " video7_2/00001.jpg, ...\nvalidation: 1 of 2 listed images are absent:"
        " b_right/00001.jpg\n"
    ) in text
    write(root / "cropped_aligned/b_right/00001.jpg", "")
    found, text = record(monkeypatch, capsys, tmp_path, *MTL, root)
    assert "validation: all 2 listed images are there\n" in text
    found, text = record(monkeypatch, capsys, tmp_path, *MTL, root, "--images", "false")
    assert found["images"] == {}
    assert "listed images" not in text


def test_images_that_two_splits_share_under_other_names_are_found_if_asked_for(
    tmp_path, monkeypatch, capsys
):
    root = tmp_path / "root"
    splits = {
        "train": {"a.png": encoded(1), "b.png": encoded(2), "gone.png": None},
        "validation": {"c.png": encoded(2), "d.jpg": encoded(1, side=48, kind="JPEG")},
        "test": {"e.png": encoded(3), "f.png": b"torn"},
    }
    for split, images in splits.items():
        write(root / f"{split}.csv", "image\n" + "".join(f"{name}\n" for name in images))
        for name, content in images.items():
            if content is not None:
                write(root / name, content)
    data = ("--data.kind", "manifest", "--data.root", root)
    found, text = record(monkeypatch, capsys, tmp_path, *data)
    assert found["alike"] == []
    assert "look" not in text
    found, text = record(monkeypatch, capsys, tmp_path, *data, "--near_duplicates", "true")
    train, *others = found["alike"]
    same, like = train.pop("pairs")
    assert train == {"one": "train", "other": "validation", "compared": [2, 2], "of": [2, 2]}
    assert same == {"image": "c.png", "like": "b.png", "same_file": True, "bits": 0}
    assert (like["image"], like["like"], like["same_file"]) == ("d.jpg", "a.png", False)
    assert [(o["one"], o["other"], o["compared"], o["of"], o["pairs"]) for o in others] == [
        ("train", "test", [2, 1], [2, 2], []),
        ("validation", "test", [2, 1], [2, 2], []),
    ]
    lines = text.splitlines()
    assert (
        "LEAK: images of validation that are files of train: 1 (c.png = b.png); compared 2 of 2"
        " with 2 of 2"
    ) in lines
    assert (
        f"images of validation that look like images of train: 1 (d.jpg ~ a.png, {like['bits']}"
        " bits apart); compared 2 of 2 with 2 of 2"
    ) in lines
    assert "no image of test looks like one of validation; compared 1 of 2 with 2 of 2" in lines
    arguments = (*data, "--near_duplicates", "true", "--data.split", "train")
    found, _ = record(monkeypatch, capsys, tmp_path, *arguments)
    assert found["alike"] == []


@pytest.mark.parametrize("kind", TREES)
def test_every_kind_can_be_described(tmp_path, monkeypatch, capsys, kind):
    split = lay_out(tmp_path / "root", kind)
    name = kind.split()[0]
    found, text = record(
        monkeypatch, capsys, tmp_path, "--data.kind", name, "--data.root", tmp_path / "root"
    )
    config = LabelledConfig(kind=name, root=str(tmp_path / "root"), split=split)
    annotations = read_collection(config).annotations
    totals = found["splits"][split]["totals"]
    assert totals["rows"] == len(annotations)
    assert totals["expression"] == annotations.targets.expression_valid.sum()
    assert totals["expression"] == sum(found["splits"][split]["classes"].values())
    assert ("\nexpression " in text) == (totals["expression"] > 0)
    assert ("\naction unit " in text) == (totals["action_units"] > 0)
    assert set(found["splits"]) | set(found["missing"]) == set(KINDS[name].SPLITS)


def test_drawn_faces_are_described_without_files(tmp_path, monkeypatch, capsys):
    few = ("--data.synthetic.count", 60, "--data.synthetic.subjects", 6)
    found, text = record(monkeypatch, capsys, tmp_path, *few)
    assert found["drawn"] is True
    assert [split["totals"]["rows"] for split in found["splits"].values()] == [60] * 4
    assert text.startswith("synthetic\n")
    assert "no two splits share any of their images, subjects\n" in text
    assert text.endswith("no published counts are known to compare with\n")


def test_a_track_is_described_alone(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "root/EXPR_Recognition_Challenge/Train_Set"
    write(folder / "9.txt", "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\n4\n-1\n")
    data = ("--data.kind", "aff_wild2_video", "--data.root", tmp_path / "root", "--data.track")
    found, text = record(monkeypatch, capsys, tmp_path, *data, "EXPR")
    assert found["splits"]["train"]["classes"]["Happiness"] == 1
    assert found["splits"]["train"]["totals"]["expression"] == 1
    assert list(found["missing"]) == ["validation", "test"]
    assert "action unit" not in text.replace("action units", "")


def test_the_published_counts_are_those_of_the_descriptions():
    for split, file in (("train", full_size.TRAIN), ("validation", full_size.VALIDATION)):
        published = PUBLISHED["aff_wild2_mtl", split]
        assert list(published.classes.values()) == full_size.CLASSES[file]
        assert list(published.units.values()) == full_size.UNITS[file]
        names = ("rows", "duplicate_rows", "videos")
        assert tuple(published.totals[name] for name in names) == full_size.SIZES[file]
    train = PUBLISHED["aff_wild2_mtl", "train"].totals
    validation = PUBLISHED["aff_wild2_mtl", "validation"].totals
    labelled = ("valence_arousal", "expression", "action_units")
    assert [train[name] for name in labelled] == [103_917, 90_645, 103_316]
    assert [validation[name] for name in labelled] == [26_876, 15_440, 26_876]
    # The same release is said to have so many image files.
    unique = [c["rows"] - c["duplicate_rows"] for c in (train, validation)]
    assert sum(unique) == 168_097


@pytest.mark.parametrize("key", PUBLISHED, ids="-".join)
def test_published_counts_agree_with_each_other(key):
    kind, split = key
    published = PUBLISHED[key]
    assert split in KINDS[kind].SPLITS
    assert published.source
    assert set(published.totals) <= set(TOTALS)
    if published.classes:
        total = published.totals.get("expression", published.totals.get("rows"))
        assert sum(published.classes.values()) == total
    assert all(0 < n <= published.totals["action_units"] for n in published.units.values())


def test_counts_agree_or_differ_one_by_one(root):
    config = LabelledConfig(kind="aff_wild2_mtl", root=str(root), split="train")
    summary = summarise(read_collection(config).annotations)
    published = Published(
        totals={"rows": 6, "subjects": 3, "no_task": 0},
        classes={"Fear": 2, "Contempt": 1},
        units={"AU1": 2, "AU26": 1},
        source="me",
    )
    found = compare(summary, published)
    assert [(c.part, c.name, c.got, c.published, c.agrees) for c in found] == [
        ("totals", "rows", 6, 6, True),
        ("totals", "subjects", 0, 3, False),
        ("totals", "no_task", 1, 0, False),
        ("classes", "Fear", 2, 2, True),
        ("classes", "Contempt", 0, 1, False),
        ("units", "AU1", 2, 2, True),
        ("units", "AU26", 2, 1, False),
    ]
    assert compare(summary, None) == []


def test_the_last_line_counts_what_agrees(tmp_path, monkeypatch, capsys):
    write(
        tmp_path / "RAFAU_label.txt", "".join(f"{i:04d}.jpg 1+{i % 3 + 4}\n" for i in range(4601))
    )
    data = ("--data.kind", "raf_au", "--data.root")
    code, text, _ = described(monkeypatch, capsys, *data, tmp_path)
    assert code == 0
    assert "\n1 of 1 published counts agree\n(published: Yan et al., ACCV 2020)\n" in text
    write(tmp_path / "RAFAU_label.txt", "0001.jpg 1\n")
    code, text, _ = described(monkeypatch, capsys, *data, tmp_path)
    assert code == 0  # a part of a collection is a collection
    assert "\n0 of 1 published counts agree; see 'differs' above\n" in text


def test_labels_that_a_copy_lacks_altogether_are_missed(root, monkeypatch, capsys):
    lines = VALIDATION.splitlines()
    cells = [line.split(",") for line in lines[1:]]
    rows = [",".join([*row[:3], "-1", *row[4:]]) for row in cells]
    write(root / full_size.VALIDATION, "\n".join([lines[0], *rows]))
    _, text, _ = described(monkeypatch, capsys, *MTL, root, "--data.split", "validation")
    lines = {" ".join(line.split()) for line in text.splitlines()}
    assert "Neutral - - differs: 1,886" in lines


def test_a_user_calls_it(root):
    code, out, err = run("-m", "finetune.describe", *MTL, root, "--images", "false")
    assert (code, err) == (0, "")
    assert "published counts agree; see 'differs' above" in out
    code, out, err = run("-m", "finetune.describe", *MTL, Path("/nowhere"))
    assert (code, out) == (2, "")
    assert (
        err
        == "error: /nowhere: no such folder, expected the folder of a collection of kind aff_wild2_mtl\n"
    )
