"""Program: ``python -m finetune.submit --table T --challenge C --template L --out F``: submissions.

With ``--check F`` instead of table and out, it checks anybody's.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from finetune.labels import MAPPINGS
from finetune.submission import preflight
from finetune.submission.challenges import CHALLENGES, Challenge, ChallengeError, challenge
from finetune.submission.checking import Fault, check, read_submission
from finetune.submission.ledger import LEDGER, digest, place
from finetune.submission.template import Template, read_template
from finetune.submission.writing import choose, decide, encode
from finetune.table import PredictionTable, read_table
from pretrain.engine.config import parse_config
from pretrain.errors import UserError, exit_code

PROGRAM = "python -m finetune.submit"

#: Faults that are printed; the others are counted.
SHOWN_FAULTS = 20


@dataclass(frozen=True, kw_only=True)
class SubmitConfig:
    """Writes a challenge's submission from a prediction table, or checks one.

    Attributes:
        challenge: abaw_mtl, abaw_lsd, abaw_va, abaw_expr or abaw_au; abaw1_va, abaw1_expr, abaw1_au
            and likewise abaw2 and abaw3, which are a folder with a file for every video.
        template: the list of images that the challenge released; for a folder, it may be lines
            <video>,<number of frames> instead.
        table: the predictions (Parquet).
        out: the file to write, replaced if it is there, or the new folder; beside it, a line is
            added to ledger.jsonl.
        check: a submission to check instead, anybody's: a file, or the folder.
        mapping: how expressions without a counterpart are counted; null, or contempt_to_other.
        subset: the table may have images that the template lacks; they are left out.
    """

    challenge: str = ""
    template: str = ""
    table: str | None = None
    out: str | None = None
    check: str | None = None
    mapping: str | None = None
    subset: bool = False

    def __post_init__(self) -> None:
        """Refuses what is neither writing nor checking."""
        if self.challenge not in CHALLENGES:
            known = ", ".join(CHALLENGES)
            raise ValueError(f"challenge {self.challenge!r}, expected one of {known}")
        if not self.template:
            raise ValueError("template '', expected the list of images of the challenge")
        if not self.out and not self.check:
            raise ValueError("out null and check null, expected a file to write or one to check")
        if self.out and self.check:
            raise ValueError("out and check, expected one of them")
        if self.out and not self.table:
            raise ValueError("table null with out, expected a prediction table (Parquet)")
        if self.check and (self.table or self.mapping or self.subset):
            raise ValueError("table, mapping or subset with check, expected none of them")
        if self.mapping is not None and self.mapping not in MAPPINGS:
            raise ValueError(f"mapping {self.mapping!r}, expected one of {', '.join(MAPPINGS)}")


def write_submission(config: SubmitConfig) -> list[str]:
    """Writes what a config names.

    Returns:
        Lines to print.

    Raises:
        UserError: something the user can mend; its message is one line, and nothing has appeared.
    """
    assert config.table is not None
    assert config.out is not None
    asked, file, out = challenge(config.challenge), _path(config.table), _path(config.out)
    template = read_template(_path(config.template), asked)
    _check_out(out, asked, [file, template.file])
    table = read_table(file)
    try:
        chosen = choose(table, template, subset=config.subset)
        answers = decide(chosen, asked, config.mapping)
    except UserError as error:
        raise ChallengeError(f"{file}: {error}") from None
    files = encode(answers, template, asked)
    checked = check(files, template, asked)
    assert checked.answers is not None, checked.faults[:3]
    assert (checked.answers.cells() == answers.cells()).all()
    warnings = preflight.of_table(chosen, asked, config.mapping)
    warnings += preflight.of_answers(answers, template, asked)
    if spare := len(table) - len(chosen):
        warnings.append(f"{spare} rows of the table are not in the template and were left out")
    record = _record(config, template, chosen)
    record |= {"out": {"file": config.out, "sha256": digest(files)}, "warnings": warnings}
    place(out, files, record)
    return [
        preflight.summary(answers, asked),
        *(f"warning: {warning}" for warning in warnings),
        f"wrote {out}: {len(template)} rows of {asked.name}, noted in {out.with_name(LEDGER)}",
    ]


def _path(text: str) -> Path:
    return Path(os.path.expanduser(text))


def _check_out(out: Path, asked: Challenge, inputs: Sequence[Path]) -> None:
    """Refuses to write over what is read, and a folder for a file or the reverse."""
    if asked.per_video and os.path.lexists(out):
        raise ChallengeError(f"out {out}: is there already, expected a new folder")
    if not asked.per_video and out.is_dir():
        raise ChallengeError(f"out {out}: a folder, expected a file to write")
    if out.name == LEDGER:
        raise ChallengeError(f"out {out}: the name of the ledger, expected another one")
    for file in inputs:
        if out.exists() and file.exists() and out.samefile(file):
            raise ChallengeError(f"out {out}: is what is read, expected another file")


def _record(config: SubmitConfig, template: Template, table: PredictionTable) -> dict[str, Any]:
    """What the ledger keeps of where a submission comes from."""
    units = table.action_unit_space
    limits = None if units is None else dict.fromkeys(units.names, 0.5)
    if units is not None and table.thresholds is not None:
        limits = dict(zip(units.names, table.thresholds.tolist(), strict=True))
    space = table.expression_space
    biases = None if space is None else dict.fromkeys(space.classes, 0.0)
    if space is not None and table.biases is not None:
        biases = dict(zip(space.classes, table.biases.tolist(), strict=True))
    content = _path(config.table or "").read_bytes()
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "challenge": config.challenge,
        "table": {
            "file": config.table,
            "sha256": hashlib.sha256(content).hexdigest(),
            "model": table.about.model,
        },
        "template": {"file": config.template, "sha256": template.sha256},
        "rows": len(template),
        "settings": {
            "mapping": config.mapping,
            "subset": config.subset,
            "thresholds": limits,
            "biases": biases,
            "steps": table.about.to_json()["steps"],
        },
    }


def check_submission(config: SubmitConfig) -> tuple[list[str], int]:
    """Checks what a config names.

    Returns:
        Lines to print, and the number of faults.

    Raises:
        UserError: the template or the submission cannot be read.
    """
    assert config.check is not None
    asked, path = challenge(config.challenge), _path(config.check)
    template = read_template(_path(config.template), asked)
    files = read_submission(path, asked)
    checked = check(files, template, asked)
    if checked.answers is None:
        lines = [_shown(path, fault) for fault in checked.faults[:SHOWN_FAULTS]]
        if more := len(checked.faults) - len(lines):
            lines.append(f"... and {more} more")
        return lines, len(checked.faults)
    warnings = [*checked.remarks, *preflight.of_answers(checked.answers, template, asked)]
    return [
        preflight.summary(checked.answers, asked),
        *(f"warning: {warning}" for warning in warnings),
        f"ok: {len(template)} rows of {asked.name}, SHA-256 {digest(files)}",
    ], 0


def _shown(path: Path, fault: Fault) -> str:
    line = "" if fault.line is None else f":{fault.line}"
    return f"{path / fault.file}{line}: {fault.text}"


def _work() -> None:
    config = parse_config(SubmitConfig, None, PROGRAM)
    if config.check:
        lines, faults = check_submission(config)
        print("\n".join(lines))
        if faults:
            what = "1 fault" if faults == 1 else f"{faults} faults"
            raise ChallengeError(f"{config.check}: {what}, expected none")
    else:
        print("\n".join(write_submission(config)))


def main() -> int:
    """Writes or checks, or says in one line why not."""
    return exit_code(_work)


if __name__ == "__main__":
    sys.exit(main())
