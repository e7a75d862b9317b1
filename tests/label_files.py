"""Small label files in each collection's form, typed by hand; every class has another count."""

import io
import json
from importlib import import_module

import numpy as np
import pytest

from finetune.data.annotations import AnnotationError


def npy(value):
    stream = io.BytesIO()
    np.save(stream, np.array(value))
    return stream.getvalue()


_AFFECTNET = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,"
    "expression,valence,arousal\n"
)
_FERPLUS = (
    "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
)
_GREY = " ".join(["7"] * 2304)

#: By reader: the split to read, and the files below the root.
TREES = {
    "affectnet": (
        "train",
        {
            "training.csv": _AFFECTNET
            + "1/a.jpg,1,2,30,40,1.5;2.5;3;4,1,0.785714,-0.055556\n"
            + "1/b.JPG,1,2,30,40,1.5;2.5;3;4,7,-0.5,0.25\n"
            + "2/c.png,1,2,30,40,1.5;2.5;3;4,6,-1,1\n"
            + "2/d.jpg,1,2,30,40,1.5;2.5;3;4,8,-2,-2\n"
            + "2/e.jpg,1,2,30,40,1.5;2.5;3;4,9,-2,-2\n"
            + "2/f.jpg,1,2,30,40,1.5;2.5;3;4,10,-2,-2\n"
            + "1/a.jpg,1,2,30,40,1.5;2.5;3;4,1,0.785714,-0.055556\n"
            + "3/g.jpg,1,2,30,40,1.5;2.5;3;4,0,0.0,-2\n"
        },
    ),
    "affectnet folders": (
        "validation",
        {
            f"val_set/annotations/{name}_{label}.npy": npy(value)
            for name, values in {
                "10": ("7", "-0.25", "0.5"),
                "9": (3, 0.125, -1.0),
                "0": ("0", "0", "-2.0"),
                "11": (8, "-2", "-2"),
            }.items()
            for label, value in zip(("exp", "val", "aro"), values, strict=True)
        },
    ),
    "rafdb": (
        "train",
        {
            "EmoLabel/list_patition_label.txt": "train_00001.jpg 5\n"
            "train_00002.jpg 1\ntest_0001.jpg 7\ntrain_00003.jpg 5\ntrain_00004.jpg 2\n"
            "test_0002.jpg 3\ntrain_00005.jpg 4\ntrain_00002.jpg 1\ntrain_00006.jpg 6\n"
            "train_00007.jpg 5\n"
        },
    ),
    "ferplus": (
        "train",
        {
            "fer2013new.csv": _FERPLUS
            + "Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0\n"  # Neutral
            + "Training,fer0000001.png,0,6,0,0,0,0,0,0,4,0\n"  # Happiness, four unknown
            + "Training,,0,0,0,0,0,0,0,0,0,10\n"  # taken out
            + "PublicTest,fer0000002.png,0,0,1,9,0,0,0,0,0,0\n"
            + "Training,fer0000003.png,0,5,0,0,5,0,0,0,0,0\n"  # a tie
            + "Training,fer0000004.png,4,0,0,0,0,0,0,0,6,0\n"  # unknown
            + "Training,fer0000005.png,4,0,0,0,0,0,0,0,1,5\n"  # no face
            + "Training,fer0000006.png,1,0,0,0,0,0,0,9,0,0\n"  # Contempt
            + "PrivateTest,fer0000007.png,0,0,0,0,0,0,10,0,0,0\n"
            + "Training,fer0000008.png,4,0,0,0,0,0,0,1,4,1\n"  # a tie with unknown
            + "Training,fer0000009.png,0,0,3,2,2,2,1,0,0,0\n"  # Surprise, no half of the votes
        },
    ),
    "fer2013": (
        "train",
        {
            "fer2013.csv": "emotion,pixels,Usage\n"
            + "".join(
                f"{code},{_GREY},{usage}\n"
                for code, usage in [
                    (0, "Training"),
                    (6, "Training"),
                    (3, "PublicTest"),
                    (5, "Training"),
                    (3, "PrivateTest"),
                    (6, "Training"),
                    (1, "PrivateTest"),
                    (3, "Training"),
                    (6, "Training"),
                ]
            )
        },
    ),
    "fer2013 folders": (
        "test",
        {
            f"test/{folder}/im{number}.{ending}": ""
            for folder, count, ending in [
                ("angry", 1, "jpg"),
                ("Disgust", 2, "png"),
                ("fear", 3, "jpg"),
                ("happy", 4, "JPG"),
                ("NEUTRAL", 5, "jpg"),
                ("sadness", 6, "jpg"),
                ("surprise", 7, "jpg"),
            ]
            for number in range(count)
        },
    ),
    "disfa": (
        "all",
        {
            f"ActionUnit_Labels/{subject}/{subject}_au{unit}.txt": "".join(
                # From frame place + 1 on, the unit is there: every unit as often as no other.
                f"{frame},{(place % 4 + 2) if frame > place + 1 else frame % 2}\n"
                for frame in range(1, frames + 1)
            )
            for subject, frames in [("SN002", 15), ("SN001", 13)]
            for place, unit in enumerate((1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26))
        },
    ),
    "raf_au": (
        "all",
        {"RAFAU_label.txt": "0002.jpg 1+4+25\n0001.jpg L12+T23\n0003.jpg null\n0004.jpg R25+1\n"},
    ),
    "ckplus": (
        "all",
        {
            "FACS/S010/004/S010_004_00000019_facs.txt": "\n   1.0000000e+00   2.0000000e+00\n"
            "   2.7000000e+01   0.0000000e+00\n\n",
            "FACS/S005/001/S005_001_00000011_facs.txt": "9 4\n17 0\n25 5\n",
            "FACS/S010/006/S010_006_00000015_facs.txt": "1.0 5\n9 1\n",
            "FACS/S010/002/S010_002_00000014_facs.txt": "25 5\n1 1\n9 3\n",
            "Emotion/S005/001/S005_001_00000011_emotion.txt": "   3.0000000e+00\n",
            "Emotion/S010/004/S010_004_00000019_emotion.txt": "   7.0000000e+00\n",
            "Emotion/S010/002/S010_002_00000014_emotion.txt": "2",
        },
    ),
    "afew_va": (
        "all",
        {
            "002/002.json": json.dumps(
                {
                    "video_id": "002",
                    "actor": "B. Actor",
                    "frames": {
                        "00010": {"valence": -3.0, "arousal": 4, "landmarks": [[1.5, 2]]},
                        "00009": {"valence": 10, "arousal": -10.0, "landmarks": []},
                    },
                }
            ),
            "001/001.json": json.dumps(
                {"actor": "Zoë", "frames": {"00000": {"arousal": 1.0, "valence": 0.0}}}
            ),
        },
    ),
    "emotionet": (
        "all",
        {
            "list.csv": "URL,'AU 12','AU 01',AU4,AU 51,note\n"
            "https://host.org/N_1/x%20y.jpg?size=1,1,0,999,0,z\n"
            "N_2/b.jpg,1,999,1,0,z\nhttp://h/N_1/c.jpg,1,0,1,1,\nN_2/b.jpg,0,1,0,999,z\n"
        },
    ),
}


def lay_out(root, kind):
    """Writes a tree and returns its split."""
    split, files = TREES[kind]
    for name, content in files.items():
        write(root / name, content)
    return split


def write(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())


def reader(kind):
    return import_module(f"finetune.data.{kind.split()[0]}")


def refusal(root, kind, split=None):
    """What the one line of the error says after the root."""
    with pytest.raises(AnnotationError) as caught:
        reader(kind).read(root, split or TREES[kind][0])
    return one_line(caught.value, root)


def one_line(error, root):
    message = str(error)
    assert "\n" not in message
    assert ", expected " in message
    assert message.startswith(str(root))
    return message.removeprefix(str(root)).removeprefix("/")


def refused_row(root, kind, file, old, new):
    """The refusal of a tree in one of whose files some text is another."""
    lay_out(root, kind)
    content = (root / file).read_text()
    assert content.count(old) == 1
    write(root / file, content.replace(old, new))
    return refusal(root, kind).removeprefix(file)
