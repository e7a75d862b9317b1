"""Program: ``[accelerate launch -m] finetune.predict --model M --data.kind K --out T``: a table."""

from __future__ import annotations

import io
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from finetune.data.config import LabelledConfig
from finetune.data.opening import Collection, read_collection
from finetune.labels import action_unit_space, expression_space
from finetune.load import load_model
from finetune.loading.description import CONFIG, WEIGHTS
from finetune.loading.notes import ModelNotes
from finetune.models.affect import AffectModel
from finetune.predicting.answers import Answers, predict
from finetune.predicting.table import fingerprint, make_table
from finetune.table import PredictionTable, write_table
from pretrain.data.images import BadImage
from pretrain.engine.config import operational, parse_config
from pretrain.engine.launching import LaunchError, RuntimeConfig
from pretrain.engine.runtime import Runtime
from pretrain.engine.signals import EXIT_STOPPED, Interrupted, StopSignal
from pretrain.errors import exit_code
from pretrain.files import check_out, write_bytes

PROGRAM = "[accelerate launch -m] finetune.predict"

#: Null rows that are named.
_NAMED = 3

#: Above this share of elongated images the list is hardly one of face crops.
_ELONGATED_SHARE = 0.2


@dataclass(frozen=True, kw_only=True)
class PredictConfig:
    """Asks a model about the images of a collection, and writes its answers as a prediction table.

    Attributes:
        model: a run folder, its model/, or a released EMMA, DAN or CoTEX file.
        data: the images; their labels are not looked at.
        out: the prediction table (Parquet).
        image_size: pixels a side that the model is to see; null: as in the file.
        expressions: label space of the model's expressions (a name, or expressions with commas):
            for a released file the order of its classes, where that is not the published one; null:
            as in the file.
        action_units: likewise.
        batch_size: images that the model sees at once, in each process.
        flip: average the answers for each image and its mirror image; takes twice the time.
        features: NumPy file (.npy) for the features of the images, [images, width] float32, NaN
            where one cannot be read; null: none. Takes twice the time.
        workers: processes that load images, in each process; null: 1 on a CPU, up to 8 on a GPU.
        runtime: precision, processes, threads.
    """

    model: str = ""
    data: LabelledConfig = field(default_factory=LabelledConfig)
    out: str = ""
    image_size: int | None = None
    expressions: str | None = None
    action_units: str | None = None
    batch_size: int = 64
    flip: bool = False
    features: str | None = None
    workers: int | None = operational(None)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)

    def __post_init__(self) -> None:
        """Refuses no model, no place for the table, unknown spaces and numbers that cannot be."""
        if not self.model:
            raise ValueError("model '', expected a run folder, its model/ or a released file")
        if not self.out:
            raise ValueError("out '', expected a file for the table (Parquet)")
        if self.batch_size < 1:
            raise ValueError(f"batch_size {self.batch_size}, expected at least 1")
        if self.workers is not None and self.workers < 0:
            raise ValueError(f"workers {self.workers}, expected 0 or more")
        if self.expressions is not None:
            expression_space(self.expressions)
        if self.action_units is not None:
            action_unit_space(self.action_units)

    @property
    def table(self) -> Path:
        """Where the table goes."""
        return Path(os.path.expanduser(self.out))

    @property
    def features_file(self) -> Path | None:
        """Where the features go."""
        return None if self.features is None else Path(os.path.expanduser(self.features))

    def check_out(self) -> None:
        """Refuses to write over what is read, and where nothing can be written.

        Raises:
            WriteError: the place is wrong.
        """
        model = Path(os.path.expanduser(self.model))
        folders = (model.parent, model, model / "model")
        read = [model, *(folder / name for folder in folders for name in (CONFIG, WEIGHTS))]
        if self.data.listing is not None:
            read.append(self.data.listing)
        check_out(self.table, read, self.data.folder)
        if self.features_file is not None:
            check_out(self.features_file, [*read, self.table], self.data.folder)


