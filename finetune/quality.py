"""Program: ``python -m finetune.quality --drawn DIR --encoder RUN --data.kind K --data.root R``."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from finetune.data import generated
from finetune.data.config import LabelledConfig
from finetune.data.images import LabelledImages
from finetune.data.opening import read_collection
from finetune.generating.features import features, pixels
from finetune.generating.quality import FEWEST, Quality, memorised, mutual, nearest, quality
from pretrain.data.images import BadImage
from pretrain.engine.config import parse_config
from pretrain.engine.launching import RuntimeConfig
from pretrain.engine.pictures import image_grid, pictures_of
from pretrain.engine.runtime import Runtime
from pretrain.errors import UserError, exit_code
from pretrain.files import check_out, write_text
from pretrain.probing.encoders import open_frozen

PROGRAM = "python -m finetune.quality"

#: Drawn images that are shown beside the real one that looks most like each.
_SHOWN = 24


@dataclass(frozen=True, kw_only=True)
class QualityConfig:
    """Compares drawn images with real ones, and real ones with each other, as an encoder sees them.

    Real ones are brought to the size of the drawn ones first: else they would differ by sharpness.

    Attributes:
        drawn: folder of images, or the out of finetune.generate.
        encoder: a run of stage one, a released MAE, or a timm name: what sees.
        data: real images; those that the generator was trained on tell of memorisation.
        images: at most so many of each, evenly spaced.
        sheet: PNG of drawn images beside the real ones that look most like them; null: none.
        out: JSON file; null only prints.
        seed: of the halves of the real images.
        runtime: device, threads.
    """

    drawn: str = ""
    encoder: str = ""
    data: LabelledConfig = field(default_factory=LabelledConfig)
    images: int = 2000
    sheet: str | None = None
    out: str | None = None
    seed: int = 0
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)

    def __post_init__(self) -> None:
        """Refuses nothing to compare, or nothing to see it with."""
        for name in ("drawn", "encoder"):
            if not getattr(self, name):
                raise ValueError(f"{name} '', expected one")
        if self.images < 2 * FEWEST:
            raise ValueError(f"images {self.images}, expected at least {2 * FEWEST}")


@dataclass(frozen=True)
class Compared:
    """Drawn images, and real ones, beside the same real ones.

    Attributes:
        drawn: of drawn images and as many real ones.
        floor: of these and as many other real ones: nothing can be expected to be nearer.
        memorised: share of the drawn images that are nearer to a real one than that is to any other
            real one.
        memorised_floor: the share that new real images can be expected to have.
        images: compared: drawn ones, and as many real ones twice.
    """

    drawn: Quality
    floor: Quality
    memorised: float
    memorised_floor: float
    images: tuple[int, int]

    def __str__(self) -> str:
        """A table to read."""
        rows = [("", "Frechet distance", "precision", "recall")]
        for name, one in (("drawn", self.drawn), ("real (the floor)", self.floor)):
            rows.append((name, f"{one.frechet:.3f}", f"{one.precision:.3f}", f"{one.recall:.3f}"))
        lines = ["  ".join(cell.ljust(17) for cell in row).rstrip() for row in rows]
        lines.append(
            f"{self.memorised:.1%} of the drawn images are nearer to a real one than any other real"
            f" one is (new real ones: {self.memorised_floor:.1%}); {self.images[0]} drawn, twice"
            f" {self.images[1]} real"
        )
        if self.drawn.frechet <= self.floor.frechet:
            lines.append("as far as this encoder sees, drawn and real are the same: look at them")
        return "\n".join(lines)


def compare(config: QualityConfig) -> Compared:
    """Compares what a config names, and writes it.

    Raises:
        UserError: something the user can mend; its message is one line.
    """
    for place in (config.out, config.sheet):
        if place is not None:
            check_out(Path(os.path.expanduser(place)), [], config.data.folder)
    drawn = read_collection(_drawn(config.drawn)).open_images()
    real = read_collection(config.data).open_images()
    side = _side(drawn)
    shown = [pixels(images, config.images, side)[0] for images in (drawn, real)]
    for name, images, least in zip(("drawn", "real"), shown, (FEWEST, 2 * FEWEST), strict=True):
        if len(images) < least:
            raise UserError(f"{len(images)} {name} images can be read, expected at least {least}")
    runtime = Runtime(config.runtime)
    try:
        frozen, _ = open_frozen(config.encoder, config.seed)
        frozen.module.to(runtime.device)
        made, there = (features(frozen, images) for images in shown)
    finally:
        runtime.close()
    # As many of each: the distance grows as images get fewer.
    count = min(len(made), len(there) // 2)
    order = np.random.default_rng(config.seed).permutation(len(there))
    one, other = there[order[:count]], there[order[count : 2 * count]]
    some = made[np.arange(count) * len(made) // count]
    found = Compared(
        drawn=quality(one, some),
        floor=quality(one, other),
        memorised=memorised(made, there),
        memorised_floor=mutual(there),
        images=(count, count),
    )
    if config.sheet is not None:
        like = torch.from_numpy(nearest(made[:_SHOWN], there))
        pairs = {"drawn": shown[0][:_SHOWN], "nearest": shown[1][like]}
        columns = {name: pictures_of(faces) for name, faces in pairs.items()}
        image_grid(columns, Path(os.path.expanduser(config.sheet)), groups=6)
    if config.out is not None:
        record: dict[str, Any] = {"folder": config.drawn, "encoder": config.encoder}
        record |= asdict(found)
        write_text(Path(os.path.expanduser(config.out)), json.dumps(record, indent=1) + "\n")
    return found


def _drawn(folder: str) -> LabelledConfig:
    """Images of a folder; of what finetune.generate wrote, without its sheets."""
    if (Path(os.path.expanduser(folder)) / generated.FILE).exists():
        return LabelledConfig(kind="generated", root=folder, split="train")
    return LabelledConfig(kind="folder", root=folder)


def _side(drawn: LabelledImages) -> int:
    """The shorter side of the first drawn image that can be read; 1: none can."""
    for row in range(len(drawn)):
        with suppress(BadImage):
            return int(min(drawn.image(row).shape[:2]))
    return 1


def _work() -> None:
    print(compare(parse_config(QualityConfig, None, PROGRAM)))


def main() -> int:
    """Compares and prints, or says in one line why not."""
    return exit_code(_work)


if __name__ == "__main__":
    sys.exit(main())
