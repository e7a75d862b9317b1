"""Stage one: builds the masked autoencoder, its data and its objective for the loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from pretrain.data.config import DataConfig
from pretrain.data.loader import Batch, MaskedImages
from pretrain.data.opening import open_source
from pretrain.data.sources import Source
from pretrain.engine.config import defining_fields, operational
from pretrain.engine.optim import build_optimizer
from pretrain.engine.runtime import Runtime
from pretrain.engine.signals import StopSignal
from pretrain.engine.tracking import say
from pretrain.load import init_from
from pretrain.models.mae import MAEConfig, MaskedAutoencoder
from pretrain.probing.config import RunProbeConfig
from pretrain.results import draw_reconstructions, hand_on
from pretrain.run import Look, Run, RunConfig, train

if TYPE_CHECKING:
    from pretrain.probing.during import RunProbe


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(RunConfig):
    """Pretrains a ViT on unlabelled faces as a masked autoencoder.

    Attributes:
        init_from: weights to start from: an MAE or ViT file, folder or run, or a timm name.
        pictures: images in the reconstruction grids.
        model: the masked autoencoder.
        data: the images.
        probe: linear probes of the encoder on labelled images.
    """

    output_dir: str = operational("runs/pretrain")
    init_from: str | None = operational(None)
    pictures: int = operational(12)
    model: MAEConfig = field(default_factory=MAEConfig)
    data: DataConfig = field(default_factory=DataConfig)
    probe: RunProbeConfig = field(default_factory=RunProbeConfig, metadata={"operational": True})

    def __post_init__(self) -> None:
        """Refuses an empty grid, and what every run refuses."""
        super().__post_init__()
        if self.pictures < 1:
            raise ValueError(f"pictures {self.pictures}, expected at least 1")


class MaskedReconstruction:
    """The objective of stage one: predict the pixels of the masked patches."""

    tasks = ("reconstruction",)
    turns = ("",)

    def __init__(self, config: MAEConfig) -> None:
        self._predicted = config.predicted_count

    def counts(self, batch: Batch) -> Tensor:
        """Predicted patches of the batch."""
        return torch.tensor([len(batch.images) * self._predicted], device=batch.images.device)

    def sums(self, model: nn.Module, batch: Batch, turn: str) -> Tensor:
        """Sum of their mean squared errors."""
        del turn
        return model(batch.images, batch.noise).reshape(1)  # type: ignore[no-any-return]


def open_images(config: PretrainConfig) -> tuple[Source, RunProbe | None]:
    """The images to pretrain on and, where one is wanted, the probe on others."""
    source = open_source(config.data)
    if config.probe.source is None:
        return source, None
    from pretrain.probing.during import RunProbe, separate  # scikit-learn takes seconds to import

    source, probed, remark = separate(source, config.probe)
    return source, RunProbe(probed, remark, config.seed)


def pretrain(config: PretrainConfig) -> bool:
    """Runs stage one.

    Returns:
        True when the run is complete, False after a stop signal (its state is saved).

    Raises:
        UserError: something the user can mend; its message is one line.
    """
    return train(config, lambda *parts: Pretraining(config, *parts))


class Pretraining(Run[PretrainConfig]):
    """What stage one brings to a run."""

    dataset: MaskedImages
    model: MaskedAutoencoder

    def __init__(
        self, config: PretrainConfig, runtime: Runtime, micro_batches: int, stop: StopSignal
    ) -> None:
        super().__init__(config, config.data, runtime, micro_batches, stop)

    def open_images(self) -> MaskedImages:
        """See :class:`Run`."""
        config = self.config
        source, self.probe = open_images(config)
        return MaskedImages(
            source,
            described=f"data.source {config.data.source}",
            seed=config.seed,
            image_size=config.model.image_size,
            num_patches=config.model.encoder_shape.num_patches,
            augmentation=config.data.augmentation,
        )

    def build_model(self, fresh: bool) -> MaskedAutoencoder:
        """See :class:`Run`."""
        model = self.empty_model()
        if fresh and self.config.init_from:
            report = init_from(model, self.config.init_from)
            if self.runtime.is_main:
                say(f"init_from {self.config.init_from}: {report}")
        return model

    def empty_model(self) -> MaskedAutoencoder:
        """See :class:`Run`."""
        return MaskedAutoencoder(self.config.model)

    def build_optimizer(self) -> torch.optim.AdamW:
        """See :class:`Run`."""
        return build_optimizer(self.model, self.config.optim)

    def objective(self) -> MaskedReconstruction:
        """See :class:`Run`."""
        return MaskedReconstruction(self.config.model)

    def defining_fields(self) -> dict[str, Any]:
        """Config fields, without the sections of unused sources, and the weights of a mixture."""
        fields = {
            key: value
            for key, value in defining_fields(self.config).items()
            if not key.startswith(("data.synthetic.", "data.non_faces."))
            or self.config.data.uses(key.split(".")[1])
        }
        weights = list(self.config.data.mixture.values())
        return fields | ({"mixture": weights} if weights else {})

    def facts(self) -> dict[str, Any]:
        """See :class:`Run`."""
        return {"source": self.config.data.source}

    def prepare(self) -> None:
        """Shows what goes in, and looks at the probe's images."""
        self.draw_samples(2 * self.config.pictures)
        if self.probe:
            self.probe.start(self.folder, self.first_step, self.config.model.image_size)
            say(f"probe: {self.probe.remark}")

    def looks(self) -> Sequence[tuple[float | None, Look]]:
        """Pictures and probes."""
        return (
            (self.config.log.pictures_every_epochs, self._draw),
            (self.config.probe.every_epochs if self.probe else None, self._probe),
        )

    def hand_on(self, model: nn.Module) -> None:
        """See :class:`Run`."""
        step, whole = self.loop.progress.step, cast(MaskedAutoencoder, model)
        hand_on(whole, self.folder)
        picture = self._draw(whole, step)
        if self.probe:
            print(self._probe(whole, step), end="\n\n")
        print(f"encoder         {self.folder / 'encoder'}")
        print(f"reconstruction  {picture}")
        if self.probe:
            print(f"probes          {picture.with_name('probe.png')}")

    def _probe(self, model: nn.Module, step: int) -> str:
        """The table of what the encoder's features know at this step."""
        assert self.probe
        model.eval()
        try:
            epoch = step / self.order.steps_per_epoch
            encoder = cast(MaskedAutoencoder, model).encoder
            return self.probe(encoder, step, epoch, self.runtime.device)
        finally:
            model.train()

    def _draw(self, model: nn.Module, step: int) -> Path:
        """Pictures of the run as it stands."""
        size, source = self.config.model.size, self.config.data.source
        drawn = " (drawn images)" if source in ("synthetic", "non_faces") else ""
        self.draw_curves(f"masked autoencoder, ViT-{size}{drawn}")
        examples = self.dataset.examples(min(self.config.pictures, len(self.dataset)))
        whole = cast(MaskedAutoencoder, model)
        return draw_reconstructions(whole, examples.to(self.runtime.device), step, self.folder)
