"""Program: ``python -m pretrain.probe --encoder DIR_OR_NAME [--source LIST]``: linear probes."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from pretrain.engine.config import parse_config
from pretrain.errors import UserError, exit_code
from pretrain.files import make_folder, write_text
from pretrain.probing.config import ProbeConfig
from pretrain.probing.encoders import open_frozen
from pretrain.probing.images import ProbedImages, Scores
from pretrain.probing.report import record, table, write_records
from pretrain.train import PretrainConfig, open_images

PROGRAM = "python -m pretrain.probe"


@dataclass(frozen=True, kw_only=True)
class ProgramConfig(ProbeConfig):
    """Tells what the frozen features of an encoder know, beside plain references.

    Attributes:
        encoder: a run folder, a released MAE or ViT, or any timm model's folder or name (only a
            name may download).
        seed: of the untrained encoder it is compared with.
        out: folder for probe.txt and probe.jsonl; null only prints.
    """

    encoder: str = ""
    seed: int = 0
    out: str | None = None

    def __post_init__(self) -> None:
        """Refuses no encoder and a seed that torch cannot take."""
        super().__post_init__()
        if not self.encoder:
            raise ValueError("encoder '', expected a folder, file or timm name")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed {self.seed}, expected at least 0 and below 2**63")


def probe(config: ProgramConfig) -> str:
    """Probes an encoder.

    Returns:
        The table.

    Raises:
        UserError: something the user can mend; its message is one line.
    """
    folder = None if config.out is None else make_folder(config.out)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trained, fresh = open_frozen(config.encoder, config.seed)
    images = ProbedImages(config)
    remark = _pretraining_saw(config.encoder, images)
    scores: Scores = {}
    for name, encoder in (("encoder", trained), ("untrained", fresh)):
        encoder.module.to(device)
        scores |= images.encoder_scores(name, encoder, device)
    scores |= images.plain_scores(trained.image_size)
    text = table(
        scores, images.tasks, f"{config.encoder} on {images.summary()}", [remark, *images.remarks()]
    )
    if folder is not None:
        write_records(folder, [record(scores, 0, 0.0, images.identity)])
        write_text(folder / "probe.txt", f"{text}\n")
    return text


def _pretraining_saw(encoder: str, images: ProbedImages) -> str:
    """Whether the probed people were pretrained on; a run of ours tells by its config."""
    place = Path(os.path.expanduser(encoder))
    configs = [folder / "config.yaml" for folder in (place, place.parent)]
    config = next((file for file in configs if file.is_file()), None)
    if config is None or not place.exists():  # a name says nothing of the folder we are in
        return "whether pretraining saw these images is unknown here"
    try:
        run = parse_config(PretrainConfig, ["--config", str(config)], PROGRAM)
        if run.data.uses_hub():
            return "whether pretraining saw these images is unknown: its data would be downloaded"
        source, _ = open_images(run)
    except UserError as error:
        return f"whether pretraining saw these images is unknown: {error}"
    if not source.named:
        return "whether pretraining saw these images is unknown: they had no names there"
    seen = len(images.seen_by(source))
    before = f"; what {run.init_from} had seen is unknown" if run.init_from else ""
    if seen:
        return (
            f"transductive: pretraining saw {seen} images of the probed subjects, by name{before}"
        )
    return f"pretraining saw no image of the probed subjects, as names tell{before}"


def _work() -> None:
    print(probe(parse_config(ProgramConfig, None, PROGRAM)))


def main() -> int:
    """Probes and prints the table, or says in one line why not."""
    return exit_code(_work)


if __name__ == "__main__":
    sys.exit(main())
