"""Program: ``python -m finetune.score --table T --data.kind K --data.root R``: every metric."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from finetune.data.config import LabelledConfig
from finetune.data.opening import Collection, read_collection
from finetune.labels import MAPPINGS
from finetune.leakage import check_scored
from finetune.scoring.joined import Joined, both_present, join
from finetune.scoring.scores import Scores, score, score_difference
from finetune.scoring.text import text
from finetune.table import PredictionTable, TableError, read_table
from pretrain.engine.config import parse_config
from pretrain.errors import UserError, exit_code
from pretrain.files import check_out, write_text

PROGRAM = "python -m finetune.score"

#: What stands above every score of drawn faces.
DRAWN = "drawn faces: these numbers say nothing about photographs"


@dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    """Scores a prediction table by every metric that the labels allow.

    Attributes:
        table: the predictions (Parquet).
        data: the labels of the same images.
        mapping: how expressions without a counterpart are counted; null, or contempt_to_other.
        baseline: another table of the same images; what is scored is then table - baseline, paired.
        resamples: of the bootstrap; 0 leaves the intervals out.
        level: how often an interval shall cover the truth, in (0, 1).
        seed: of the resamples.
        force: score rows that a step of the table was fitted on; the scores say so.
        out: JSON file for the scores; null only prints.
    """

    table: str = ""
    data: LabelledConfig = field(default_factory=LabelledConfig)
    mapping: str | None = None
    baseline: str | None = None
    resamples: int = 1000
    level: float = 0.95
    seed: int = 0
    force: bool = False
    out: str | None = None

    def __post_init__(self) -> None:
        """Refuses no table, and a bootstrap that says nothing."""
        if not self.table:
            raise ValueError("table '', expected a prediction table (Parquet)")
        check_mapping(self.mapping)
        if not 0 < self.level < 1:
            raise ValueError(f"level {self.level}, expected in (0, 1)")
        if self.resamples < 0:
            raise ValueError(f"resamples {self.resamples}, expected 0 or more")
        if self.baseline is not None and not self.resamples:
            raise ValueError("resamples 0 with a baseline, expected some for its interval")
        if self.seed < 0:
            raise ValueError(f"seed {self.seed}, expected 0 or more")

    def check_out(self) -> None:
        """Refuses to write over what is read, and where nothing can be written.

        Raises:
            WriteError: the place is wrong.
        """
        if self.out is not None:
            files = [self.table, *([] if self.baseline is None else [self.baseline])]
            check_out(
                Path(os.path.expanduser(self.out)),
                [Path(os.path.expanduser(file)) for file in files],
                self.data.folder,
            )


def check_mapping(mapping: str | None) -> None:
    """Refuses a mapping of expressions that is none, before anything is read."""
    if mapping is not None and mapping not in MAPPINGS:
        raise ValueError(f"mapping {mapping!r}, expected null or one of {', '.join(MAPPINGS)}")


def joined_table(
    file: str, collection: Collection, mapping: str | None, *, force: bool
) -> tuple[Joined, list[str]]:
    """A table joined with its labels, and what must be said of every score of it.

    Raises:
        UserError: it cannot be read or does not fit, or was fitted on these labels.
    """
    table = read_table(Path(os.path.expanduser(file)))
    try:
        joined = join(table, collection.annotations, mapping)
        known = joined.annotations
        # Labels may name groups otherwise than those of the fit did; the table's names are its own.
        others = known.keys | set(joined.table.groups)
        notes = check_scored(
            table.about, known.groups, kind=known.grouped_by, other_names=others, force=force
        )
    except UserError as error:
        raise TableError(f"{file}: {error}") from None
    if collection.drawn or table.about.drawn:
        notes.insert(0, DRAWN)
    return joined, notes


def score_table(config: ScoreConfig) -> tuple[Scores, dict[str, Any]]:
    """Scores what a config names.

    Returns:
        The scores, and a record of them and of what they are of, in JSON values.

    Raises:
        UserError: something the user can mend; its message is one line.
    """
    config.check_out()
    collection = read_collection(config.data)
    collection.check_scored("data.kind")
    joined, notes = joined_table(config.table, collection, config.mapping, force=config.force)
    record = {"table": _identity(config.table, joined.table)}
    with resampling(config) as settings:
        if config.baseline is None:
            scores = score(joined, **settings)
        else:
            other, more = joined_table(
                config.baseline, collection, config.mapping, force=config.force
            )
            notes += [f"baseline: {note}" for note in (*more, *other.notes) if note not in notes]
            record["baseline"] = _identity(config.baseline, other.table)
            scores = score_difference(other, joined, **settings)
            _, joined = both_present(other, joined)  # what was scored
    scores = replace(scores, notes=(*notes, *scores.notes))
    return scores, record | _record(config, collection, joined, scores)


@contextmanager
def resampling(config: ScoreConfig) -> Iterator[dict[str, Any]]:
    """How scores are resampled, and a bar that shows it."""
    with tqdm(total=config.resamples, unit="resample", disable=None, leave=False) as bar:
        yield {
            "level": config.level,
            "resamples": config.resamples,
            "seed": config.seed,
            "progress": lambda done, _: bar.update(done - bar.n),
        }


def sha256(file: str) -> str:
    """What tells a table's file from any other."""
    return hashlib.sha256(Path(os.path.expanduser(file)).read_bytes()).hexdigest()


def _identity(file: str, table: PredictionTable) -> dict[str, Any]:
    return {"file": file, "sha256": sha256(file), "model": table.about.model}


def _record(
    config: ScoreConfig, collection: Collection, joined: Joined, scores: Scores
) -> dict[str, Any]:
    labelled = {}
    if joined.series:
        labelled["valence_arousal"] = int(joined.affect_valid().any(1).sum())
    if joined.classes:
        labelled["expression"] = int(joined.expression_valid().sum())
    if joined.units:
        labelled["action_units"] = int(joined.units_valid().any(1).sum())
    counts = scores.counts
    return {
        "labels": {"kind": collection.kind, "root": config.data.root, "split": collection.split},
        "drawn": collection.drawn or joined.table.about.drawn,
        "rows": {"listed": len(joined.annotations), "scored": labelled},
        "interval": {
            "level": scores.level,
            "resamples": scores.resamples,
            "over": scores.over,
            "seed": config.seed,
        },
        "scores": scores.to_json(),
        "confusion": None
        if counts is None
        else {"classes": list(joined.classes), "counts": counts.astype(int).tolist()},
        "notes": list(scores.notes),
    }


def _work() -> None:
    config = parse_config(ScoreConfig, None, PROGRAM)
    scores, record = score_table(config)
    labels = record["labels"]
    what = f"{config.table} - {config.baseline}" if config.baseline else config.table
    if config.out is not None:
        out = Path(os.path.expanduser(config.out))
        write_text(out, json.dumps(record, indent=1) + "\n")
    print(text(scores, f"{what} on {labels['kind']} {labels['split']}"))


def main() -> int:
    """Scores and prints, or says in one line why not."""
    return exit_code(_work)


if __name__ == "__main__":
    sys.exit(main())
