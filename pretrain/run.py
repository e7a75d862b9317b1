"""One run of either stage, from its config to what it hands on.

A stage derives from :class:`Run` and brings its own parts (images, model, objective, what it looks
at on the way, what it hands on); the order in which they are put together, refused, stopped and
resumed is here, once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from pretrain.data.config import AugmentedConfig
from pretrain.data.loader import AugmentedImages, naming_lost_workers, windows
from pretrain.data.order import StepOrder, fingerprint
from pretrain.engine import run_folder
from pretrain.engine.checkpoint import Checkpoint, CheckpointConfig, read
from pretrain.engine.config import default_fields, defining_fields, dump_config, operational
from pretrain.engine.launcher import processes
from pretrain.engine.launching import RuntimeConfig
from pretrain.engine.loop import Loop, LoopConfig, Objective
from pretrain.engine.optim import OptimConfig, Schedule, build_schedule
from pretrain.engine.pictures import image_grid, pictures_of, plot_curves
from pretrain.engine.runtime import Runtime
from pretrain.engine.signals import Interrupted, StopSignal
from pretrain.engine.tracking import LogConfig, Tracker, read_metrics, say
from pretrain.errors import UserError
from pretrain.files import write_text


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What every run is given.

    Attributes:
        seed: of everything random.
        output_dir: the run's folder.
        resume: null starts a run; auto goes on from its newest checkpoint, or starts; or the path
            of a checkpoint.
        training: length and size of the steps.
        optim: AdamW and its schedule.
        runtime: precision, processes, threads.
        checkpoint: when the state is saved.
        log: what is written.
    """

    seed: int = 0
    output_dir: str = operational("runs")
    resume: str | None = operational(None)
    training: LoopConfig = field(default_factory=LoopConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    checkpoint: CheckpointConfig = field(
        default_factory=CheckpointConfig, metadata={"operational": True}
    )
    log: LogConfig = field(default_factory=LogConfig, metadata={"operational": True})

    def __post_init__(self) -> None:
        """Refuses a seed that torch cannot take, and no folder."""
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed {self.seed}, expected at least 0 and below 2**63")
        if not self.output_dir:
            raise ValueError("output_dir '', expected a folder")


Config = TypeVar("Config", bound=RunConfig)
Look = Callable[[nn.Module, int], object]


class Run(Generic[Config]):
    """The parts of one run, put together in the order in which they can be refused.

    Args:
        config: of the stage.
        data: what of it is about images.
        runtime: the processes.
        micro_batches: a step and process.
        stop: the stop signal.
    """

    def __init__(
        self,
        config: Config,
        data: AugmentedConfig,
        runtime: Runtime,
        micro_batches: int,
        stop: StopSignal,
    ) -> None:
        self.started, self.stop = time.monotonic(), stop
        self.config, self.data, self.runtime = config, data, runtime
        self.micro_batches = micro_batches
        self.folder = Path(os.path.expanduser(config.output_dir))
        with runtime.shared_errors():
            self.dataset = self.open_images()
            self.order = StepOrder(
                config.seed,
                self.dataset.ids,
                config.training.global_batch_size,
                self.dataset.source.partial,
            )
            self.schedule = self._schedule()
            self.defining = self.defining_fields() | {
                "images": fingerprint(self.dataset.ids) + "-cut" * self.dataset.source.cut
            }
        runtime.refuse_differences(self.defining | self._deciding())
        checkpoint = self._claim_folder()
        torch.manual_seed(config.seed)
        self.model = self.build_model(fresh=checkpoint is None).to(runtime.device)
        self.loop = Loop(
            runtime=runtime,
            model=self.model,
            optimizer=self.build_optimizer(),
            objective=self.objective(),
            schedule=self.schedule,
            training=config.training,
            saving=config.checkpoint,
            log_every_steps=config.log.every_steps,
            steps_per_epoch=self.order.steps_per_epoch,
            folder=self.folder,
            seed=config.seed,
            optim=config.optim,
            defining=self.defining,
            images=round(len(self.dataset) * self.dataset.images_per_sample),
            max_bad_share=data.max_bad_share,
            images_per_sample=self.dataset.images_per_sample,
        )
        if checkpoint:
            self.loop.restore(checkpoint)
        self.first_step = self.loop.progress.step

    # What a stage brings.

    def open_images(self) -> AugmentedImages[Any]:
        """The images to train on; the first thing that is opened."""
        raise NotImplementedError

    def build_model(self, fresh: bool) -> nn.Module:
        """The model that the loop trains.

        Args:
            fresh: whether the run starts here; otherwise a checkpoint fills it.
        """
        raise NotImplementedError

    def build_optimizer(self) -> torch.optim.AdamW:
        """AdamW over :attr:`model`."""
        raise NotImplementedError

    def objective(self) -> Objective:
        """What a step computes."""
        raise NotImplementedError

    def empty_model(self) -> nn.Module:
        """A model of the same form, for weights that are gathered from all processes."""
        raise NotImplementedError

    def defining_fields(self) -> dict[str, Any]:
        """What makes the run this one; a resume compares it."""
        return defining_fields(self.config)

    def facts(self) -> dict[str, Any]:
        """What else is said and recorded of the run at its start."""
        return {}

    def prepare(self) -> None:
        """What the main process does before the first step, the folder being the run's."""

    def looks(self) -> Sequence[tuple[float | None, Look]]:
        """What is made of the model on the way by the main process: every how many epochs."""
        return ()

    def hand_on(self, model: nn.Module) -> None:
        """Writes the result, on the main process."""
        raise NotImplementedError

    # What is the same for all.

    def to_the_end(self) -> bool:
        """Trains and hands on the result; False after a stop signal."""
        workers = self.workers()
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
            timeout_seconds=self.data.worker_timeout_seconds,
            pin_memory=self.runtime.device.type == "cuda",
        )
        hooks = self._hooks()
        try:
            if self.first_step:  # the signal that ended the run may have cut a look short
                for every, hook in hooks:
                    if self.first_step % every == 0:
                        hook(self.first_step)
            with naming_lost_workers():
                complete = self.loop.run(batches, tracker, hooks, self.stop)
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

    def draw_samples(self, count: int) -> None:
        """The first images of the first step, as the model gets them: ``pictures/samples.png``."""
        epoch, indices = self.order.samples(0)
        images = self.dataset[epoch, indices[:count]].images
        image_grid({"": pictures_of(images)}, self.folder / "pictures" / "samples.png", groups=8)

    def draw_curves(self, title: str) -> None:
        """Loss and learning rate up to now: ``pictures/curves.png``."""
        plot_curves(read_metrics(self.folder), self.folder / "pictures" / "curves.png", title)

    def unless_stopped(self, work: Callable[[], object]) -> bool:
        """Whether the work was done, and not cut short by a stop signal."""
        try:
            with self.stop.interrupts():
                work()
        except Interrupted:
            say("cut short by the stop signal")
            return False
        return True

    def _schedule(self) -> Schedule:
        training = self.config.training
        if not self.order.steps_per_epoch:
            raise UserError(
                f"{self.dataset.described}: {len(self.dataset)} images, expected at least one step"
                f" of {training.global_batch_size} (training.global_batch_size)"
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

    def _deciding(self) -> dict[str, Any]:
        """What may change on a resume, but decides when processes wait for each other."""
        config = self.config
        return {
            "steps": self.schedule.steps,
            "resume": config.resume,
            "runtime.distributed": self.runtime.distributed,
            "training.micro_batch_size": config.training.micro_batch_size,
            "training.max_skipped_in_a_row": config.training.max_skipped_in_a_row,
            "data.max_bad_share": self.data.max_bad_share,
            "checkpoint.every_steps": config.checkpoint.every_steps,
            "log.every_steps": config.log.every_steps,
            "steps between looks": [every for every, _ in self._hooks()],
        }

    def _claim_folder(self) -> Checkpoint | None:
        """The main process chooses where to start; all read the same checkpoint."""
        checkpoint: Checkpoint | None = None
        with self.runtime.main_first_error():
            if self.runtime.is_main:
                checkpoint, notes = run_folder.claim(
                    self.folder, self.config.resume, self.defining, default_fields(self.config)
                )
                for note in notes:
                    say(note)
        path = self.runtime.decide(checkpoint.path if checkpoint else None)
        with self.runtime.shared_errors():  # a folder that the other nodes do not see
            return read(path) if path and not checkpoint else checkpoint

    def workers(self) -> int:
        """Loader processes of this one."""
        if self.data.workers is not None:
            return self.data.workers
        return self.runtime.spare_workers()

    def _announce(self, workers: int) -> Tracker:
        """Says and records what is about to run, and shows what goes in."""
        facts = self.runtime.describe() | {
            "images": len(self.dataset),
            **self.facts(),
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
        self.prepare()
        return tracker

    def _hooks(self) -> list[tuple[int, Callable[[int], object]]]:
        return [
            (max(1, round(epochs * self.order.steps_per_epoch)), partial(self._look, look))
            for epochs, look in self.looks()
            if epochs
        ]

    def _look(self, look: Look, step: int) -> None:
        """What the main process makes of the model on the way; the others wait for it."""
        if step == self.schedule.steps:  # the end looks at what is handed on, averaged or not
            return
        model = self._whole_model()
        with self.runtime.main_first_error():
            if self.runtime.is_main:
                self.unless_stopped(lambda: look(model, step))

    def _whole_model(self) -> nn.Module:
        """The model with all of its weights on the main process; every process takes part."""
        if not self.loop.backend.splits_weights:
            return self.model
        weights = self.loop.backend.weights()
        whole = self.empty_model()
        if self.runtime.is_main:
            whole.load_state_dict(weights)
        return whole.to(self.runtime.device)

    def _finish(self, model: nn.Module) -> bool:
        """Hands on the result; every process learns whether it came to that."""
        done = True
        with self.runtime.main_first_error():
            if self.runtime.is_main:
                if self.loop.average:
                    self.loop.average.copy_to(model)
                done = self.unless_stopped(lambda: self.hand_on(model))
        return self.runtime.decide(done)

    def _take_leave(self, complete: bool) -> None:
        """Says and records how the run ended."""
        progress = self.loop.progress
        if not complete:
            say(f"stopped at step {progress.step}, saved; go on with --resume auto")
        if skipped := int(progress.skipped.item()):
            say(f"{skipped} of {progress.step} steps were skipped: non-finite gradients")
        if progress.bad:
            say(f"{len(progress.bad)} bad image(s) were left out; run.json names them")
        ending: Mapping[str, Any] = {
            "complete": complete,
            "step": progress.step,
            "seconds": round(time.monotonic() - self.started, 1),
            "skipped_steps": skipped,
            "bad_images": progress.bad,
        }
        run_folder.record_end(self.folder, ending)


def train(config: RunConfig, make: Callable[[Runtime, int, StopSignal], Run[Any]]) -> bool:
    """Starts the processes' part of a run, and carries it to its end.

    Args:
        config: of the run.
        make: puts it together, given processes, micro-batches and the stop signal.

    Returns:
        True when the run is complete, False after a stop signal (its state is saved).

    Raises:
        UserError: something the user can mend; its message is one line.
    """
    micro_batches = config.training.micro_batches(processes())
    with StopSignal() as stop:
        runtime = Runtime(
            config.runtime, micro_batches, averaged=config.optim.ema_decay is not None
        )
        try:
            return make(runtime, micro_batches, stop).to_the_end()
        finally:
            runtime.close()
