"""How near drawn faces are to real ones, looked at while their generator is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from finetune.data.images import LabelledImages, LabelledMixture
from finetune.generating.drawing import draw, noise, spread
from finetune.generating.features import features, pixels
from finetune.generating.quality import FEWEST, memorised, mutual, nearest, quality
from finetune.models.gan import GAN
from pretrain.engine.pictures import image_grid, pictures_of, save_figure
from pretrain.engine.tracking import say
from pretrain.errors import UserError
from pretrain.probing.encoders import open_frozen

#: Drawn faces that are shown beside the real ones that look most like them.
_SHOWN = 24


@dataclass(frozen=True, kw_only=True)
class WatchConfig:
    """What is looked at while a generator is trained: ``evaluations.jsonl``, split drawn.

    Attributes:
        encoder: a run of stage one, a released MAE, or a timm name: what sees Fréchet distance,
            precision, recall and memorised images; null: only the spread is looked at.
        images: drawn, and compared with as many training images.
        every_epochs: how often; null: never.
        least_spread: share of the spread of real images, below which the generator is said to draw
            the same for any noise.
        stop: end the run then, instead of saying so.
    """

    encoder: str | None = None
    images: int = 1000
    every_epochs: float | None = 5.0
    least_spread: float = 0.25
    stop: bool = False

    def __post_init__(self) -> None:
        """Refuses too few images and an interval or share without a meaning."""
        if self.images < FEWEST:
            raise ValueError(f"images {self.images}, expected at least {FEWEST}")
        if self.every_epochs is not None and self.every_epochs <= 0:
            raise ValueError(f"every_epochs {self.every_epochs}, expected > 0 or null")
        if not 0 <= self.least_spread < 1:
            raise ValueError(f"least_spread {self.least_spread}, expected in [0, 1)")


class Watch:
    """Compares what a generator draws with two halves of some real images, always the same.

    What is drawn is told the labels of the first half, so that both show the same expressions.

    Args:
        config: how.
        images: that are trained on, in the model's label spaces.
        side: of what is drawn, pixels.
        device: of the encoder.
        seed: of the halves.

    Raises:
        UserError: an encoder that cannot be opened, or too few images for what it sees.
    """

    def __init__(
        self,
        config: WatchConfig,
        images: LabelledImages | LabelledMixture,
        side: int,
        device: torch.device,
        seed: int,
    ) -> None:
        self.config = config
        real, rows = pixels(images, 2 * config.images, side)
        if config.encoder is not None and len(real) < 2 * FEWEST:
            raise UserError(
                f"method.watch.encoder: {len(real)} training images can be read, expected at least"
                f" {2 * FEWEST}"
            )
        order = np.random.default_rng(seed).permutation(len(real))[: len(real) // 2 * 2]
        one, other = np.split(order, 2)
        self.real = real[torch.from_numpy(one)]
        self.told = images.targets.select(np.array(rows)[one])
        self.frozen = None if config.encoder is None else open_frozen(config.encoder, seed)[0]
        if self.frozen is not None:
            self.frozen.module.to(device)
            self.seen = features(self.frozen, self.real)
            others = features(self.frozen, real[torch.from_numpy(other)])
            self.floor, self.chance = quality(self.seen, others), mutual(self.seen)

    def look(self, model: GAN, where: str, folder: Path) -> dict[str, float]:
        """Numbers of what is drawn now, said in a line; ``nearest.png`` in the folder.

        Args:
            model: whole.
            where: when this is, for the line.
            folder: of the picture.

        Raises:
            UserError: the generator draws the same for any noise, and the run is to stop then.
        """
        model.eval()
        drawn = torch.cat(list(draw(model, noise(model, len(self.real), 0), self.told)))
        found = {"spread": spread(drawn), "real_spread": spread(self.real)}
        if self.frozen is not None:
            made = features(self.frozen, drawn)
            now = quality(self.seen, made)
            found |= {"frechet": now.frechet, "real_frechet": self.floor.frechet}
            found |= {"precision": now.precision, "recall": now.recall}
            found |= {"memorised": memorised(made, self.seen), "real_memorised": self.chance}
            like = torch.from_numpy(nearest(made[:_SHOWN], self.seen))
            pairs = {"drawn": drawn[:_SHOWN], "nearest": self.real[like]}
            columns = {name: pictures_of(faces) for name, faces in pairs.items()}
            image_grid(columns, folder / "nearest.png", groups=6)
        numbers = "  ".join(f"{name} {number:.3f}" for name, number in found.items())
        say(f"drawn at {where}  {numbers}")
        if self.frozen is not None and found["frechet"] <= found["real_frechet"]:
            say("as far as this encoder sees, drawn and real are the same: look at the pictures")
        if found["spread"] < self.config.least_spread * found["real_spread"]:
            line = (
                f"the generator draws nearly the same for any noise: spread {found['spread']:.1f}"
                f" of 255, expected at least {self.config.least_spread:g} of real images'"
                f" {found['real_spread']:.1f}"
            )
            if self.config.stop:
                raise UserError(f"{where}: {line}")
            say(line)
        return found


def draw_quality(records: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Writes distance, precision and recall over epochs; nothing where no encoder saw anything.

    Args:
        records: of looks, with epoch and their numbers.
        path: the PNG.
        title: what run this is.
    """
    from matplotlib.figure import Figure  # imports stay light

    seen = [record for record in records if "frechet" in record]
    if not seen:
        return
    epochs = [record["epoch"] for record in seen]
    figure = Figure(figsize=(7.2, 3.6), dpi=120, layout="constrained")
    distance, shares = figure.subplots(1, 2)
    distance.plot(epochs, [record["frechet"] for record in seen], "o-", color="#20639b")
    floor = seen[-1]["real_frechet"]
    distance.axhline(floor, color="#666", linestyle="--", label=f"real against real {floor:.2g}")
    distance.set(xlabel="epoch", ylabel="Fréchet distance", yscale="log", title=title)
    for name, colour in (("precision", "#c0392b"), ("recall", "#20639b"), ("memorised", "#888")):
        shares.plot(epochs, [record[name] for record in seen], "o-", color=colour, label=name)
    shares.set(xlabel="epoch", ylabel="share", ylim=(0, 1))
    for axes in (distance, shares):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    save_figure(figure, path)
