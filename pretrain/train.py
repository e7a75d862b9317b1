"""Stage one: builds the masked autoencoder, its data and its objective for the loop."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pretrain.data.loader import Batch, MaskedImages, windows
from pretrain.data.non_faces import NonFaces, NonFacesConfig
from pretrain.data.order import StepOrder, fingerprint
from pretrain.data.sources import FolderSource, Source
from pretrain.data.synthetic import SyntheticConfig, SyntheticFaces
from pretrain.data.transforms import AugmentationConfig
from pretrain.engine import run_folder
from pretrain.engine.checkpoint import Checkpoint, CheckpointConfig, read
from pretrain.engine.config import defining_fields, dump_config, operational
from pretrain.engine.loop import Loop, LoopConfig
from pretrain.engine.optim import OptimConfig, Schedule, build_optimizer, build_schedule
from pretrain.engine.pictures import Picture, image_grid, plot_curves
from pretrain.engine.runtime import Runtime, RuntimeConfig, usable_cores
from pretrain.engine.tracking import LogConfig, Tracker, read_metrics, say
from pretrain.errors import UserError
from pretrain.load import init_from, save_encoder, save_mae
from pretrain.models.mae import MAEConfig, MaskedAutoencoder


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The images and what is done to them.

    Attributes:
        source: synthetic (embedded faces), non_faces (their control), or a folder of images.
        augmentation: random crop and flip.
        synthetic: the embedded faces.
        non_faces: the embedded images without a face.
        workers: loader processes a trainer process; null takes the cores that are left, at most 8.
    """

    source: str = operational("synthetic")
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)
    non_faces: NonFacesConfig = field(default_factory=NonFacesConfig)
    workers: int | None = operational(None)

    def __post_init__(self) -> None:
        """Refuses a negative number of workers."""
        if self.workers is not None and self.workers < 0:
            raise ValueError(f"workers {self.workers}, expected 0 or more")


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """Pretrains a ViT on unlabelled faces as a masked autoencoder.

    Attributes:
        seed: of everything random.
        output_dir: the run's folder.
        resume: null starts a run; auto goes on from its newest checkpoint, or starts; or the path
            of a checkpoint.
        init_from: weights to start from: an MAE or ViT file, folder or run, or a timm name.
        pictures: images in the reconstruction grids.
        model: the masked autoencoder.
        data: the images.
        training: length and size of the steps.
        optim: AdamW and its schedule.
        runtime: precision, processes, threads.
        checkpoint: when the state is saved.
        log: what is written.
    """

    seed: int = 0
    output_dir: str = operational("runs/pretrain")
    resume: str | None = operational(None)
    init_from: str | None = operational(None)
    pictures: int = operational(12)
    model: MAEConfig = field(default_factory=MAEConfig)
    data: DataConfig = field(default_factory=DataConfig)
    training: LoopConfig = field(default_factory=LoopConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    checkpoint: CheckpointConfig = field(
        default_factory=CheckpointConfig, metadata={"operational": True}
    )
    log: LogConfig = field(default_factory=LogConfig, metadata={"operational": True})

    def __post_init__(self) -> None:
        """Refuses a negative seed and an empty grid."""
        if self.seed < 0:
            raise ValueError(f"seed {self.seed}, expected 0 or more")
        if self.pictures < 1:
            raise ValueError(f"pictures {self.pictures}, expected at least 1")


class MaskedReconstruction:
    """The objective of stage one: predict the pixels of the masked patches."""

    tasks = ("reconstruction",)

    def __init__(self, config: MAEConfig, visible: int) -> None:
        self._masked = config.encoder_shape.num_patches - visible

    def counts(self, batch: Batch) -> Tensor:
        """Masked patches of the batch."""
        return torch.tensor([len(batch.images) * self._masked], device=batch.images.device)

    def sums(self, model: nn.Module, batch: Batch) -> Tensor:
        """Sum of their mean squared errors."""
        return model(batch.images, batch.noise).reshape(1)  # type: ignore[no-any-return]


def open_source(config: DataConfig) -> Source:
    """The images that ``data.source`` names."""
    if config.source == "synthetic":
        return SyntheticFaces(config.synthetic)
    if config.source == "non_faces":
        return NonFaces(config.non_faces)
    return FolderSource(Path(config.source).expanduser())


def pretrain(config: PretrainConfig) -> bool:
    """Runs stage one.

    Returns:
        True when the run is complete, False after a stop signal (its state is saved).

    Raises:
        UserError: something the user can mend; its message is one line.
    """
    started = time.monotonic()
    micro_batches = config.training.micro_batches(int(os.environ.get("WORLD_SIZE", 1)))
    runtime = Runtime(config.runtime, micro_batches)
    folder = Path(config.output_dir)
    try:
        return _run(config, runtime, micro_batches, folder, started)
    finally:
        runtime.close()


def _run(
    config: PretrainConfig, runtime: Runtime, micro_batches: int, folder: Path, started: float
) -> bool:
    dataset = _dataset(config)
    order = StepOrder(config.seed, dataset.ids, config.training.global_batch_size)
    schedule = _schedule(config, order, len(dataset))
    defining = _defining(config, dataset)
    checkpoint = _claim(config, runtime, folder, defining)
    loop = _loop(config, runtime, order, schedule, folder, defining)
    if checkpoint:
        loop.restore(checkpoint)
    elif config.init_from:
        report = init_from(loop.module, config.init_from)
        if runtime.is_main:
            say(f"init_from {config.init_from}: {report}")
    first = loop.progress.step
    workers = _workers(config, runtime)
    tracker = None
    if runtime.is_main:
        _announce(config, runtime, dataset, schedule, order, micro_batches, workers, folder, first)
        settings = defining_fields(config)
        tracker = Tracker(folder, config.log.trackers, first, schedule.steps, settings)
        _, shown = order.samples(0)
        seen = dataset[0, shown[: 2 * config.pictures]].images
        image_grid({"": _as_pictures(seen / 255)}, folder / "pictures" / "samples.png", groups=8)
    hooks = []
    if config.log.pictures_every_epochs:
        every = max(1, round(config.log.pictures_every_epochs * order.steps_per_epoch))
        hooks = [(every, lambda step: _pictures(config, loop, dataset, folder, step))]
    batches = windows(
        dataset,
        order,
        rank=runtime.rank,
        world_size=runtime.world_size,
        micro_batches=micro_batches,
        steps=range(first, schedule.steps),
        workers=workers,
        pin_memory=runtime.device.type == "cuda",
    )
    try:
        complete = loop.run(batches, tracker, hooks)
    finally:
        batches.close()  # an error must not wait for the loader's workers
        if tracker:
            tracker.close()
    with runtime.main_first_error():
        if runtime.is_main:
            _finish(config, loop, dataset, folder, complete, time.monotonic() - started)
    return complete


def _dataset(config: PretrainConfig) -> MaskedImages:
    return MaskedImages(
        open_source(config.data),
        seed=config.seed,
        image_size=config.model.image_size,
        num_patches=config.model.encoder_shape.num_patches,
        augmentation=config.data.augmentation,
    )


def _schedule(config: PretrainConfig, order: StepOrder, images: int) -> Schedule:
    if not order.steps_per_epoch:
        raise UserError(
            f"data.source {config.data.source}: {images} images, expected at least one step of"
            f" {config.training.global_batch_size} (training.global_batch_size)"
        )
    try:
        return build_schedule(
            config.optim,
            global_batch_size=config.training.global_batch_size,
            steps_per_epoch=order.steps_per_epoch,
            epochs=config.training.epochs,
        )
    except ValueError as error:
        raise UserError(str(error)) from None


def _defining(config: PretrainConfig, dataset: MaskedImages) -> dict[str, Any]:
    """Config fields and the images themselves, without the sections of unused sources."""
    fields = {
        key: value
        for key, value in defining_fields(config).items()
        if not key.startswith(("data.synthetic.", "data.non_faces."))
        or key.split(".")[1] == config.data.source
    }
    return fields | {"images": fingerprint(dataset.ids)}


def _claim(
    config: PretrainConfig, runtime: Runtime, folder: Path, defining: dict[str, Any]
) -> Checkpoint | None:
    """The main process chooses where to start; all read the same checkpoint."""
    path: Path | None = None
    with runtime.main_first_error():
        if runtime.is_main:
            checkpoint, rejected = run_folder.claim(folder, config.resume)
            for reason in rejected:
                say(f"passed over a torn checkpoint: {reason}")
            if checkpoint:
                run_folder.refuse_other_run(checkpoint, defining)
                path = checkpoint.path
            run_folder.write_text(folder / "config.yaml", dump_config(config))
    path = runtime.decide(path)
    return read(path) if path else None


def _loop(
    config: PretrainConfig,
    runtime: Runtime,
    order: StepOrder,
    schedule: Schedule,
    folder: Path,
    defining: dict[str, Any],
) -> Loop:
    torch.manual_seed(config.seed)
    model = MaskedAutoencoder(config.model)
    objective = MaskedReconstruction(config.model, model.visible)
    model.to(runtime.device)
    return Loop(
        runtime=runtime,
        model=model,
        optimizer=build_optimizer(model, config.optim),
        objective=objective,
        schedule=schedule,
        training=config.training,
        saving=config.checkpoint,
        log_every_steps=config.log.every_steps,
        steps_per_epoch=order.steps_per_epoch,
        folder=folder,
        seed=config.seed,
        optim=config.optim,
        defining=defining,
    )


def _workers(config: PretrainConfig, runtime: Runtime) -> int:
    """On a GPU the cores that are left; on a CPU one, since the model needs them too."""
    if config.data.workers is not None:
        return config.data.workers
    local = int(os.environ.get("LOCAL_WORLD_SIZE", runtime.world_size))
    return 1 if runtime.device.type == "cpu" else min(8, max(1, usable_cores() // local - 1))


def _announce(
    config: PretrainConfig,
    runtime: Runtime,
    dataset: MaskedImages,
    schedule: Schedule,
    order: StepOrder,
    micro_batches: int,
    workers: int,
    folder: Path,
    first: int,
) -> None:
    facts = runtime.describe() | {
        "images": len(dataset),
        "source": config.data.source,
        "global_batch_size": config.training.global_batch_size,
        "micro_batches": micro_batches,
        "workers": workers,
        "steps_per_epoch": order.steps_per_epoch,
        "steps": schedule.steps,
        "warmup_steps": schedule.warmup_steps,
        "peak_lr": schedule.peak_lr,
        "seed": config.seed,
        "first_step": first,
    }
    run_folder.record_start(folder, facts)
    say(f"run folder {folder}" + (f", resumed at step {first}" if first else ""))
    say("  ".join(f"{key} {value}" for key, value in facts.items()))


def _pictures(
    config: PretrainConfig, loop: Loop, dataset: MaskedImages, folder: Path, step: int
) -> None:
    """Reconstructions of the same images under the same masks, and the curves."""
    if not loop.runtime.is_main:
        return
    model = loop.module
    assert isinstance(model, MaskedAutoencoder)
    examples = dataset.examples(min(config.pictures, len(dataset))).to(loop.runtime.device)
    model.eval()
    made = model.reconstruct(examples.images, examples.noise)
    model.train()
    columns = {
        "original": _as_pictures(made.original),
        "masked": _as_pictures(made.masked),
        "reconstruction": _as_pictures(made.reconstruction),
    }
    pictures = folder / "pictures"
    image_grid(columns, pictures / f"reconstruction-{step:08d}.png", groups=2)
    drawn = " (drawn images)" if config.data.source in ("synthetic", "non_faces") else ""
    plot_curves(
        read_metrics(folder),
        pictures / "curves.png",
        f"masked autoencoder, ViT-{config.model.size}{drawn}",
    )


def _as_pictures(images: Tensor) -> list[Picture]:
    return list((images * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())


def _finish(
    config: PretrainConfig,
    loop: Loop,
    dataset: MaskedImages,
    folder: Path,
    complete: bool,
    seconds: float,
) -> None:
    bad = loop.progress.bad
    run_folder.record_end(
        folder,
        {
            "complete": complete,
            "step": loop.progress.step,
            "seconds": round(seconds, 1),
            "skipped_steps": int(loop.progress.skipped.item()),
            "bad_images": bad,
        },
    )
    if bad:
        say(f"{len(bad)} bad image(s) were replaced; run.json names them")
    if not complete:
        say(f"stopped at step {loop.progress.step}, saved; go on with --resume auto")
        return
    model = loop.module
    assert isinstance(model, MaskedAutoencoder)
    if loop.average:  # what is handed on are the averaged weights, the checkpoint keeps both
        for name, parameter in model.named_parameters():
            parameter.data.copy_(loop.average.weights[name])
    save_mae(model, folder / "mae.safetensors")
    save_encoder(model, folder / "encoder")
    _pictures(config, loop, dataset, folder, loop.progress.step)
    print(f"encoder         {folder / 'encoder'}")
    print(f"reconstruction  {folder / 'pictures' / f'reconstruction-{loop.progress.step:08d}.png'}")
