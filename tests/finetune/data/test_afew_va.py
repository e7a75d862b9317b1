"""AFEW-VA: clips as JSON."""

import json
import shutil

import pytest
from label_files import lay_out, refusal, write

from finetune.data.afew_va import read

FILE = "002/002.json"


def clip(valence="1.5", arousal="2", frame="00003", actor='"A"', more=""):
    return (
        f'{{"actor": {actor}, "frames": {{"{frame}": '
        f'{{"valence": {valence}, "arousal": {arousal}}}{more}}}}}'
    )


def test_frames_of_all_clips(tmp_path):
    lay_out(tmp_path, "afew_va")
    found = read(tmp_path, "all")
    assert list(found.images) == ["001/00000.png", "002/00009.png", "002/00010.png"]
    assert found.videos == ["001", "002", "002"]
    assert found.frames.tolist() == [0, 9, 10]
    assert found.subjects == ["Zoë", "B. Actor", "B. Actor"]
    assert found.targets.valence_arousal.tolist() == [[0, 0.1], [1, -1], [-0.3, 0.4]]
    assert found.targets.valence_arousal_valid.all()
    assert not found.targets.expression_valid.any()


def test_clips_may_lie_in_folders(tmp_path):
    lay_out(tmp_path, "afew_va")
    (tmp_path / "01").mkdir()
    for name in ("001", "002"):
        shutil.move(tmp_path / name, tmp_path / "01" / name)
    write(tmp_path / "license.txt", "")
    write(tmp_path / "01/readme.txt", "")
    found = read(tmp_path, "all")
    assert list(found.images) == ["01/001/00000.png", "01/002/00009.png", "01/002/00010.png"]
    assert found.videos == ["01/001", "01/002", "01/002"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (clip(valence="10.5"), ": frame 00003 valence 10.5, expected in [-10, 10]"),
        (clip(arousal="-11"), ": frame 00003 arousal -11, expected in [-10, 10]"),
        (clip(arousal="NaN"), ": frame 00003 arousal nan, expected in [-10, 10]"),
        (clip(arousal="1e9"), ": frame 00003 arousal 1e+09, expected in [-10, 10]"),
        (clip(arousal="9" * 5000), ": frame 00003 arousal inf, expected in [-10, 10]"),
        (clip(arousal='"1"'), ": frame 00003 arousal '1', expected a number"),
        (clip(arousal="true"), ": frame 00003 arousal 'True', expected a number"),
        (clip(arousal="null"), ": frame 00003 arousal 'None', expected a number"),
        (clip(frame="x"), ": frames 'x', expected a frame's number"),
        (clip(frame="9" * 30), ": frames '999"),
        (clip(actor="3"), ": actor '3.0', expected a name"),
        (clip(actor='""'), ": actor '', expected a name"),
        (clip(actor='"a\\nb"'), ": actor 'a\\nb', expected a name"),
        (clip(more=', "00003": {}'), ": '00003' twice, expected each key once"),
        (clip(more=', "00004": {}'), ": frame 00004 valence 'nothing', expected a number"),
        (clip(more=', "00004": 5'), ": frame 00004 '5.0', expected valence and arousal"),
        ('{"actor": "A"}', ": frames 'None', expected an object of frames"),
        ("[]", ": '[]', expected a clip"),
        (clip()[:-1], ":1: Expecting ',' delimiter, expected JSON"),
        ("\n\n" + clip()[1:], ":3: Extra data, expected JSON"),
        ("[" * 100_000, ": nested without end, expected a clip"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, content, said):
    lay_out(tmp_path, "afew_va")
    write(tmp_path / FILE, content)
    message = refusal(tmp_path, "afew_va")
    assert message.startswith(f"{FILE}{said}")
    assert len(message) < 300


def test_a_clip_without_labels_is_refused(tmp_path):
    lay_out(tmp_path, "afew_va")
    (tmp_path / FILE).rename(tmp_path / "002/labels.json")
    assert refusal(tmp_path, "afew_va") == "002: no labels, expected 002.json"
    (tmp_path / "002/labels.json").unlink()
    (tmp_path / "002/003").mkdir()
    assert refusal(tmp_path, "afew_va") == "002/003: no labels, expected 003.json"


def test_clips_without_frames_are_refused(tmp_path):
    write(tmp_path / FILE, json.dumps({"actor": "A", "frames": {}}))
    assert "no frames, expected clips" in refusal(tmp_path, "afew_va")
