"""Stage one: builds the masked autoencoder, its data and its objective for the loop."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pretrain.data.config import DataConfig
from pretrain.data.loader import Batch, MaskedImages, windows
from pretrain.data.opening import open_source
from pretrain.data.order import StepOrder, fingerprint
from pretrain.data.sources import Source
from pretrain.engine import run_folder
from pretrain.engine.checkpoint import Checkpoint, CheckpointConfig, read
from pretrain.engine.config import defining_fields, dump_config, operational
from pretrain.engine.cores import usable_cores
from pretrain.engine.launching import RuntimeConfig
from pretrain.engine.loop import Loop, LoopConfig
from pretrain.engine.optim import OptimConfig, Schedule, build_optimizer, build_schedule
from pretrain.engine.runtime import Runtime
from pretrain.engine.signals import Interrupted, StopSignal
from pretrain.engine.tracking import LogConfig, Tracker, say
from pretrain.errors import UserError
from pretrain.files import write_text
from pretrain.load import init_from
from pretrain.models.mae import MAEConfig, MaskedAutoencoder
from pretrain.probing.config import RunProbeConfig
from pretrain.results import draw_curves, draw_reconstructions, draw_samples, hand_on

if TYPE_CHECKING:
    from pretrain.probing.during import RunProbe


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
        probe: linear probes of the encoder on labelled images.
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
    probe: RunProbeConfig = field(default_factory=RunProbeConfig, metadata={"operational": True})
    training: LoopConfig = field(default_factory=LoopConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    checkpoint: CheckpointConfig = field(
        default_factory=CheckpointConfig, metadata={"operational": True}
    )
    log: LogConfig = field(default_factory=LogConfig, metadata={"operational": True})

    def __post_init__(self) -> None:
        """Refuses a seed that torch cannot take, no folder and an empty grid."""
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed {self.seed}, expected at least 0 and below 2**63")
        if not self.output_dir:
            raise ValueError("output_dir '', expected a folder")
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
    micro_batches = config.training.micro_batches(int(os.environ.get("WORLD_SIZE", 1)))
    with StopSignal() as stop:
        runtime = Runtime(
            config.runtime, micro_batches, averaged=config.optim.ema_decay is not None
        )
        try:
            return _Run(config, runtime, micro_batches, stop).to_the_end()
        finally:
            runtime.close()


class _Run:
    """The parts of one run of stage one, put together in the order in which they can be refused."""

    def __init__(
        self, config: PretrainConfig, runtime: Runtime, micro_batches: int, stop: StopSignal
    ) -> None:
        self.started, self.stop = time.monotonic(), stop
        self.config, self.runtime, self.micro_batches = config, runtime, micro_batches
        self.folder = Path(os.path.expanduser(config.output_dir))
        source, self.probe = open_images(config)
        self.dataset = MaskedImages(
            source,
            seed=config.seed,
            image_size=config.model.image_size,
            num_patches=config.model.encoder_shape.num_patches,
            augmentation=config.data.augmentation,
        )
        self.order = StepOrder(
            config.seed, self.dataset.ids, config.training.global_batch_size, source.partial
        )
        self.schedule = self._schedule()
        self.defining = self._defining()
        checkpoint = self._claim_folder()
        self.model = self._model(fresh=checkpoint is None)
        self.loop = Loop(
            runtime=runtime,
            model=self.model,
            optimizer=build_optimizer(self.model, config.optim),
            objective=MaskedReconstruction(config.model, self.model.visible),
            schedule=self.schedule,
            training=config.training,
            saving=config.checkpoint,
            log_every_steps=config.log.every_steps,
            steps_per_epoch=self.order.steps_per_epoch,
            folder=self.folder,
            seed=config.seed,
            optim=config.optim,
            defining=self.defining,
            images=len(self.dataset),
            max_bad_share=config.data.max_bad_share,
        )
        if checkpoint:
            self.loop.restore(checkpoint)
        self.first_step = self.loop.progress.step

    def to_the_end(self) -> bool:
        """Trains and hands on the result; False after a stop signal."""
        workers = self._workers()
        tracker = None
        with self.runtime.main_first_error():
            if self.runtime.is_main:
                tracker = self._announce(workers)
        batches = windows(
            self.dataset,
            self.order,
            rank=self.runtime.rank,
            world_size=self.runtime.world_size,
            micro_batches=self.micro_batches,
            steps=range(self.first_step, self.schedule.steps),
            workers=workers,
            timeout_seconds=self.config.data.worker_timeout_seconds,
            pin_memory=self.runtime.device.type == "cuda",
        )
        try:
            complete = self.loop.run(batches, tracker, self._hooks(), self.stop)
        finally:
            batches.close()  # an error must not wait for the loader's workers
            if tracker:
                tracker.close()
        if complete:
            complete = self._finish(self._whole_model())
        with self.runtime.main_first_error():
            if self.runtime.is_main:
                self._take_leave(complete)
        return complete

    def _schedule(self) -> Schedule:
        training = self.config.training
        if not self.order.steps_per_epoch:
            raise UserError(
                f"data.source {self.config.data.source}: {len(self.dataset)} images, expected at"
                f" least one step of {training.global_batch_size} (training.global_batch_size)"
            )
        try:
            return build_schedule(
                self.config.optim,
                global_batch_size=training.global_batch_size,
                steps_per_epoch=self.order.steps_per_epoch,
                epochs=training.epochs,
            )
        except ValueError as error:
            raise UserError(str(error)) from None

    def _defining(self) -> dict[str, Any]:
        """Config fields and the images themselves, without the sections of unused sources."""
        fields = {
            key: value
            for key, value in defining_fields(self.config).items()
            if not key.startswith(("data.synthetic.", "data.non_faces."))
            or self.config.data.uses(key.split(".")[1])
        }
        weights = list(self.config.data.mixture.values())
        return (
            fields
            | {"images": fingerprint(self.dataset.ids) + "-cut" * self.dataset.source.cut}
            | ({"mixture": weights} if weights else {})
        )

    def _claim_folder(self) -> Checkpoint | None:
        """The main process chooses where to start; all read the same checkpoint."""
        checkpoint: Checkpoint | None = None
        with self.runtime.main_first_error():
            if self.runtime.is_main:
                checkpoint, notes = run_folder.claim(self.folder, self.config.resume, self.defining)
                for note in notes:
                    say(note)
        path = self.runtime.decide(checkpoint.path if checkpoint else None)
        return read(path) if path and not checkpoint else checkpoint

    def _model(self, fresh: bool) -> MaskedAutoencoder:
        torch.manual_seed(self.config.seed)
        model = MaskedAutoencoder(self.config.model)
        if fresh and self.config.init_from:
            report = init_from(model, self.config.init_from)
            if self.runtime.is_main:
                say(f"init_from {self.config.init_from}: {report}")
        return model.to(self.runtime.device)

    def _workers(self) -> int:
        """On a GPU the cores that are left; on a CPU one, since the model needs them too."""
        if self.config.data.workers is not None:
            return self.config.data.workers
        if self.runtime.device.type == "cpu":
            return 1
        local = int(os.environ.get("LOCAL_WORLD_SIZE", self.runtime.world_size))
        return min(8, max(1, usable_cores() // local - 1))

    def _announce(self, workers: int) -> Tracker:
        """Says and records what is about to run, and shows what goes in."""
        facts = self.runtime.describe() | {
            "images": len(self.dataset),
            "source": self.config.data.source,
            "global_batch_size": self.config.training.global_batch_size,
            "micro_batches": self.micro_batches,
            "workers": workers,
            "steps_per_epoch": self.order.steps_per_epoch,
            "steps": self.schedule.steps,
            "warmup_steps": self.schedule.warmup_steps,
            "peak_lr": self.schedule.peak_lr,
            "seed": self.config.seed,
            "first_step": self.first_step,
        }
        settings, names = defining_fields(self.config), self.config.log.trackers
        tracker = Tracker(self.folder, names, self.first_step, self.schedule.steps, settings)
        # From here on the folder holds a run: everything that can be refused has been built.
        write_text(self.folder / "config.yaml", dump_config(self.config))
        run_folder.record_start(self.folder, facts | {"defining": self.defining})
        resumed = f", resumed at step {self.first_step}" if self.first_step else ""
        say(f"run folder {self.folder}{resumed}")
        say("  ".join(f"{key} {value}" for key, value in facts.items()))
        draw_samples(self.dataset, self.order, 2 * self.config.pictures, self.folder)
        if self.probe:
            self.probe.start(self.folder, self.first_step, self.config.model.image_size)
            say(f"probe: {self.probe.remark}")
        return tracker

    def _hooks(self) -> list[tuple[int, Callable[[int], object]]]:
        wanted = (
            (self.config.log.pictures_every_epochs, self._draw),
            (self.config.probe.every_epochs if self.probe else None, self._probe),
        )
        return [
            (max(1, round(epochs * self.order.steps_per_epoch)), partial(self._look, look))
            for epochs, look in wanted
            if epochs
        ]

    def _look(self, look: Callable[[MaskedAutoencoder, int], object], step: int) -> None:
        """What the main process makes of the model on the way; the others wait for it."""
        if step == self.schedule.steps:  # the end looks at what is handed on, averaged or not
            return
        model = self._whole_model()
        with self.runtime.main_first_error():
            if self.runtime.is_main:
                self._unless_stopped(lambda: look(model, step))

    def _unless_stopped(self, work: Callable[[], object]) -> bool:
        """Whether the work was done, and not cut short by a stop signal."""
        try:
            with self.stop.interrupts():
                work()
        except Interrupted:
            say("cut short by the stop signal")
            return False
        return True

    def _whole_model(self) -> MaskedAutoencoder:
        """The model with all of its weights on the main process; every process takes part."""
        if not self.loop.backend.splits_weights:
            return self.model
        weights = self.loop.backend.weights()
        whole = MaskedAutoencoder(self.config.model)
        if self.runtime.is_main:
            whole.load_state_dict(weights)
        return whole.to(self.runtime.device)

    def _probe(self, model: MaskedAutoencoder, step: int) -> str:
        """The table of what the encoder's features know at this step."""
        assert self.probe
        model.eval()
        try:
            epoch = step / self.order.steps_per_epoch
            return self.probe(model.encoder, step, epoch, self.runtime.device)
        finally:
            model.train()

    def _draw(self, model: MaskedAutoencoder, step: int) -> Path:
        """Pictures of the run as it stands."""
        size, source = self.config.model.size, self.config.data.source
        drawn = " (drawn images)" if source in ("synthetic", "non_faces") else ""
        draw_curves(self.folder, f"masked autoencoder, ViT-{size}{drawn}")
        examples = self.dataset.examples(min(self.config.pictures, len(self.dataset)))
        return draw_reconstructions(model, examples.to(self.runtime.device), step, self.folder)

    def _finish(self, model: MaskedAutoencoder) -> bool:
        """Hands on the result; every process learns whether it came to that."""
        done = True
        with self.runtime.main_first_error():
            if self.runtime.is_main:
                done = self._unless_stopped(lambda: self._hand_on(model))
        return self.runtime.decide(done)

    def _hand_on(self, model: MaskedAutoencoder) -> None:
        step = self.loop.progress.step
        hand_on(model, self.loop.average, self.folder)
        picture = self._draw(model, step)
        if self.probe:
            print(self._probe(model, step), end="\n\n")
        print(f"encoder         {self.folder / 'encoder'}")
        print(f"reconstruction  {picture}")
        if self.probe:
            print(f"probes          {picture.with_name('probe.png')}")

    def _take_leave(self, complete: bool) -> None:
        """Says and records how the run ended."""
        progress = self.loop.progress
        if not complete:
            say(f"stopped at step {progress.step}, saved; go on with --resume auto")
        if skipped := int(progress.skipped.item()):
            say(f"{skipped} of {progress.step} steps were skipped: non-finite gradients")
        if progress.bad:
            say(f"{len(progress.bad)} bad image(s) were replaced; run.json names them")
        ending = {
            "complete": complete,
            "step": progress.step,
            "seconds": round(time.monotonic() - self.started, 1),
            "skipped_steps": skipped,
            "bad_images": progress.bad,
        }
        run_folder.record_end(self.folder, ending)
