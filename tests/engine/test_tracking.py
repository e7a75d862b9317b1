import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pretrain.engine.pictures import image_grid, plot_curves
from pretrain.engine.tracking import LogConfig, Tracker, read_metrics


def values(step: int) -> dict[str, float]:
    rates = {"images_per_second": 100.0, "waiting": 0.1}
    return {"step": step, "epoch": step / 10, "loss": 1 / (1 + step), "lr": 1e-4, **rates}


def test_metrics_after_the_resumed_step_are_dropped(tmp_path: Path) -> None:
    tracker = Tracker(tmp_path, (), 0, 10, {})
    for step in (2, 4, 6):
        tracker.record(values(step), 1.0)
    tracker.close()
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 8, "lo')  # a kill in the middle of a line
    assert [record["step"] for record in read_metrics(tmp_path)] == [2, 4, 6]
    Tracker(tmp_path, (), 4, 10, {}).close()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2, 4]


def test_tensorboard_files_are_written(tmp_path: Path) -> None:
    tracker = Tracker(tmp_path, ("tensorboard",), 0, 10, {})
    tracker.record(values(2), 1.0)
    tracker.close()
    assert list((tmp_path / "tensorboard").glob("events.*"))


def test_without_a_terminal_progress_is_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Tracker(tmp_path, (), 0, 10, {}).record(values(2), 90.0)
    assert "step 2/10" in capsys.readouterr().out


def test_unknown_trackers_are_refused() -> None:
    with pytest.raises(ValueError, match="trackers 'mlflow', expected tensorboard or wandb"):
        LogConfig(trackers=("mlflow",))


def test_a_grid_holds_every_image_once(tmp_path: Path) -> None:
    colours = [np.full((96, 96, 3), 20 * i, np.uint8) for i in range(1, 6)]
    image_grid({"a": colours, "b": colours[::-1]}, tmp_path / "new" / "grid.png", groups=2)
    pixels = np.asarray(Image.open(tmp_path / "new" / "grid.png"))
    for colour in colours:
        assert (pixels == colour[0, 0]).all(-1).sum() >= 2 * 96 * 96


def test_curves_are_drawn(tmp_path: Path) -> None:
    plot_curves([values(step) for step in range(5)], tmp_path / "curves.png", "a run")
    assert np.asarray(Image.open(tmp_path / "curves.png")).std() > 1
