"""What people and programs can follow: ``metrics.jsonl``, trackers, a line or bar of progress."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pretrain.errors import UserError
from pretrain.files import WriteError, write_text

METRICS = "metrics.jsonl"


@dataclass(frozen=True, kw_only=True)
class LogConfig:
    """What is written while a run goes on.

    Attributes:
        every_steps: optimiser steps between two log points (and reads of the device).
        pictures_every_epochs: epochs between two reconstruction grids and curves; null makes them
            at the end only.
        trackers: tensorboard, wandb; metrics.jsonl is always written.
    """

    every_steps: int = 20
    pictures_every_epochs: float | None = None
    trackers: tuple[str, ...] = ("tensorboard",)

    def __post_init__(self) -> None:
        """Refuses unknown trackers and intervals below one."""
        if self.every_steps < 1:
            raise ValueError(f"every_steps {self.every_steps}, expected at least 1")
        if self.pictures_every_epochs is not None and self.pictures_every_epochs <= 0:
            raise ValueError(f"pictures_every_epochs {self.pictures_every_epochs}, expected > 0")
        for name in self.trackers:
            if name not in ("tensorboard", "wandb"):
                raise ValueError(f"trackers '{name}', expected tensorboard or wandb")


class Tracker:
    """Writes the log of a run; made on the main process only.

    Args:
        folder: the run's folder.
        names: trackers beside ``metrics.jsonl``.
        start: steps done before; later records of an interrupted run are dropped.
        steps: all steps of the run.
        settings: the resolved config, for trackers that show it.
    """

    def __init__(
        self,
        folder: Path,
        names: Iterable[str],
        start: int,
        steps: int,
        settings: Mapping[str, Any],
    ) -> None:
        self._metrics = folder / METRICS
        kept = [json.dumps(record) for record in read_metrics(folder) if record["step"] <= start]
        write_text(self._metrics, "".join(f"{line}\n" for line in kept))
        self._trackers = [_open_tracker(name, folder, settings) for name in names]
        self._bar = tqdm(
            total=steps,
            initial=start,
            unit="step",
            dynamic_ncols=True,
            disable=not sys.stderr.isatty(),
            bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]",
        )

    def advance(self) -> None:
        """One step done."""
        self._bar.update()

    def record(self, values: Mapping[str, float], seconds_left: float) -> None:
        """A log point; ``values`` needs step, epoch, loss, lr, images_per_second, waiting."""
        try:
            with self._metrics.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(dict(values)) + "\n")
        except OSError as error:
            raise WriteError(f"{self._metrics}: cannot write: {error.strerror}") from None
        numbers = {key: value for key, value in values.items() if key != "step"}
        for tracker in self._trackers:
            tracker.log(numbers, step=int(values["step"]))
        rate = f"{values['images_per_second']:.0f} images/s"
        self._bar.set_postfix_str(f"{rate}, loss {values['loss']:.4f}, lr {values['lr']:.2e}")
        if self._bar.disable:
            left = timedelta(seconds=round(seconds_left))
            print(
                f"step {int(values['step'])}/{self._bar.total}  epoch {values['epoch']:.2f}"
                f"  loss {values['loss']:.4f}  lr {values['lr']:.2e}  {rate}"
                f"  waiting for data {values['waiting']:.0%}  {left} left",
                flush=True,
            )

    def close(self) -> None:
        """Flushes everything."""
        self._bar.close()
        for tracker in self._trackers:
            tracker.finish()


def say(message: str) -> None:
    """A line for the person, without tearing the progress bar."""
    tqdm.write(message, file=sys.stderr)


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The records of a run; a last line that a kill cut off is left out."""
    path = folder / METRICS
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return records


def _open_tracker(name: str, folder: Path, settings: Mapping[str, Any]) -> Any:
    """Accelerate's tracker of that name, started."""
    from accelerate.tracking import TensorBoardTracker, WandBTracker  # imports stay light

    try:
        if name == "tensorboard":
            tracker = TensorBoardTracker("tensorboard", folder)
        else:
            tracker = WandBTracker("faceprior", dir=str(folder), config=dict(settings))
        if hasattr(tracker, "start"):  # older releases of accelerate start in the constructor
            tracker.start()
    except ImportError as error:
        raise UserError(f"log.trackers: {name} is not installed ({error})") from None
    return tracker
