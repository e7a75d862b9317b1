"""Program: ``python -m finetune.report --table T --data.kind K --data.root R``: one HTML page."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from finetune.data.opening import read_collection
from finetune.reporting.page import page
from finetune.reporting.scored import Origin, Scored
from finetune.score import DRAWN, ScoreConfig, joined_table, resampling, sha256
from finetune.scoring.joined import Joined
from finetune.scoring.scores import score, score_difference
from pretrain.engine.config import parse_config
from pretrain.errors import exit_code
from pretrain.files import write_text

PROGRAM = "python -m finetune.report"


@dataclass(frozen=True, kw_only=True)
class ReportConfig(ScoreConfig):
    """Makes one page of a prediction table: scores, figures, the worst images.

    Attributes:
        baseline: another table of the same images; what differs from it is shown as well, paired.
        force: report rows that a step of the table was fitted on; the page says so.
        out: the HTML file; it needs no other.
        images: worst images of each task; 0 leaves them out.
    """

    out: str = "report.html"
    images: int = 12

    def __post_init__(self) -> None:
        """Refuses what :class:`ScoreConfig` does, no file, and fewer than no images."""
        super().__post_init__()
        if not self.out:
            raise ValueError("out '', expected an HTML file")
        if self.images < 0:
            raise ValueError(f"images {self.images}, expected 0 or more")


def report(config: ReportConfig, command: str) -> Path:
    """Makes the page that a config names.

    Args:
        config: what it is of.
        command: that makes it, for the page.

    Returns:
        The file.

    Raises:
        UserError: something the user can mend; its message is one line.
    """
    out = Path(os.path.expanduser(config.out))
    config.check_out()
    text = page(scored(config), config.images, command, DRAWN, date.today())
    write_text(out, text)
    return out


def scored(config: ReportConfig) -> Scored:
    """Reads and scores what a config names.

    Raises:
        UserError: something the user can mend; its message is one line.
    """
    collection = read_collection(config.data)
    joined, notes = joined_table(config.table, collection, config.mapping, force=config.force)
    with resampling(config) as settings:
        found = score(joined, **settings)
    made = Scored(
        origin=_origin(config.table, joined),
        collection=collection,
        root=config.data.root,
        joined=joined,
        scores=replace(found, notes=(*notes, *found.notes)),
        seed=config.seed,
        drawn=DRAWN in notes,
    )
    return made if config.baseline is None else _compared(made, config, config.baseline)


def _compared(made: Scored, config: ReportConfig, baseline: str) -> Scored:
    """The same with what differs from a baseline, whose notes join the others."""
    other, more = joined_table(baseline, made.collection, config.mapping, force=config.force)
    with resampling(config) as settings:
        difference = score_difference(other, made.joined, **settings)
    notes = made.scores.notes
    notes += tuple(f"baseline: {note}" for note in (*more, *other.notes) if note not in notes)
    return replace(
        made,
        scores=replace(made.scores, notes=notes),
        baseline=_origin(baseline, other),
        difference=difference,
    )


def _origin(file: str, joined: Joined) -> Origin:
    return Origin(file=file, digest=sha256(file), model=joined.table.about.model)


def _work() -> None:
    config = parse_config(ReportConfig, None, PROGRAM)
    command = shlex.join([*PROGRAM.split(), *sys.argv[1:]])
    print(f"report: {report(config, command)}")


def main() -> int:
    """Makes the page and says where it is, or in one line why not."""
    return exit_code(_work)


if __name__ == "__main__":
    sys.exit(main())
