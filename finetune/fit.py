"""Program: ``python -m finetune.fit --table HELD_OUT --data.kind K ... --out rules.json``."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from tqdm import tqdm

from finetune.data.config import LabelledConfig
from finetune.data.opening import Collection, read_collection
from finetune.postprocess import check_ensemble
from finetune.postprocessing.problem import Crossfit, Problem
from finetune.postprocessing.rules import Rules, write_rules
from finetune.postprocessing.smoothing import MAX_WIDTH
from finetune.postprocessing.text import NO_ESTIMATE, rule_lines, score_lines, summary
from finetune.score import DRAWN
from finetune.table import read_table
from pretrain.engine.config import parse_config
from pretrain.errors import exit_code
from pretrain.files import check_out

PROGRAM = "python -m finetune.fit"


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """Fits smoothing, thresholds, biases and weights to labels, and tells what they are worth.

    Attributes:
        table: raw predictions of held-out recordings (Parquet).
        ensemble: instead, tables of the same images and the weights that the search starts from.
        data: the labels of the same images.
        mapping: how expressions without a counterpart are counted; null, or contempt_to_other.
        widths: of smoothing that are tried, standard deviations in frames.
        folds: of the cross-fitted score.
        seed: of the folds.
        force: fit on recordings that the model was trained on; every score says so.
        out: JSON file for the rules.
    """

    table: str = ""
    ensemble: dict[str, float] = field(default_factory=dict)
    data: LabelledConfig = field(default_factory=LabelledConfig)
    mapping: str | None = None
    widths: tuple[float, ...] = (0.0, 5.0, 10.0, 20.0, 40.0, 80.0)
    folds: int = 5
    seed: int = 0
    force: bool = False
    out: str = ""

    def __post_init__(self) -> None:
        """Refuses what cannot be fitted, or would be lost."""
        if bool(self.table) == bool(self.ensemble):
            got = "both" if self.table else "neither"
            raise ValueError(f"table, ensemble: got {got}, expected one")
        check_ensemble(self.ensemble)
        if not self.widths or not all(0 <= width <= MAX_WIDTH for width in self.widths):
            raise ValueError(f"widths {list(self.widths)}, expected some, 0 to {MAX_WIDTH} frames")
        if self.folds < 2:
            raise ValueError(f"folds {self.folds}, expected at least 2")
        if self.seed < 0:
            raise ValueError(f"seed {self.seed}, expected 0 or more")
        if not self.out:
            raise ValueError("out '', expected a file (JSON)")


def fit(config: FitConfig) -> tuple[Rules, list[str]]:
    """Fits what a config asks for.

    Returns:
        The rules, and lines to read.

    Raises:
        UserError: something the user can mend; its message is one line.
    """
    collection = read_collection(config.data)
    files = [config.table] if config.table else list(config.ensemble)
    members = {file: read_table(Path(os.path.expanduser(file))) for file in files}
    problem = Problem(
        members,
        collection.annotations,
        widths=config.widths,
        weights=tuple(config.ensemble.values()) or (1.0,),
        mapping=config.mapping,
        force=config.force,
    )
    if collection.drawn or problem.table.about.drawn:
        problem.remarks.insert(0, DRAWN)
    tasks = len(problem.objectives)
    with tqdm(total=tasks * (1 + config.folds), unit="fit", disable=None, leave=False) as bar:
        rules = problem.fit(bar.update)
        columns = {
            "raw": summary(problem.metrics(problem.raw.tallies())),
            NO_ESTIMATE: summary(problem.metrics(problem.applied(rules).tallies())),
        }
        judged = problem.crossfit(config.folds, config.seed, bar.update)
    told = "no cross-fitted score: one recording alone, expected two or more"
    if judged is not None:
        columns["cross-fitted"] = summary(judged.metrics)
        told = (
            f"cross-fitted: {len(judged.chosen)} folds by {judged.over}, each scored with what was"
            " chosen on the others"
        )
    lines = [*score_lines(columns), told, *rule_lines(rules)]
    lines += [f"note: {note}" for note in (*problem.raw.notes, *rules.remarks)]
    return replace(rules, record=_record(config, collection, problem, columns, judged)), lines


def _record(
    config: FitConfig,
    collection: Collection,
    problem: Problem,
    columns: Mapping[str, Mapping[str, float]],
    judged: Crossfit | None,
) -> dict[str, Any]:
    """How the rules came about, in JSON values."""
    chosen = [] if judged is None else judged.chosen
    folds = [
        {task: {"width": c.width, "weights": list(c.weights)} for task, c in choices.items()}
        for choices in chosen
    ]
    return {
        "scores": {name: dict(scores) for name, scores in columns.items()},
        "labels": {"kind": collection.kind, "root": config.data.root, "split": collection.split},
        "tables": list(problem.members),
        "rows": len(problem.annotations),
        "search": asdict(problem.search),
        "folds": {
            "over": None if judged is None else judged.over,
            "seed": config.seed,
            "chosen": folds,
        },
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in ("faceprior", "numpy")},
        },
    }


def _version(package: str) -> str | None:
    """None: it is not installed, but lies in the folder that Python was started in."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _work() -> None:
    config = parse_config(FitConfig, None, PROGRAM)
    out = Path(os.path.expanduser(config.out))
    files = [config.table] if config.table else list(config.ensemble)
    check_out(out, [Path(os.path.expanduser(file)) for file in files], config.data.folder)
    rules, lines = fit(config)
    write_rules(out, rules)
    print("\n".join(lines))


def main() -> int:
    """Fits, writes and prints, or says in one line why not."""
    return exit_code(_work)


if __name__ == "__main__":
    sys.exit(main())
