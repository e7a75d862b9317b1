"""Looks at held-out rows while a run goes on, and the best weights among them."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

from finetune.load import load_model
from finetune.loading.notes import ModelNotes
from finetune.models.affect import AffectModel
from finetune.save import save_model
from pretrain.files import write_text

EVALUATIONS = "evaluations.jsonl"


class Evaluations:
    """What held-out rows scored on the way: ``evaluations.jsonl``, and ``best/step-*``.

    A run can be set back to any of its checkpoints; the best weights up to each of them stay on
    the disk until it is gone, so that an interrupted run chooses as an uninterrupted one does.

    Args:
        folder: the run's.
        first_step: where it goes on; later records of an interrupted run are dropped.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        self._folder, self._file = folder, folder / EVALUATIONS
        self.records = [entry for entry in _read(self._file) if entry["step"] <= first_step]
        self._write()

    def add(self, split: str, step: int, epoch: float, values: dict[str, float]) -> None:
        """Records scores, once a split and step."""
        self.records = [
            entry for entry in self.records if (entry["split"], entry["step"]) != (split, step)
        ]
        self.records.append({"split": split, "step": step, "epoch": epoch, **values})
        self._write()

    def has(self, split: str, step: int) -> bool:
        """Whether a split was looked at in a step."""
        return any((entry["split"], entry["step"]) == (split, step) for entry in self.records)

    def offer(
        self,
        model: AffectModel,
        notes: ModelNotes,
        step: int,
        epoch: float,
        values: dict[str, float],
        figure: float,
    ) -> bool:
        """Records a look at the selection rows; keeps the weights if they are better than before.

        The weights come first: a record that was interrupted is made again, one without weights
        could not be.

        Returns:
            Whether they are better.
        """
        before = [e["figure"] for e in self._chosen(step) if e["step"] != step]
        best = not math.isnan(figure) and all(not figure <= other for other in before)
        if best:
            save_model(model, self._place(step), notes)
        self.add("selection", step, epoch, values | {"figure": figure})
        self._prune()
        return best

    def best(self) -> tuple[AffectModel, int] | None:
        """The best weights and their step; None where no score was a number."""
        chosen = self._best(None)
        if chosen is None:
            return None
        return load_model(self._place(chosen))[0], chosen

    def _best(self, until: int | None) -> int | None:
        """The step of the best record, the first of equal ones."""
        known = [e for e in self._chosen(until) if not math.isnan(e["figure"])]
        return max(known, key=lambda e: (e["figure"], -e["step"]))["step"] if known else None

    def _chosen(self, until: int | None) -> list[dict[str, Any]]:
        return [
            entry
            for entry in self.records
            if "figure" in entry and (until is None or entry["step"] <= until)
        ]

    def _prune(self) -> None:
        saved = (self._folder / "checkpoints").glob("step-*")
        steps = [int(path.name.partition("-")[2]) for path in saved]
        kept = {self._best(step) for step in (*steps, None)}
        for path in (self._folder / "best").glob("step-*"):
            if int(path.name.partition("-")[2]) not in kept:
                shutil.rmtree(path, ignore_errors=True)

    def _place(self, step: int) -> Path:
        return self._folder / "best" / f"step-{step:08d}"

    def _write(self) -> None:
        write_text(self._file, "".join(f"{json.dumps(entry)}\n" for entry in self.records))


def _read(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
