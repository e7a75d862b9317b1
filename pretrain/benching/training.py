"""Whole runs of stage one from each form of the images: what waits for what."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

from pretrain.data.config import DataConfig
from pretrain.engine.launching import RuntimeConfig
from pretrain.engine.loop import LoopConfig
from pretrain.engine.tracking import LogConfig, read_metrics
from pretrain.models.mae import MAEConfig
from pretrain.train import PretrainConfig, pretrain


@dataclass(frozen=True)
class WholeRun:
    """What its log says, the first log point (which starts the loader) left out.

    Attributes:
        images_per_second: of training.
        waiting: share of the time that the model waits for images.
    """

    images_per_second: float
    waiting: float


def train_from(
    places: Mapping[str, Path],
    folder: Path,
    model: MAEConfig,
    batch_size: int,
    runtime: RuntimeConfig,
    steps: int,
) -> dict[str, WholeRun]:
    """Trains for some steps from each form of the images.

    Args:
        places: the forms, by name.
        folder: for the runs.
        model: what is trained.
        batch_size: images a step.
        runtime: of the runs.
        steps: of each run, and as many before them that do not count.
    """
    found = {}
    images = len(list(places["JPEG folder"].iterdir()))
    for form, place in places.items():
        output = folder / place.name
        config = PretrainConfig(
            output_dir=str(output),
            pictures=1,
            model=model,
            data=DataConfig(source=str(place)),
            training=LoopConfig(
                global_batch_size=batch_size, epochs=2 * steps / (images // batch_size)
            ),
            runtime=runtime,
            log=LogConfig(every_steps=steps, trackers=()),
        )
        config = replace(config, optim=replace(config.optim, warmup_epochs=0))
        # A file, not a buffer: a stop signal is announced on its descriptor.
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            pretrain(config)
        last = read_metrics(output)[-1]
        found[form] = WholeRun(last["images_per_second"], last["waiting"])
    return found
