"""From a source to the micro-batches of one process, step by step, without end.

The loader is made for a first step and is not wrapped by Accelerate: which samples a process gets
is decided by :class:`pretrain.data.order.StepOrder` alone.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import re
import signal
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pretrain.data.images import BadImage, Pixels
from pretrain.data.order import Ids, StepOrder, sample_ids, uniform
from pretrain.data.sources import Source, SourceError
from pretrain.data.transforms import (
    CROP_DRAWS,
    AugmentationConfig,
    apply_crop,
    central_square,
    random_crop,
)
from pretrain.errors import UserError

#: Neighbours tried in place of a bad image before giving up.
MAX_REPLACEMENTS = 100

#: Rounding to float32 turns the highest draws into 1.0, which is outside of [0, 1).
_BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))

_STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1}

#: What torch says of a loader process that ended: its number, and how.
_LOST = re.compile(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\) ([^.]+)")

#: How long hung workers get to print where they are.
_STACKS_SECONDS = 1.0

MicroBatch = TypeVar("MicroBatch")

#: One micro-batch as the sampler names it: epoch and indices.
Request = tuple[int, NDArray[np.int64]]


class HungWorkersError(UserError):
    """The loader processes gave no batch in time."""


class LostWorkerError(UserError):
    """A loader process has ended by itself; most often the system's memory was at its end."""


@dataclass
class Batch:
    """A micro-batch.

    Attributes:
        images: [B, 3, H, W] uint8.
        noise: [B, N] float32 in [0, 1): decides the masks.
        bad: (name, reason) of images that were replaced by another one.
    """

    images: Tensor
    noise: Tensor
    bad: list[tuple[str, str]]

    def pin_memory(self) -> Batch:
        """Called by the data loader, so that copies to a GPU overlap with its work."""
        return Batch(self.images.pin_memory(), self.noise.pin_memory(), self.bad)

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        return Batch(
            self.images.to(device, non_blocking=True),
            self.noise.to(device, non_blocking=True),
            self.bad,
        )


class AugmentedImages(Dataset[MicroBatch], Generic[MicroBatch]):
    """Augmented images, a micro-batch at a time; what else a batch holds is its stage's.

    Args:
        source: the images.
        described: what they are, for errors.
        seed: the run's seed.
        image_size: pixels a side that the model takes.
        augmentation: crop and flip.
    """

    #: Images in a sample, on average.
    images_per_sample: float = 1

    def __init__(
        self,
        source: Source,
        *,
        described: str,
        seed: int,
        image_size: int,
        augmentation: AugmentationConfig,
    ) -> None:
        self.source, self.described, self.seed = source, described, seed
        self.image_size, self.augmentation = image_size, augmentation
        self.ids: Ids = sample_ids(source.names)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.ids)

    def __getitem__(self, request: Request) -> MicroBatch:
        """The micro-batch of an epoch and indices."""
        raise NotImplementedError

    def augmented(
        self, epoch: int, indices: NDArray[np.int64]
    ) -> tuple[Tensor, NDArray[np.int64], list[tuple[str, str]]]:
        """The images of an epoch and indices, cropped and flipped.

        A bad image is replaced by the next good one of the source. The replacement keeps the
        crop, flip and mask draws of the bad one, so that it is not twice the same sample.

        Returns:
            [B, 3, H, W] uint8; the indices [B] of what they show; (name, reason) of bad ones.
        """
        ids, bad = self.ids[indices], list[tuple[str, str]]()
        crops = uniform(seed=self.seed, epoch=epoch, ids=ids, purpose="crop", draws=CROP_DRAWS)
        images = torch.empty(len(indices), 3, self.image_size, self.image_size, dtype=torch.uint8)
        shown = np.empty(len(indices), np.int64)
        for row, (index, draws) in enumerate(zip(indices, crops, strict=True)):
            shown[row], pixels, aspect = self._good_image(int(index), bad)
            crop = random_crop(draws, aspect, self.augmentation)
            images[row] = apply_crop(pixels, crop, self.image_size)
        return images, shown, bad

    def squares(self, indices: NDArray[np.int64]) -> tuple[Tensor, list[tuple[str, str]]]:
        """Images as they are evaluated, uncropped: [B, 3, H, W] uint8; and bad ones."""
        bad = list[tuple[str, str]]()
        images = [self._good_image(int(index), bad) for index in indices]
        squares = [
            apply_crop(pixels, central_square(aspect), self.image_size)
            for _, pixels, aspect in images
        ]
        return torch.stack(squares), bad

    def noise(self, epoch: int, ids: Ids, purpose: str, draws: int, view: int = 0) -> Tensor:
        """Uniform numbers [B, draws], float32 in [0, 1), of samples in an epoch."""
        numbers = uniform(
            seed=self.seed, epoch=epoch, ids=ids, purpose=purpose, draws=draws, view=view
        )
        return torch.from_numpy(np.minimum(numbers.astype(np.float32), _BELOW_ONE))

    def _good_image(self, index: int, bad: list[tuple[str, str]]) -> tuple[int, Pixels, float]:
        """The index of the image or of the next good one, its pixels, the aspect of its crop."""
        tries = min(MAX_REPLACEMENTS, len(self))
        for offset in range(tries):
            try:
                at = (index + offset) % len(self)
                pixels = self.source.image(at)
                return at, pixels, self.source.aspect(at) or pixels.shape[1] / pixels.shape[0]
            except BadImage as error:
                bad.append((error.name, error.reason))
        raise SourceError(
            f"{bad[-1][0]}: {tries} images in a row cannot be read ({bad[-1][1]}),"
            " expected a good one"
        )


