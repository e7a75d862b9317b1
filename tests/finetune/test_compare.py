"""Many runs in one table."""

import json
import statistics
from pathlib import Path

import pytest

from finetune.compare import CompareConfig, compare
from pretrain.errors import UserError


def scored(folder: Path, valence: float, f1: float | None = None, listed: int = 10) -> None:
    folder.mkdir(parents=True)
    scores: dict[str, object] = {"ccc": {"valence": {"value": valence}}}
    if f1 is not None:
        scores["macro_f1"] = {"value": f1}
    record = {
        "labels": {"kind": "synthetic", "root": None, "split": "validation"},
        "rows": {"listed": listed, "scored": {}},
        "drawn": True,
        "scores": scores,
    }
    (folder / "scores.json").write_text(json.dumps(record))


def test_mean_and_spread_are_over_the_seeds(tmp_path: Path) -> None:
    values = (0.2, 0.35, 0.31)
    for seed, value in enumerate(values):
        scored(tmp_path / "emma" / f"seed-{seed}", value, 0.5)
    scored(tmp_path / "only_affect" / "seed-0", -0.25)
    lines = compare(CompareConfig(runs=str(tmp_path))).splitlines()
    assert lines[0] == "| system | seeds | CCC valence | expression F1 |"
    mean, spread = statistics.mean(values), statistics.stdev(values)
    assert lines[2] == f"| emma | 3 | {mean:.3f} ± {spread:.3f} | .500 ± .000 |".replace("0.", ".")
    assert lines[3] == "| only affect | 1 | -.250 |  |"
    assert "drawn faces" in lines[-1]


def test_single_runs_are_rows_too(tmp_path: Path) -> None:
    scored(tmp_path / "affect", 0.1)
    for seed in (0, 1):
        scored(tmp_path / "other" / f"seed-{seed}", 0.3)
    (tmp_path / "notes").mkdir()
    lines = compare(CompareConfig(runs=str(tmp_path))).splitlines()
    assert lines[2:4] == ["| affect | 1 | .100 |", "| other | 2 | .300 ± .000 |"]


def test_rows_come_in_the_order_that_was_asked_for(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        scored(tmp_path / name / "seed-0", 0.1)
    lines = compare(CompareConfig(runs=str(tmp_path), rows=("c", "a"))).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:4]] == ["| c", "| a"]


def test_scores_of_other_images_are_not_put_side_by_side(tmp_path: Path) -> None:
    scored(tmp_path / "a" / "seed-0", 0.1)
    scored(tmp_path / "b" / "seed-0", 0.1, listed=11)
    with pytest.raises(UserError, match="other numbers of images"):
        compare(CompareConfig(runs=str(tmp_path)))


@pytest.mark.parametrize("rows", [None, ("missing",)])
def test_what_is_not_there_is_one_line(tmp_path: Path, rows: tuple[str, ...] | None) -> None:
    root = tmp_path / "nothing" if rows is None else tmp_path
    with pytest.raises(UserError, match="expected"):
        compare(CompareConfig(runs=str(root), rows=rows))
