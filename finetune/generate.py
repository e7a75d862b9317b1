"""Program: ``python -m finetune.generate --model RUN --out DIR``: faces from a generator."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from finetune.data import generated
from finetune.data.config import LabelledConfig
from finetune.data.opening import read_collection, splits_of
from finetune.generating.drawing import draw, every_expression, noise, spread, tell
from finetune.generating.sheets import draw_sheets
from finetune.labels import LabelError, Targets
from finetune.load import load_model
from finetune.loading.notes import ModelNotes
from finetune.models.gan import GAN
from pretrain.engine.config import parse_config
from pretrain.engine.launching import RuntimeConfig
from pretrain.engine.pictures import image_grid, pictures_of
from pretrain.engine.runtime import Runtime
from pretrain.engine.tracking import say
from pretrain.errors import UserError, exit_code
from pretrain.files import WriteError, new_folder, write_bytes, write_text

PROGRAM = "python -m finetune.generate"

#: Images of the sheet.
_SHOWN = 64

#: A spread below which images are said to be alike; photographs and drawn faces have 45 to 50.
_ALIKE = 10


@dataclass(frozen=True, kw_only=True)
class GenerateConfig:
    """Draws faces, and lists them as a manifest (train.csv) with what the generator was told.

    Attributes:
        model: a run of method GAN, or its model/.
        out: folder for images/, train.csv, generator.json and sheets of samples, of ways between
            two faces and of one label at a time; new, or empty.
        count: images.
        expression: that all of them shall show; null tells every one of the model's in turn, where
            the generator is conditional.
        valence: in [-1, 1]; null: not told.
        arousal: in [-1, 1]; null: not told.
        action_units: that shall be there (AU6 AU12); the model's others shall not. Empty: not told.
        as_data: tell the labels of data instead, those of one image after another and from the
            first again.
        data: a collection, for as_data, split train where none is named; its images are not looked
            at.
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
    as_data: bool = False
    data: LabelledConfig = field(default_factory=LabelledConfig)
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
        if self.as_data and self._named:
            raise ValueError("as_data true beside a label for all images, expected one of them")
        if not self.as_data and self.data != LabelledConfig():
            raise ValueError("data with as_data false, expected as_data true, or no data")

    @property
    def told(self) -> bool:
        """Whether the generator is told anything."""
        return self._named or self.as_data

    @property
    def _named(self) -> bool:
        return bool(self.expression or self.action_units or self.valence is not None)


def generate(config: GenerateConfig) -> Path:
    """Draws and writes what a config names.

    Returns:
        The manifest.

    Raises:
        UserError: something the user can mend; its message is one line.
    """
    out = Path(os.path.realpath(os.path.expanduser(config.out)))
    if out.is_dir() and any(out.iterdir()):
        raise WriteError(f"{out}: holds something, expected a new folder")
    model, _, report = load_model(config.model)
    if not isinstance(model, GAN):
        raise UserError(f"{config.model}: a model {type(model).__name__}, expected GAN")
    if report.notes.draws is False:
        raise UserError(
            f"{config.model}: trained on labels alone (method.adversarial.weight 0), expected a"
            " generator that has learnt"
        )
    if config.told and not model.conditional:
        raise UserError(
            f"{config.model}: a generator that is told nothing, expected no expression, valence,"
            " arousal, action_units or as_data"
        )
    told, tells = _told(config, model)
    runtime = Runtime(config.runtime)
    model.to(runtime.device).eval()
    with new_folder(out) as draft:
        _write(config, model, report.notes, told, tells, draft)
    return out / "train.csv"