class MaskedImages(AugmentedImages[Batch]):
    """Augmented images with their mask noise.

    Args:
        source: the images.
        described: what they are, for errors.
        seed: the run's seed.
        image_size: pixels a side that the model takes.
        num_patches: noise values an image.
        augmentation: crop and flip.
    """

    def __init__(
        self,
        source: Source,
        *,
        described: str = "images",
        seed: int,
        image_size: int,
        num_patches: int,
        augmentation: AugmentationConfig,
    ) -> None:
        super().__init__(
            source,
            described=described,
            seed=seed,
            image_size=image_size,
            augmentation=augmentation,
        )
        self.num_patches = num_patches

    def __getitem__(self, request: Request) -> Batch:
        """The micro-batch of an epoch and indices."""
        epoch, indices = request
        images, _, bad = self.augmented(epoch, indices)
        return Batch(images, self.noise(epoch, self.ids[indices], "mask", self.num_patches), bad)

    def examples(self, count: int) -> Batch:
        """The same images in every run of a seed, uncropped, with one fixed mask each."""
        order = np.argsort(
            uniform(seed=self.seed, epoch=0, ids=self.ids, purpose="examples order", draws=1)[:, 0]
        )
        chosen = order[:count]
        images, bad = self.squares(chosen)
        noise = self.noise(0, self.ids[chosen], "examples", self.num_patches)
        return Batch(images, noise, bad)


class _Requests:
    """The micro-batches of one process from a step on, as the data loader's sampler."""

    def __init__(
        self, order: StepOrder, rank: int, world_size: int, micro_batches: int, steps: range
    ) -> None:
        self.order, self.rank, self.world_size = order, rank, world_size
        self.micro_batches, self.steps = micro_batches, steps

    def __iter__(self) -> Iterator[Request]:
        for step in self.steps:
            yield from self.order.share(step, self.rank, self.world_size, self.micro_batches)

    def __len__(self) -> int:
        return len(self.steps) * self.micro_batches


class _ErrorsAsItems(Dataset[Any]):
    """Returns what a user can mend instead of raising it.

    Raised in a worker, torch would put a traceback into its message, or another type in its place.
    """

    def __init__(self, dataset: Dataset[Any]) -> None:
        self.dataset = dataset

    def __getitem__(self, request: Any) -> Any:
        try:
            return self.dataset[request]
        except UserError as error:
            return error


