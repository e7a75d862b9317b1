"""The bench of stage two runs and writes what it found. No time is asserted."""

import json
from pathlib import Path

import pytest
from programs import run

SMALL = ("--model.size", "tiny", "--model.image_size", 32, "--model.patch_size", 8)


def test_steps_and_predictions_are_measured(tmp_path: Path) -> None:
    few = ("--batch_size", 4, "--rounds", 1, "--seconds", 0, "--runtime.threads", 1)
    code, output, errors = run("-m", "finetune.bench", *SMALL, *few, "--out", tmp_path)
    assert code == 0, errors
    assert output.strip() == (tmp_path / "bench.md").read_text().strip()
    steps, predictions = json.loads((tmp_path / "bench.json").read_text())["sections"]
    assert [row["ratio"] for row in (steps["rows"][0], predictions["rows"][0])] == [1, 1]
    assert [len(section["rows"]) for section in (steps, predictions)] == [6, 3]
    assert (tmp_path / "bench.png").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model.va_input", "cnn_scores"), "model.va_input 'cnn_scores', expected scores or"),
        (("--mask_ratio", 1), "mask_ratio 1.0, expected inside (0, 1)"),
        (("--mask_ratio", 0.999), "leaves 0 of 16 patches visible"),
        (("--rounds", 0), "rounds 0, expected at least 1"),
    ],
)
def test_what_measures_nothing_is_refused(options: tuple[object, ...], message: str) -> None:
    code, _, errors = run("-m", "finetune.bench", *SMALL, *options)
    assert code != 0
    assert message in errors
    assert len(errors.strip().splitlines()) == 1