def _write(
    config: GenerateConfig,
    model: GAN,
    notes: ModelNotes,
    told: Targets,
    tells: generated.Origin,
    out: Path,
) -> None:
    drawn, shown = 0, list[Tensor]()
    with tqdm(total=config.count, unit="image", disable=None, leave=False) as bar:
        given = noise(model, config.count, config.seed)
        for images in draw(model, given, told, config.batch_size):
            for place, picture in enumerate(pictures_of(images)):
                content = io.BytesIO()
                Image.fromarray(picture).save(content, "PNG")
                write_bytes(out / "images" / f"{drawn + place:06}.png", content.getvalue())
            shown.append(images[: max(0, _SHOWN - drawn)])
            drawn += len(images)
            bar.update(len(images))
    image_grid({"": pictures_of(torch.cat(shown))}, out / "sheet.png", groups=8)
    if config.count > 1 and (differ := spread(torch.cat(shown))) < _ALIKE:
        say(
            f"the images hardly differ: spread {differ:.1f} of 255, expected at least {_ALIKE};"
            " look at sheet.png before anything is trained on them"
        )
    draw_sheets(model, notes.tasks, out)
    origin = generated.Origin(notes.trained_on, notes.training_groups).joined(tells)
    known = generated.describe(origin, told.expression_space, told.action_unit_space)
    write_text(out / generated.FILE, json.dumps(known, indent=1) + "\n")
    write_text(out / "train.csv", _manifest(told))


def _told(config: GenerateConfig, model: GAN) -> tuple[Targets, generated.Origin]:
    """What the generator is told of each image, and whose labels these are."""
    nobody = generated.Origin((), ())
    n, labels = config.count, model.labels
    assert labels.expressions is not None
    assert labels.action_units is not None
    units = labels.action_units.names
    if unknown := [name for name in config.action_units if name not in units]:
        raise UserError(f"action_units {unknown[0]!r}, expected some of {', '.join(units)}")
    if not config.told:
        return every_expression(model, n), nobody
    if config.as_data:
        return _told_of_data(config.data, model, n)
    expression = valence_arousal = action_units = None
    if config.expression is not None:
        try:
            expression = np.full(n, labels.expressions.index(config.expression))
        except LabelError as error:
            got = f"expression {config.expression!r}"
            raise UserError(f"{got}, expected {error.expected}") from None
    if config.valence is not None:
        valence_arousal = np.tile(np.array([config.valence, config.arousal], np.float64), (n, 1))
    if config.action_units:
        present = np.array([name in config.action_units for name in units], np.int64)
        action_units = np.tile(present, (n, 1))
    told = tell(
        model,
        n,
        expression=expression,
        valence_arousal=valence_arousal,
        action_units=action_units,
    )
    return told, nobody


def _told_of_data(data: LabelledConfig, model: GAN, n: int) -> tuple[Targets, generated.Origin]:
    """The labels of n rows of a collection, from the first again after the last."""
    labels = model.labels
    assert labels.expressions is not None
    assert labels.action_units is not None
    if data.split is None and "train" in splits_of(data):
        data = replace(data, split="train")
    collection = read_collection(data)
    there = collection.annotations.targets.to(labels.expressions, labels.action_units)
    known = [there.expression_valid, there.valence_arousal_valid, there.action_units_valid]
    rows = np.flatnonzero(np.column_stack(known).any(1))
    if not len(rows):
        raise UserError(
            f"data {collection.kind} {collection.split}: no label that the model knows,"
            " expected some"
        )
    rows = rows[np.arange(n) % len(rows)]
    people = tuple(sorted(set(collection.annotations.select(np.unique(rows)).keys)))
    return there.select(rows), generated.Origin((collection.kind,), people)


def _manifest(told: Targets) -> str:
    """The images with what the generator was told: a manifest that can be trained on."""
    space, units = told.expression_space, told.action_unit_space.names
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "expression", "valence", "arousal", *units])
    for row in range(len(told)):
        name = space.classes[told.expression[row]] if told.expression_valid[row] else ""
        affect = _cells(told.valence_arousal[row], told.valence_arousal_valid[row])
        present = _cells(told.action_units[row], told.action_units_valid[row])
        writer.writerow([f"images/{row:06}.png", name, *affect, *present])
    return text.getvalue()


def _cells(values: NDArray[np.number], valid: NDArray[np.bool_]) -> list[str]:
    return [f"{v:g}" if given else "" for v, given in zip(values, valid, strict=True)]


def _work() -> None:
    config = parse_config(GenerateConfig, None, PROGRAM, lists=("action_units",))
    manifest = generate(config)
    print(f"{config.count:,} images  {manifest.parent / 'images'}")
    print(f"manifest  {manifest}")
    for sheet in sorted(manifest.parent.glob("*.png")):
        print(f"sheet     {sheet}")


def main() -> int:
    """Draws, or says in one line why not."""
    return exit_code(_work)


if __name__ == "__main__":
    sys.exit(main())
