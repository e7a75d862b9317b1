"""Probes while a run goes on: of its encoder, beside what needs none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from pretrain.data.sources import Selection, Source
from pretrain.engine.tracking import say
from pretrain.errors import UserError
from pretrain.files import write_text
from pretrain.models.vit import ViT
from pretrain.probing.config import RunProbeConfig
from pretrain.probing.encoders import frozen, untrained
from pretrain.probing.images import ProbedImages, Scores
from pretrain.probing.report import (
    plot,
    read_records,
    record,
    same_probe,
    scores_of,
    table,
    write_records,
)


def separate(source: Source, config: RunProbeConfig) -> tuple[Source, ProbedImages, str]:
    """Opens the images to probe and keeps those to pretrain on apart from them.

    Args:
        source: what to pretrain on.
        config: what to probe.

    Returns:
        The images to pretrain on, the images to probe, and how the two are related, in words.

    Raises:
        UserError: keeping them apart leaves nothing to pretrain on.
    """
    probed = ProbedImages(config)
    if not source.named:
        remark = "whether pretraining shows probed subjects is unknown: it has no names"
        return source, probed, remark
    seen = probed.seen_by(source)
    if not len(seen):
        return source, probed, "no image of a probed subject is in pretraining, as names tell"
    if not config.exclude:
        remark = f"transductive: {len(seen)} images of probed subjects are in pretraining"
        return source, probed, remark
    kept = np.setdiff1d(np.arange(len(source.names)), seen)
    if not len(kept):
        raise UserError(
            f"probe: all {len(seen)} images of pretraining show probed subjects; expected"
            " probe.subjects below 1, or probe.exclude false (transductive)"
        )
    remark = f"{len(seen)} images of probed subjects are left out of pretraining, by name"
    return Selection(source, kept), probed, remark


class RunProbe:
    """Probes a run's encoder; called on the main process only.

    Args:
        images: the probed images.
        remark: their relation to pretraining's.
        seed: of the untrained encoder.
    """

    def __init__(self, images: ProbedImages, remark: str, seed: int) -> None:
        self.images, self.remark, self.seed = images, remark, seed
        self._plain: Scores | None = None

    def start(self, folder: Path, first_step: int, image_size: int) -> None:
        """Goes on in a run's folder; probes of later steps of an interrupted run are dropped.

        Args:
            folder: the run's.
            first_step: where it goes on.
            image_size: pixels a side that its encoder takes.

        Raises:
            UserError: a probed image cannot be read; hours later would be too late to say so.
        """
        self.images.pixels(image_size)
        self._folder = folder
        self._records = [entry for entry in read_records(folder) if entry["step"] <= first_step]
        write_records(folder, self._records)

    def __call__(self, encoder: ViT, step: int, epoch: float, device: torch.device) -> str:
        """Probes the encoder, once a step, and writes records, table and plot.

        Returns:
            The table.
        """
        images, tasks = self.images.identity, self.images.tasks
        probes = [entry for entry in self._records if same_probe(entry, images, tasks)]
        if not probes or probes[-1]["step"] != step:
            say(f"probing {self.images.summary()}")
            if self._plain is None:
                self._plain = self._references(encoder, device)
            scores = self.images.encoder_scores("encoder", frozen(encoder), device) | self._plain
            probes.append(record(scores, step, epoch, images))
            self._records.append(probes[-1])
        scores = scores_of(probes[-1])
        heading = f"Probe at epoch {epoch:g} on {self.images.summary()}"
        text = table(scores, tasks, heading, [self.remark, *self.images.remarks()])
        write_records(self._folder, self._records)
        write_text(self._folder / "probe.txt", f"{text}\n")
        plot(probes, tasks, self._folder / "pictures" / "probe.png", self.images.summary())
        return text

    def _references(self, encoder: ViT, device: torch.device) -> Scores:
        """What the same probes find without training, and without an encoder."""
        fresh = frozen(untrained(encoder, self.seed).to(device))
        plain = self.images.plain_scores(fresh.image_size)
        return self.images.encoder_scores("untrained", fresh, device) | plain
