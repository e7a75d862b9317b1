import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pretrain.engine import checkpoint
from pretrain.engine.checkpoint import CheckpointConfig, CheckpointError, newest, read

TENSORS = {
    "model": {"weight": torch.arange(6.0).reshape(2, 3), "scalar": torch.tensor(3.5)},
    "optimizer": {"exp_avg/weight": torch.ones(2, 3)},
}


def save(folder: Path, step: int, keep: int = 3) -> Path:
    return checkpoint.save(folder, step, TENSORS, {"step": step, "value": 0.1}, keep)


def test_a_checkpoint_reads_back_equal(tmp_path: Path) -> None:
    loaded = read(save(tmp_path, 5))
    assert loaded.state == {"step": 5, "value": 0.1}
    assert loaded.tensors.keys() == TENSORS.keys()
    for part, tensors in TENSORS.items():
        for name, value in tensors.items():
            torch.testing.assert_close(loaded.tensors[part][name], value, rtol=0, atol=0)


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in (9, 10, 100, 1000):
        save(tmp_path, step, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000100", "step-00001000"]


def test_saving_the_same_step_again_replaces_it(tmp_path: Path) -> None:
    save(tmp_path, 3)
    checkpoint.save(tmp_path, 3, TENSORS, {"again": True}, 2)
    assert read(tmp_path / "step-00000003").state == {"again": True}


def test_no_checkpoint_gives_none(tmp_path: Path) -> None:
    assert newest(tmp_path / "nowhere") == (None, [])


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing"])
def test_a_damaged_newest_one_is_passed_over_and_named(
    tmp_path: Path, file: str, damage: str
) -> None:
    save(tmp_path, 1)
    victim = save(tmp_path, 2) / file
    content = bytearray(victim.read_bytes())
    if damage == "missing":
        victim.unlink()
    else:
        content[-1] ^= 1
        victim.write_bytes(content[:-7] if damage == "truncated" else content)
    found, rejected = newest(tmp_path)
    assert found is not None
    assert found.state["step"] == 1
    assert len(rejected) == 1
    assert file in rejected[0]
    assert "\n" not in rejected[0]


def test_a_folder_without_its_commit_is_no_checkpoint(tmp_path: Path) -> None:
    save(tmp_path, 1)
    (save(tmp_path, 2) / checkpoint.COMMITTED).unlink()
    found, rejected = newest(tmp_path)
    assert found is not None
    assert found.state["step"] == 1
    assert "step-00000002" in rejected[0]


def test_a_draft_left_by_a_kill_is_ignored_and_removed(tmp_path: Path) -> None:
    save(tmp_path, 1)
    draft = tmp_path / ".step-00000002.4711"
    draft.mkdir()
    (draft / "model.safetensors").write_bytes(b"half")
    assert newest(tmp_path)[1] == []
    save(tmp_path, 3)
    assert not draft.exists()


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"[]", b"{}", b'{"model.safetensors": 3}', b""]
)
def test_a_broken_commit_is_passed_over(tmp_path: Path, content: bytes) -> None:
    save(tmp_path, 1)
    (save(tmp_path, 2) / checkpoint.COMMITTED).write_bytes(content)
    found, rejected = newest(tmp_path)
    assert found is not None
    assert found.state["step"] == 1
    assert "step-00000002" in rejected[0]


def test_going_back_drops_the_abandoned_future_and_keeps_the_new_one(tmp_path: Path) -> None:
    for step in (8, 16, 24):
        save(tmp_path, step)
    (save(tmp_path, 32) / "model.safetensors").write_bytes(b"torn")
    copy = tmp_path / "step-00000008-backup"
    copy.mkdir()
    save(tmp_path, 12, keep=1)
    assert {path.name for path in tmp_path.iterdir()} == {"step-00000012", copy.name}


def test_reading_something_else_names_it(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nothing-here"):
        read(tmp_path / "nothing-here")


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import torch
from pretrain.engine import checkpoint
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))
checkpoint.save(Path(sys.argv[1]), 2, {"model": {"weight": torch.zeros(1000)}}, {}, 1)
"""


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path: Path) -> None:
    # The kernel refuses every file over 200 bytes, as a full disk does: in a process of its own,
    # for the limit holds for whatever else writes, a test runner's output for one.
    save(tmp_path, 1, keep=1)
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "CheckpointError" in last
    assert "step-00000002" in last
    assert last.endswith("last good one: step-00000001")
    found, rejected = newest(tmp_path)
    assert found is not None
    assert found.state["step"] == 1
    assert rejected == []
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]


def test_the_commit_lists_every_file(tmp_path: Path) -> None:
    folder = save(tmp_path, 1)
    listed = json.loads((folder / checkpoint.COMMITTED).read_text())
    assert {*listed, checkpoint.COMMITTED} == {path.name for path in folder.iterdir()}


def test_intervals_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="keep 0, expected > 0"):
        CheckpointConfig(keep=0)
    with pytest.raises(ValueError, match="every_minutes -1"):
        CheckpointConfig(every_minutes=-1)
