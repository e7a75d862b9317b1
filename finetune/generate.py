"""Program: ``python -m finetune.generate --model RUN --out DIR``: faces from a generator."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from finetune.batches import LabelTensors
from finetune.data.columns import make_targets
from finetune.labels import LabelError
from finetune.load import load_model
from finetune.models.gan import GAN, as_images
from finetune.objectives.adversarial import condition_of
from pretrain.engine.config import parse_config
from pretrain.engine.launching import RuntimeConfig
from pretrain.engine.pictures import image_grid, pictures_of
from pretrain.engine.runtime import Runtime
from pretrain.engine.tracking import say
from pretrain.errors import UserError, exit_code
from pretrain.files import WriteError, make_folder, write_bytes, write_text

PROGRAM = "python -m finetune.generate"

#: Images of the sheet.
_SHOWN = 64

#: Mean spread of drawn pixels, of 255, from which on it is not worth a warning; a choice of ours.
_COLLAPSED = 8.0


@dataclass(frozen=True, kw_only=True)
class GenerateConfig:
    """Draws faces, and lists them as a manifest (train.csv) with what the generator was told.

    Attributes:
        model: a run of method GAN, or its model/.
        out: folder for images/, train.csv and sheet.png; new, or empty.
        count: images.
        expression: that all of them shall show; null tells every one of the model's in turn, where
            the generator is conditional.
        valence: in [-1, 1]; null: not told.
        arousal: in [-1, 1]; null: not told.
        action_units: that shall be there (AU6 AU12); the model's others shall not. Empty: not told.
        seed: of the noise.
        batch_size: images at once.
        runtime: device, threads.
    """

    model: str = ""
    out: str = ""
    count: int = 64
    expression: str | None = None
    valence: float | None = None
    arousal: float | None = None
    action_units: tuple[str, ...] = ()
    seed: int = 0
    batch_size: int = 64
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)

    def __post_init__(self) -> None:
        """Refuses no model, no place and numbers that cannot be."""
        if not self.model:
            raise ValueError("model '', expected a run of method GAN")
        if not self.out:
            raise ValueError("out '', expected a folder")
        for name in ("count", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}, expected at least 1")
        if self.seed < 0:
            raise ValueError(f"seed {self.seed}, expected 0 or more")
        for name in ("valence", "arousal"):
            value = getattr(self, name)
            if value is not None and not -1 <= value <= 1:
                raise ValueError(f"{name} {value}, expected in [-1, 1] or null")
        if (self.valence is None) != (self.arousal is None):
            raise ValueError("valence without arousal, or arousal without valence, expected both")

    @property
    def told(self) -> bool:
        """Whether the generator is told anything."""
        return bool(self.expression or self.action_units or self.valence is not None)


def generate(config: GenerateConfig) -> Path:
    """Draws and writes what a config names.

    Returns:
        The manifest.

    Raises:
        UserError: something the user can mend; its message is one line.
    """
    out = Path(os.path.expanduser(config.out))
    if out.is_dir() and any(out.iterdir()):
        raise WriteError(f"{out}: holds something, expected a new folder")
    model, _, _ = load_model(config.model)
    if not isinstance(model, GAN):
        raise UserError(f"{config.model}: a {type(model).__name__}, expected a GAN")
    if config.told and not model.conditional:
        raise UserError(
            f"{config.model}: a generator that is told nothing, expected no expression, valence,"
            " arousal or action_units"
        )
    told = _told(config, model)
    runtime = Runtime(config.runtime)
    model.to(runtime.device).eval()
    make_folder(str(out / "images"))
    shown = list[Tensor]()
    with tqdm(total=config.count, unit="image", disable=None, leave=False) as bar:
        for first, images in draw(model, config, told, runtime.device):
            for place, picture in enumerate(pictures_of(images)):
                content = io.BytesIO()
                Image.fromarray(picture).save(content, "PNG")
                write_bytes(out / "images" / f"{first + place:06}.png", content.getvalue())
            shown.append(images[: max(0, _SHOWN - first)])
            bar.update(len(images))
    image_grid({"": pictures_of(torch.cat(shown)[:_SHOWN])}, out / "sheet.png", groups=8)
    manifest = out / "train.csv"
    write_text(manifest, _manifest(config, model, told))
    return manifest


def draw(
    model: GAN, config: GenerateConfig, told: LabelTensors, device: torch.device
) -> Iterator[tuple[int, Tensor]]:
    """Images [B, 3, S, S] uint8 of batches, and the place of their first one.

    An image depends on the seed and its place, not on the batch size (but by rounding).
    """
    generator = torch.Generator().manual_seed(config.seed)
    noise = 2 * torch.rand(config.count, model.latent, generator=generator) - 1
    classes = len(model.labels.expressions or ())
    for first in range(0, config.count, config.batch_size):
        rows = np.arange(first, min(first + config.batch_size, config.count))
        condition = condition_of(told.rows(rows), classes) if model.conditional else None
        with torch.inference_mode():
            drawn = model.generator(
                noise[first : first + len(rows)].to(device),
                None if condition is None else condition.to(device),
            )
        yield first, as_images(drawn).cpu()


def draw_sheet(model: GAN, count: int, file: Path) -> None:
    """Draws the same noise at any time, every expression in turn, and says if all look alike."""
    config = GenerateConfig(model="-", out="-", count=count, batch_size=count)
    training, device = model.training, next(model.parameters()).device
    _, faces = next(draw(model.eval(), config, _told(config, model), device))
    model.train(training)
    image_grid({"": pictures_of(faces)}, file, groups=8)
    if (spread := faces.float().std(0).mean().item()) < _COLLAPSED:
        say(f"the generator draws nearly the same for any noise (spread {spread:.1f} of 255)")


def _told(config: GenerateConfig, model: GAN) -> LabelTensors:
    """What the generator is told of each image."""
    n, labels = config.count, model.labels
    assert labels.expressions is not None
    assert labels.action_units is not None
    space, units = labels.expressions, labels.action_units
    if unknown := [name for name in config.action_units if name not in units.names]:
        raise UserError(f"action_units {unknown[0]!r}, expected some of {', '.join(units.names)}")
    try:
        chosen = None if config.expression is None else space.index(config.expression)
    except LabelError as error:
        raise UserError(f"expression {config.expression!r}, expected {error.expected}") from None
    everyone = model.conditional and not config.told
    expression = np.arange(n) % len(space) if chosen is None else np.full(n, chosen)
    present = np.array([name in config.action_units for name in units.names], np.int64)
    affect = np.array([config.valence or 0.0, config.arousal or 0.0])
    targets = make_targets(
        n,
        valence_arousal=(
            np.tile(affect, (n, 1)),
            np.full((n, 2), config.valence is not None),
        ),
        expression=(expression, np.full(n, chosen is not None or everyone)),
        action_units=(
            np.tile(present, (n, 1)),
            np.full((n, len(units)), bool(config.action_units)),
        ),
        expression_space=space,
        action_unit_space=units,
    )
    return LabelTensors.of(targets)


def _manifest(config: GenerateConfig, model: GAN, told: LabelTensors) -> str:
    """The images with what the generator was told: a manifest that can be trained on."""
    assert model.labels.expressions is not None
    assert model.labels.action_units is not None
    names, units = model.labels.expressions.classes, model.labels.action_units.names
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "expression", "valence", "arousal", *units])
    for row in range(config.count):
        expression = names[int(told.expression[row])] if told.expression_valid[row] else ""
        affect = [
            f"{float(value):g}" if valid else ""
            for value, valid in zip(
                told.valence_arousal[row], told.valence_arousal_valid[row], strict=True
            )
        ]
        present = [
            f"{int(value)}" if valid else ""
            for value, valid in zip(
                told.action_units[row], told.action_units_valid[row], strict=True
            )
        ]
        writer.writerow([f"images/{row:06}.png", expression, *affect, *present])
    return text.getvalue()


def _work() -> None:
    config = parse_config(GenerateConfig, None, PROGRAM, lists=("action_units",))
    manifest = generate(config)
    print(f"{config.count:,} images  {manifest.parent / 'images'}")
    print(f"manifest  {manifest}")
    print(f"sheet     {manifest.with_name('sheet.png')}")


def main() -> int:
    """Draws, or says in one line why not."""
    return exit_code(_work)


if __name__ == "__main__":
    sys.exit(main())