def predict_table(config: PredictConfig, stop: StopSignal | None = None) -> list[str]:
    """Makes the table that a config names.

    Args:
        config: what to predict.
        stop: ends it between two batches; nothing is written then.

    Returns:
        Lines that say what there is now; none on processes other than the main one.

    Raises:
        UserError: something the user can mend; its message is one line.
        Interrupted: a process got a stop signal.
    """
    config.check_out()
    collection = read_collection(config.data)
    model, _, report = load_model(
        config.model,
        image_size=config.image_size,
        expressions=config.expressions,
        action_units=config.action_units,
    )
    runtime = Runtime(config.runtime)
    try:
        return _predict(config, collection, model, report.notes, runtime, stop)
    finally:
        runtime.close()


def _predict(
    config: PredictConfig,
    collection: Collection,
    model: AffectModel,
    notes: ModelNotes,
    runtime: Runtime,
    stop: StopSignal | None,
) -> list[str]:
    if runtime.distributed not in ("none", "ddp"):
        raise LaunchError(
            f"launcher: {runtime.distributed}, expected none or ddp: every process has the whole"
            " model"
        )
    images = collection.open_images()
    if runtime.is_main and not collection.drawn:
        print(
            f"{len(images):,} images, expected to be face crops: one upright face fills each, and"
            " the square in the middle is what the model sees",
            flush=True,
        )
    model.to(runtime.device)
    if config.runtime.compile:
        model.compile(dynamic=False)
    started = time.monotonic()
    answers = predict(
        model,
        images,
        runtime=runtime,
        batch_size=config.batch_size,
        workers=runtime.spare_workers() if config.workers is None else config.workers,
        flip=config.flip,
        features=config.features is not None,
        sounds=None if collection.open_sounds is None else collection.open_sounds(),
        show_progress=True,
        stop=stop,
    )
    seconds = time.monotonic() - started
    lines: list[str] = []
    with runtime.main_first_error():
        if runtime.is_main:
            table = make_table(
                answers,
                collection.annotations,
                model.labels,
                notes=notes,
                fingerprint=fingerprint(model),
                drawn=collection.drawn,
            )
            write_table(config.table, table)
            lines = [*_said(table, answers, seconds), f"table     {config.table}"]
            if config.features_file is not None:
                assert answers.features is not None
                content = io.BytesIO()
                np.save(content, answers.features, allow_pickle=False)
                write_bytes(config.features_file, content.getvalue())
                lines.append(f"features  {config.features_file}")
    return lines


def _said(table: PredictionTable, answers: Answers, seconds: float) -> list[str]:
    """What a table holds, and what is odd about its images."""
    n, null = len(table), int((~table.present).sum())
    lines = [f"rows      {n:,}", f"null      {null:,}"]
    if null:
        named = [str(BadImage(*item)) for item in list(answers.bad.items())[:_NAMED]]
        lines[-1] += f": {'; '.join(named)}{'; ...' if len(answers.bad) > _NAMED else ''}"
    if answers.elongated > _ELONGATED_SHARE * (n - null):
        lines.append(
            f"warning: {answers.elongated:,} of {n - null:,} images are wider or taller than"
            " 1.6 : 1, which face crops hardly are"
        )
    return [*lines, f"images/s  {n / seconds:,.1f}"]


def _work() -> None:
    with StopSignal("stopping, nothing is written") as stop:
        try:
            lines = predict_table(parse_config(PredictConfig, None, PROGRAM), stop)
        except Interrupted:
            sys.exit(EXIT_STOPPED)
    if lines:
        print("\n".join(lines))


def main() -> int:
    """Predicts and says what there is now, or in one line why not.

    Returns:
        As :func:`exit_code`; after a stop signal the program ends with 75.
    """
    return exit_code(_work)


if __name__ == "__main__":
    sys.exit(main())
