import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pretrain.engine import checkpoint
from pretrain.engine.checkpoint import CheckpointError
from pretrain.engine.run_folder import (
    RunFolderError,
    claim,
    record_end,
    record_start,
)

DEFINING = {"seed": 0, "model.patch_size": 16}


def saved(folder: Path, step: int) -> Path:
    state = {"defining": DEFINING}
    tensors = {"model": {"w": torch.zeros(1)}}
    return checkpoint.save(folder / "checkpoints", step, tensors, state, keep=9)


def test_a_new_folder_starts(tmp_path: Path) -> None:
    assert claim(tmp_path / "a" / "b", None, DEFINING) == (None, [])
    assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_with_other_files_takes_a_run(tmp_path: Path) -> None:
    (tmp_path / "slurm-1.out").write_text("log")
    assert claim(tmp_path, None, DEFINING) == (None, [])


@pytest.mark.parametrize("name", ["run.json", "checkpoints/step-00000001"])
def test_a_folder_that_holds_another_run_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir(parents=True)
    with pytest.raises(RunFolderError, match=f"{tmp_path}: holds another run"):
        claim(tmp_path, None, DEFINING)


def test_auto_starts_where_there_is_nothing_and_goes_on_where_there_is(tmp_path: Path) -> None:
    assert claim(tmp_path, "auto", DEFINING) == (None, [])
    saved(tmp_path, 3)
    newest = saved(tmp_path, 12)
    found, rejected = claim(tmp_path, "auto", DEFINING)
    assert found is not None
    assert (found.path, rejected) == (newest, [])


def test_auto_reports_torn_checkpoints(tmp_path: Path) -> None:
    saved(tmp_path, 3)
    (saved(tmp_path, 12) / "model.safetensors").write_bytes(b"torn")
    found, rejected = claim(tmp_path, "auto", DEFINING)
    assert found is not None
    assert found.path.name == "step-00000003"
    assert "step-00000012" in rejected[0]


def test_a_named_checkpoint_must_be_whole(tmp_path: Path) -> None:
    path = saved(tmp_path, 3)
    found, _ = claim(tmp_path / "new", str(path), DEFINING)
    assert found is not None
    with pytest.raises(CheckpointError, match="nowhere"):
        claim(tmp_path / "other", str(tmp_path / "nowhere"), DEFINING)


def test_a_file_in_the_way_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="cannot make the run's folder"):
        claim(tmp_path / "file" / "run", None, DEFINING)


def test_other_defining_fields_are_refused_by_name(tmp_path: Path) -> None:
    saved(tmp_path, 3)
    with pytest.raises(CheckpointError) as caught:
        claim(tmp_path, "auto", {"seed": 1, "model.patch_size": 8})
    assert "model.patch_size 16 (now 8), seed 0 (now 1)" in str(caught.value)
    with pytest.raises(CheckpointError, match=r"optim\.base_lr 'absent' \(now 0.1\)"):
        claim(tmp_path, "auto", DEFINING | {"optim.base_lr": 0.1})


def test_starts_and_ends_are_recorded(tmp_path: Path) -> None:
    record_start(tmp_path, {"world_size": 1})
    record_end(tmp_path, {"complete": False})
    record_start(tmp_path, {"world_size": 2})
    starts = json.loads((tmp_path / "run.json").read_text())["starts"]
    assert [start["world_size"] for start in starts] == [1, 2]
    assert starts[0]["end"]["complete"] is False
    assert "end" not in starts[1]


def test_a_checkpoint_of_elsewhere_does_not_go_into_a_folder_that_holds_a_run(
    tmp_path: Path,
) -> None:
    other = saved(tmp_path / "other", 3)
    own = saved(tmp_path / "run", 5)
    with pytest.raises(RunFolderError, match="holds another run than"):
        claim(tmp_path / "run", str(other), DEFINING)
    found, _ = claim(tmp_path / "run", str(own), DEFINING)
    assert found is not None


def test_a_run_that_lost_its_checkpoints_starts_again_only_as_itself(tmp_path: Path) -> None:
    record_start(tmp_path, {"defining": DEFINING})
    found, notes = claim(tmp_path, "auto", DEFINING)
    assert found is None
    assert notes == [f"{tmp_path}: no whole checkpoint, starting from step 0"]
    with pytest.raises(CheckpointError, match=r"run.json: made with seed 0 \(now 1\)"):
        claim(tmp_path, "auto", DEFINING | {"seed": 1})


def test_a_run_from_before_an_option_existed_was_made_with_its_default(tmp_path: Path) -> None:
    record_start(tmp_path, {"defining": DEFINING})
    now = DEFINING | {"new": 0.5}
    assert claim(tmp_path, "auto", now, {"new": 0.5, "other": 1})[0] is None
    for defaults in (None, {}, {"new": 0.4}):
        with pytest.raises(CheckpointError, match=r"made with new .* \(now 0.5\)"):
            claim(tmp_path, "auto", now, defaults)
    with pytest.raises(CheckpointError, match=r"seed 0 \(now 'absent'\)"):
        claim(tmp_path, "auto", {key: v for key, v in now.items() if key != "seed"}, {"new": 0.5})


def test_two_processes_do_not_write_one_run(tmp_path: Path) -> None:
    claim(tmp_path, None, DEFINING)
    code = (
        "import sys; from pathlib import Path; from pretrain.engine.run_folder import claim;"
        "claim(Path(sys.argv[1]), None, {})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert f"RunFolderError: {tmp_path}: another process is training here" in done.stderr