def windows(
    dataset: AugmentedImages[MicroBatch],
    order: StepOrder,
    *,
    rank: int,
    world_size: int,
    micro_batches: int,
    steps: range,
    workers: int,
    pin_memory: bool,
    timeout_seconds: float = 600.0,
) -> Generator[list[MicroBatch], None, None]:
    """The window of each step: this process's micro-batches, in order.

    ``close()`` ends the worker processes at once.

    Args:
        dataset: the images.
        order: which samples a step takes.
        rank: this process.
        world_size: number of processes.
        micro_batches: micro-batches a step and process.
        steps: the steps to come, the first one possibly resumed.
        workers: loader processes; 0 loads in this one.
        pin_memory: for copies to a GPU.
        timeout_seconds: how long to wait for the loader processes.

    Raises:
        UserError: the source's, as it was raised, whichever process met it.
        HungWorkersError: they gave no batch in time.
        LostWorkerError: one of them has ended by itself.
    """
    items = loaded(
        dataset,
        _Requests(order, rank, world_size, micro_batches, steps),
        workers=workers,
        pin_memory=pin_memory,
        prefetch=max(2, 2 * micro_batches // workers) if workers else 2,
        timeout_seconds=timeout_seconds,
    )
    with closing(items):
        for _ in steps:
            yield [next(items) for _ in range(micro_batches)]


def loaded(
    dataset: Dataset[MicroBatch],
    requests: Any,
    *,
    workers: int,
    pin_memory: bool,
    timeout_seconds: float,
    prefetch: int = 2,
) -> Generator[MicroBatch, None, None]:
    """A whole micro-batch for each request, in order.

    ``close()`` ends the worker processes at once.

    Args:
        dataset: gives the micro-batch of a request.
        requests: a sequence or sampler of them.
        workers: loader processes; 0 loads in this one.
        pin_memory: for copies to a GPU.
        timeout_seconds: how long to wait for the loader processes.
        prefetch: micro-batches that a loader process is ahead.

    Raises:
        UserError: the dataset's, as it was raised, whichever process met it.
        HungWorkersError: they gave none in time.
        LostWorkerError: one of them has ended by itself.
    """
    loader: DataLoader[Any] = DataLoader(
        _ErrorsAsItems(dataset),
        sampler=requests,
        batch_size=None,  # a request is a whole micro-batch
        num_workers=workers,
        pin_memory=pin_memory,
        prefetch_factor=prefetch if workers else None,
        timeout=timeout_seconds if workers else 0,
        worker_init_fn=_prepare_worker,
    )
    # A worker inherits the mask with every thread it starts, before it can set one itself.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        batches = iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        for _ in requests:
            item = _next(batches, timeout_seconds)
            if isinstance(item, UserError):
                raise item
            yield item
    finally:
        del batches  # ends the workers now: an error's traceback keeps this frame, and them with it


def _next(
    batches: Iterator[MicroBatch | UserError], timeout_seconds: float
) -> MicroBatch | UserError:
    """The next micro-batch, or the error that it became, or that of workers that gave none."""
    try:
        return next(batches)
    except (ConnectionError, FileNotFoundError, EOFError):
        # One may have ended while it handed over a batch; torch says so when asked for another.
        try:
            next(batches)
        except RuntimeError as error:
            if lost := _lost_worker(error):
                return lost
        raise
    except RuntimeError as error:
        if lost := _lost_worker(error):
            return lost
        if not str(error).startswith("DataLoader timed out"):
            raise
    # Raised here, it would keep this frame, and with it the workers.
    return _hung(timeout_seconds)


@contextmanager
def naming_lost_workers() -> Iterator[None]:
    """Around what windows are used for: torch speaks of a lost process wherever the trainer is.

    Raises:
        LostWorkerError: in place of its error.
    """
    try:
        yield
    except RuntimeError as error:
        lost = _lost_worker(error)
        if lost is None:
            raise
        raise lost from None


def _lost_worker(error: RuntimeError) -> LostWorkerError | None:
    # Where the trainer waits for a batch, how it ended is known to the first error only.
    found = _LOST.match(str(error.__cause__)) or _LOST.match(str(error))
    if not found:
        return None
    return LostWorkerError(
        f"data worker (process {found[1]}) {found[2].strip()}; expected fewer data.workers, or more"
        " memory"
    )


def _hung(seconds: float) -> HungWorkersError:
    """Asks the loader processes for their stacks; what they wait for is then above the error."""
    workers = [child for child in multiprocessing.active_children() if child.pid is not None]
    for child in workers:
        os.kill(child.pid, signal.SIGUSR2)  # type: ignore[arg-type]
    time.sleep(_STACKS_SECONDS)
    pids = ", ".join(str(child.pid) for child in workers)
    return HungWorkersError(
        f"data workers (processes {pids}) gave no batch for {seconds:g} s"
        " (data.worker_timeout_seconds); the stacks above say where they wait; expected images that"
        " can be read"
    )


def _prepare_worker(worker: int) -> None:
    faulthandler.register(signal.SIGUSR2, file=2, all_threads=True)  # also while Python waits in C
    _leave_signals_to_the_trainer(worker)


def _leave_signals_to_the_trainer(_worker: int) -> None:
    """A scheduler signals every process; only the trainer may act, the workers must go on.

    They end when the trainer tells them to or has ended. SIGTERM is its last resort, so they obey
    it from the trainer: a worker that ignored it would keep a failed run from ever ending.
    """
    for name in _STOP_SIGNALS - {signal.SIGTERM}:
        signal.signal(name, signal.SIG_IGN)
    trainer = multiprocessing.parent_process()
    if trainer is not None and hasattr(signal, "sigtimedwait"):  # macOS has none
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with, args=(trainer,), daemon=True).start()
    else:  # the mask was inherited, and nobody would look
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _end_with(trainer: multiprocessing.process.BaseProcess) -> None:
    """Ends this process at the trainer's SIGTERM or end.

    A handler in Python is not told who sent a signal. Torch's own watch over the parent misses one
    that ends while the worker starts.
    """
    while trainer.is_alive():
        received = signal.sigtimedwait({signal.SIGTERM}, 1.0)
        if received is not None and received.si_pid == trainer.pid:
            break
    os._exit(0)
