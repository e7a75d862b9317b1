"""The one training loop: every method of both stages runs through :class:`Loop`.

A method brings a model and an :class:`Objective`; the loop owns the step: its window of
micro-batches, precision, the guard against non-finite gradients, clipping, schedule, stop signal,
logging and checkpoints. Nothing is read from the device between two log points.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from pretrain.engine import checkpoint as checkpoints
from pretrain.engine.backends import wrap
from pretrain.engine.checkpoint import Checkpoint, CheckpointConfig
from pretrain.engine.config import operational
from pretrain.engine.optim import OptimConfig, Schedule, WeightAverage
from pretrain.engine.progress import Progress
from pretrain.engine.runtime import Runtime
from pretrain.engine.signals import StopSignal
from pretrain.engine.tracking import Tracker, say
from pretrain.errors import UserError


class NonFiniteError(UserError):
    """Too many steps in a row had gradients that are not numbers."""

    everywhere = True


class BadImagesError(UserError):
    """More images are unreadable than the run may replace."""

    everywhere = True


#: The share of bad images is taken of at least so many: two of the first twenty say little.
_BAD_AMONG = 1000


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """Length and size of the steps.

    Attributes:
        epochs: passes over the data.
        global_batch_size: images an optimiser step, over all processes and micro-batches.
        micro_batch_size: images a process takes at once; null takes its whole share of a step.
        max_skipped_in_a_row: steps with non-finite gradients in a row after which the run stops.
    """

    epochs: float = 50.0
    global_batch_size: int = 512
    micro_batch_size: int | None = operational(None)
    max_skipped_in_a_row: int = operational(20)

    def __post_init__(self) -> None:
        """Refuses lengths and sizes below one."""
        for name in ("epochs", "global_batch_size", "micro_batch_size", "max_skipped_in_a_row"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} {value}, expected > 0")

    def micro_batches(self, world_size: int) -> int:
        """Micro-batches a step and process.

        Raises:
            UserError: the processes or the micro-batches do not divide the step.
        """
        share, rest = divmod(self.global_batch_size, world_size)
        if rest:
            raise UserError(
                f"training.global_batch_size {self.global_batch_size} is not divisible by"
                f" {world_size} processes"
            )
        size = self.micro_batch_size or share
        if share % size:
            raise UserError(
                f"training.micro_batch_size {size} does not divide the {share} images of a process"
                f" (global_batch_size {self.global_batch_size} / {world_size} processes)"
            )
        return share // size


class Batch(Protocol):
    """What the loop needs to know of a micro-batch."""

    bad: list[tuple[str, str]]

    def to(self, device: torch.device) -> Self:
        """The batch on a device."""


class Objective(Protocol):
    """What one step computes: per task a sum of losses and a count of valid entries.

    The loss of a task is its sum over the whole step, divided by its count over the whole step: an
    update does not depend on how the step was split over processes and micro-batches.
    """

    @property
    def tasks(self) -> Sequence[str]:
        """Names of the tasks, in the order of the tensors below."""

    @property
    def turns(self) -> Sequence[str]:
        """Parts of the model that learn one after the other in every step.

        How the names of their parameters begin; one empty beginning: all learn at once. Turns see
        the same data and start from the same random numbers. A turn that is not finite is left out
        alone; its step counts as skipped.
        """

    def counts(self, batch: Any) -> Tensor:
        """Valid entries of each task, [tasks], from the labels alone."""

    def sums(self, model: nn.Module, batch: Any, turn: str) -> Tensor:
        """Weighted sum of the losses over the valid entries of each task, [tasks], float32."""


class Loop:
    """Trains a model to the end of its schedule, or to a stop signal.

    Args:
        runtime: the processes.
        model: on the device, as the method built it; wrapped here.
        optimizer: fused AdamW over the model's parameters; wrapped here.
        objective: what a step computes.
        schedule: the learning rate of every step.
        training: sizes and limits.
        saving: when to save.
        log_every_steps: steps between log points.
        steps_per_epoch: for the epoch in the log.
        folder: the run's folder.
        seed: the run's seed.
        optim: its clipping and weight average (the optimiser itself is given).
        defining: fields that define the run, kept in its checkpoints.
        images: images in the source.
        images_per_sample: images in a sample, on average: frames of a clip, or 1.
        max_bad_share: share of them that may be unreadable, 0 to 1.
    """

    def __init__(
        self,
        *,
        runtime: Runtime,
        model: nn.Module,
        optimizer: torch.optim.AdamW,
        objective: Objective,
        schedule: Schedule,
        training: LoopConfig,
        saving: CheckpointConfig,
        log_every_steps: int,
        steps_per_epoch: int,
        folder: Path,
        seed: int,
        optim: OptimConfig,
        defining: dict[str, Any],
        images: int,
        max_bad_share: float,
        images_per_sample: float = 1,
    ) -> None:
        self.runtime, self.objective, self.schedule = runtime, objective, schedule
        self.training, self.saving, self.folder, self.seed = training, saving, folder, seed
        self.log_every_steps, self.steps_per_epoch = log_every_steps, steps_per_epoch
        self.defining, self.images, self.max_bad_share = defining, images, max_bad_share
        self._images_a_step = max(1, round(training.global_batch_size * images_per_sample))
        self.module = model
        if runtime.config.compile:
            model.compile(fullgraph=True, dynamic=False)
        self.backend = wrap(runtime, model, optimizer, optim.clip_norm)
        self._waiting = {
            turn: [p for name, p in model.named_parameters() if not name.startswith(turn)]
            for turn in objective.turns
        }
        self.average = WeightAverage(model, optim.ema_decay) if optim.ema_decay else None
        self.progress = Progress.new(len(objective.tasks), runtime.device)

    def run(
        self,
        windows: Iterator[Sequence[Batch]],
        tracker: Tracker | None,
        hooks: Sequence[tuple[int, Callable[[int], object]]] = (),
        stop: StopSignal | None = None,
    ) -> bool:
        """Runs from the current step to the last.

        Args:
            windows: the micro-batches of each step, from the current one on.
            tracker: on the main process.
            hooks: pairs (every n steps, function of the steps done).
            stop: remembers a signal, which may have come before the first step; None: no signal.

        Returns:
            True at the end of the schedule; False after a stop signal, its state saved.

        Raises:
            NonFiniteError: too many skipped steps in a row.
            BadImagesError: too many of the images cannot be read.
            CheckpointError: a save failed.
        """
        progress, runtime = self.progress, self.runtime
        self._saved_at = self._logged_at = time.monotonic()
        self._waited = 0.0
        self._logged_here = progress.step
        while progress.step < self.schedule.steps:
            asked = time.monotonic()
            window = next(windows)
            self._waited += time.monotonic() - asked
            self._note_bad_images(window)
            self.update([batch.to(runtime.device) for batch in window])
            progress.step += 1
            if tracker:
                tracker.advance()
            last = progress.step == self.schedule.steps
            if last or progress.step % self.log_every_steps == 0:
                self._log(tracker)
                self._refuse_bad_images()
            for every, hook in hooks:
                if progress.step % every == 0:
                    began = time.monotonic()
                    hook(progress.step)
                    self._logged_at += time.monotonic() - began  # no part of images/s
            stopped = stop is not None and stop.received is not None
            stopping, timed = runtime.agree([stopped, self._save_is_due()])
            every_steps = self.saving.every_steps
            if stopping or timed or last or (every_steps and progress.step % every_steps == 0):
                self.save()
            if stopping and not last:
                return False
        return True

    def save(self) -> None:
        """Commits a checkpoint; every process takes part, the main one writes."""
        progress, scaler = self.progress, self.runtime.accelerator.scaler
        self._share_bad_images()
        state = {
            "defining": self.defining,
            "progress": progress.to_json(self.runtime.total),
            "bad": progress.bad,
            "scaler": scaler.state_dict() if scaler else None,
        }
        tensors = {
            "model": self.backend.weights(),
            "optimizer": self.backend.optimizer_tensors(),
        }
        with self.runtime.main_first_error():
            if self.runtime.is_main:
                if self.average:
                    tensors["average"] = self.average.weights
                folder = self.folder / "checkpoints"
                checkpoints.save(folder, progress.step, tensors, state, self.saving.keep)
        self._saved_at = time.monotonic()

    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes on from a checkpoint."""
        self.backend.load(checkpoint.tensors["model"], checkpoint.tensors["optimizer"])
        if self.average:
            self.average.load(checkpoint.tensors["average"])
        if scaler := self.runtime.accelerator.scaler:
            scaler.load_state_dict(checkpoint.state["scaler"])
        self.progress.restore(checkpoint.state["progress"], self.runtime.is_main)
        self.progress.bad = dict(checkpoint.state["bad"])

    def update(self, window: Sequence[Batch]) -> None:
        """One step over a window of micro-batches on the device."""
        progress, runtime = self.progress, self.runtime
        counts = torch.stack([self.objective.counts(batch) for batch in window]).sum(0)
        counts = runtime.total(counts.to(runtime.device))
        # Backward divides by the micro-batches and DDP averages over processes; both are undone, so
        # that what is left is the sum over the step divided by its count.
        share = torch.where(counts > 0, 1 / counts.clamp(min=1), 0.0)
        losses = torch.zeros_like(progress.loss_sums)
        buffers = [(buffer, buffer.clone()) for buffer in self.module.buffers()]
        self.backend.set_lr(self.schedule.lr(progress.step))
        whole_norm = skip = torch.zeros((), device=runtime.device)
        for turn in self.objective.turns:
            runtime.seed_step(self.seed, progress.step)
            for place, batch in enumerate(window, start=1):
                with self.backend.micro_batch(last=place == len(window)):
                    sums = self.objective.sums(self.backend.model, batch, turn) * share
                    self.backend.backward(sums.sum() * runtime.world_size * len(window))
                losses += sums.detach()
            for parameter in self._waiting[turn]:
                parameter.grad = None
            norm, skipped = self.backend.step()
            whole_norm, skip = torch.hypot(whole_norm, norm), torch.maximum(skip, skipped)
        good = skip == 0
        for buffer, before in buffers:  # a step that is skipped leaves no trace in batch norms
            buffer.copy_(torch.where(good, buffer, before))
        if self.average:
            self.average.update(progress.step, skip)
        progress.loss_sums += torch.where(good, losses, 0.0)
        progress.norm_sum += torch.where(good, whole_norm, 0.0)
        progress.skipped += skip
        progress.skipped_since += skip
        progress.streak.add_(skip).mul_(skip)
        torch.maximum(progress.longest, progress.streak, out=progress.longest)

    def _save_is_due(self) -> bool:
        """By the main process's clock; the others learn it from the agreement."""
        minutes = self.saving.every_minutes
        waited = time.monotonic() - self._saved_at
        return self.runtime.is_main and minutes is not None and waited >= 60 * minutes

    def _log(self, tracker: Tracker | None) -> None:
        """Reads the device: mean losses since the last log point, rates, skipped steps."""
        progress = self.progress
        steps = progress.step - progress.logged_step
        sums = self.runtime.total(progress.loss_sums).tolist()
        skipped, norm = progress.skipped_since.item(), progress.norm_sum.item()
        good = steps - skipped
        now = time.monotonic()
        with self.runtime.main_first_error():
            if tracker:
                self._record(tracker, [*sums, norm], good, now - self._logged_at)
        limit = self.training.max_skipped_in_a_row
        if progress.step == self.schedule.steps:  # a shorter run must not end well on no good step
            limit = min(limit, progress.step)
        if progress.longest.item() >= limit:
            raise NonFiniteError(
                f"step {progress.step}: {int(progress.longest.item())} steps in a row had"
                f" non-finite gradients, expected fewer than {limit}"
                " (training.max_skipped_in_a_row); try a lower optim.base_lr or clip_norm"
            )
        for tensor in (progress.loss_sums, progress.norm_sum, progress.skipped_since):
            tensor.zero_()
        progress.longest.copy_(progress.streak)
        progress.logged_step = self._logged_here = progress.step
        self._logged_at, self._waited = now, 0.0

    def _record(self, tracker: Tracker, sums: list[float], good: float, seconds: float) -> None:
        """A log point: means of what was summed over the good steps (losses, norm), and rates."""
        progress = self.progress
        *means, norm = [value / good if good else float("nan") for value in sums]
        steps_here = progress.step - self._logged_here
        values = {
            "step": progress.step,
            "epoch": progress.step / self.steps_per_epoch,
            "loss": sum(means),
            "lr": self.schedule.lr(progress.step - 1),
            "grad_norm": norm,
            "skipped": int(progress.skipped.item()),
            "images_per_second": steps_here * self._images_a_step / seconds,
            "waiting": self._waited / seconds,
        }
        if len(means) > 1:
            values |= dict(zip(self.objective.tasks, means, strict=True))
        tracker.record(values, (self.schedule.steps - progress.step) * seconds / steps_here)

    def _note_bad_images(self, window: Sequence[Batch]) -> None:
        for batch in window:
            for name, reason in batch.bad:
                if name not in self.progress.bad:
                    self.progress.bad[name] = reason
                    say(f"bad image {name}: {reason}; another one takes its place, or none")

    def _share_bad_images(self) -> None:
        """Every process learns which images any of them could not read."""
        bad = self.progress.bad
        self.progress.bad = dict(self.runtime.collect(list(bad.items())))

    def _refuse_bad_images(self) -> None:
        """Ends all processes alike when too many of the images seen so far are bad."""
        # Two processes may have met the same ones: their sum is an upper bound, and the names are
        # exchanged only where it exceeds the limit.
        here = torch.tensor(len(self.progress.bad), device=self.runtime.device)
        if not self._too_many_bad(int(self.runtime.total(here).item())):
            return
        self._share_bad_images()
        bad = self.progress.bad
        if self._too_many_bad(len(bad)):
            seen = self._images_seen(len(bad))
            first = ", ".join(f"{name} ({reason})" for name, reason in list(bad.items())[:5])
            raise BadImagesError(
                f"{len(bad)} of {seen} images seen are bad ({100 * len(bad) / seen:.1f} %),"
                f" expected at most {100 * self.max_bad_share:g} % (data.max_bad_share):"
                f" {first}{', ...' if len(bad) > 5 else ''}"
            )

    def _too_many_bad(self, bad: int) -> bool:
        among = min(self.images, max(self._images_seen(bad), _BAD_AMONG))
        return bad > self.max_bad_share * among

    def _images_seen(self, bad: int) -> int:
        """At least the bad ones: neighbours tried in their place belong to no step."""
        return min(self.images, max(self.progress.step * self._images_a_step, bad))
