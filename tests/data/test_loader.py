"""Windows of micro-batches: the same samples for any worker count, world size and resume point."""

import gc
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from pretrain.data.images import BadImage
from pretrain.data.loader import (
    MAX_REPLACEMENTS,
    HungWorkersError,
    LostWorkerError,
    MaskedImages,
    _next,
    naming_lost_workers,
    windows,
)
from pretrain.data.order import StepOrder, sample_ids
from pretrain.data.sources import FolderSource, Source, SourceError
from pretrain.data.transforms import AugmentationConfig, apply_crop, central_square
from pretrain.errors import UserError

SIZE, PATCHES = 12, 9


class Drawn(Source):
    """Images made in memory; those of one colour tell their index in any crop."""

    def __init__(self, count, *, plain=False, bad=(), fault=None):
        self.names = [f"{index:04d}.png" for index in range(count)]
        self.plain, self.bad, self.fault = plain, frozenset(bad), fault

    def image(self, index):
        if self.fault:
            raise self.fault
        if index in self.bad:
            raise BadImage(self.names[index], "truncated")
        if self.plain:
            return np.full((10, 10, 3), colour(index), np.uint8)
        height, width = 12 + index % 5, 12 + index % 3
        return np.random.default_rng(index).integers(0, 256, (height, width, 3), dtype=np.uint8)


def colour(index):
    return (index % 256, index // 256, 200)


def indices_of(batch):
    """Which images a batch of plain colours shows."""
    assert (batch.images.float().var(dim=(2, 3)) == 0).all()
    pixels = batch.images[:, :, 0, 0].long()
    return (pixels[:, 0] + 256 * pixels[:, 1]).tolist()


def dataset_of(source, *, seed=5, **augmentation):
    return MaskedImages(
        source,
        seed=seed,
        image_size=SIZE,
        num_patches=PATCHES,
        augmentation=AugmentationConfig(**augmentation),
    )


def load(
    source, *, batch=8, steps, rank=0, world_size=1, micro_batches=1, workers=0, **augmentation
):
    dataset = dataset_of(source, **augmentation)
    return windows(
        dataset,
        StepOrder(dataset.seed, dataset.ids, batch),
        rank=rank,
        world_size=world_size,
        micro_batches=micro_batches,
        steps=steps,
        workers=workers,
        pin_memory=False,
    )


def assert_equal(first, second):
    """The same windows, bit by bit."""
    assert len(first) == len(second)
    for mine, yours in zip(first, second, strict=True):
        assert len(mine) == len(yours)
        for a, b in zip(mine, yours, strict=True):
            assert torch.equal(a.images, b.images)
            assert torch.equal(a.noise, b.noise)
            assert a.bad == b.bad


# ------------------------------------------------------------------------------------------ content


def test_a_window_holds_the_micro_batches_of_a_step():
    made = list(load(Drawn(30), steps=range(4), micro_batches=2))
    assert len(made) == 4
    for window in made:
        assert len(window) == 2
        for batch in window:
            assert batch.images.shape == (4, 3, SIZE, SIZE)
            assert batch.images.dtype == torch.uint8
            assert batch.images.is_contiguous()
            assert batch.noise.shape == (4, PATCHES)
            assert batch.noise.dtype == torch.float32
            assert batch.bad == []


def test_windows_follow_the_step_order():
    source = Drawn(30, plain=True)
    order = StepOrder(5, dataset_of(source).ids, 8)
    for step, [batch] in enumerate(load(source, steps=range(7))):
        assert indices_of(batch) == order.samples(step)[1].tolist()


def test_the_same_windows_come_again():
    steps = range(5)
    assert_equal(list(load(Drawn(20), steps=steps)), list(load(Drawn(20), steps=steps)))


def test_noise_lies_in_zero_to_one_even_where_rounding_would_reach_one():
    # Patch 137 of this sample draws 0.99999998 in this epoch, which is 1.0 as float32.
    source = Drawn(1)
    source.names = ["54.png"]
    dataset = MaskedImages(
        source, seed=0, image_size=2, num_patches=196, augmentation=AugmentationConfig()
    )
    noise = dataset[(1637, np.array([0]))].noise
    assert noise[0].argmax() == 137
    assert noise.max() < 1
    assert noise.min() >= 0


def test_a_sample_has_another_mask_and_crop_in_every_epoch_and_seed():
    source = Drawn(12)
    request = np.arange(12)
    first = dataset_of(source)[(0, request)]
    for other in (dataset_of(source)[(1, request)], dataset_of(source, seed=6)[(0, request)]):
        assert not (first.noise == other.noise).any()
        for mine, yours in zip(first.images, other.images, strict=True):
            assert not torch.equal(mine, yours)
        visible, others = first.noise.argsort(dim=1)[:, :2], other.noise.argsort(dim=1)[:, :2]
        assert not torch.equal(visible, others)


def test_samples_of_a_batch_have_masks_of_their_own():
    [[batch]] = load(Drawn(64), batch=64, steps=range(1))
    assert len(batch.noise.unique()) == batch.noise.numel()


def test_a_sample_is_the_same_whatever_batch_it_comes_in():
    dataset = dataset_of(Drawn(12))
    together = dataset[(3, np.array([4, 9, 1]))]
    alone = dataset[(3, np.array([9]))]
    assert torch.equal(together.images[1:2], alone.images)
    assert torch.equal(together.noise[1:2], alone.noise)


# ------------------------------------------------------------------- workers, resume and world sizes


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers_gives_the_same_windows(workers):
    arguments = {"steps": range(2, 9), "micro_batches": 2}
    expected = list(load(Drawn(30, bad={3, 4}), **arguments))
    assert_equal(list(load(Drawn(30, bad={3, 4}), workers=workers, **arguments)), expected)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("first", [1, 3, 7])  # 3 steps an epoch
def test_a_resumed_run_sees_the_same_windows(first, workers):
    through = list(load(Drawn(26, bad={5}), steps=range(9), micro_batches=2))
    resumed = load(Drawn(26, bad={5}), steps=range(first, 9), micro_batches=2, workers=workers)
    assert_equal(list(resumed), through[first:])


@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize("micro_batches", [1, 2])
def test_any_split_gives_the_same_samples(world_size, micro_batches):
    source, steps = Drawn(30, bad={7}), range(5)
    ranks = [
        list(
            load(source, steps=steps, rank=rank, world_size=world_size, micro_batches=micro_batches)
        )
        for rank in range(world_size)
    ]
    for step, [whole] in enumerate(load(source, steps=steps)):
        parts = [batch for windows_of_rank in ranks for batch in windows_of_rank[step]]
        assert len(parts) == world_size * micro_batches
        assert {len(part.images) for part in parts} == {8 // world_size // micro_batches}
        assert torch.equal(torch.cat([part.images for part in parts]), whole.images)
        assert torch.equal(torch.cat([part.noise for part in parts]), whole.noise)
        assert [item for part in parts for item in part.bad] == whole.bad


def test_the_listing_order_changes_nothing_but_the_indices():
    forward, backward = Drawn(24, plain=True), Drawn(24, plain=True)
    backward.names = backward.names[::-1]
    backward.image = lambda index: forward.image(23 - index)
    assert_equal(list(load(forward, steps=range(6))), list(load(backward, steps=range(6))))


# --------------------------------------------------------------------------------------- bad images


@pytest.fixture
def folder(tmp_path):
    """Twelve images of one colour each, three of them damaged: 03 and 04 in a row, and the last."""
    for index in range(12):
        Image.new("RGB", (10, 10), colour(index)).save(tmp_path / f"{index:02d}.png")
    Image.effect_noise((40, 40), 50).save(tmp_path / "03.png")
    whole = (tmp_path / "03.png").read_bytes()
    (tmp_path / "03.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "04.png").write_bytes(b"")
    (tmp_path / "11.png").write_text("a text file that was renamed\n")
    return tmp_path


REPLACED = {3: 5, 4: 5, 11: 0}
REASONS = {
    3: "image file is truncated",
    4: "empty file (0 bytes)",
    11: "a text file, not an image",
}


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_bad_images_are_replaced_by_the_next_good_one_and_named(folder, workers):
    source = FolderSource(folder)
    order = StepOrder(5, dataset_of(source).ids, 4)
    for step, [batch] in enumerate(load(source, batch=4, steps=range(6), workers=workers)):
        wanted = order.samples(step)[1].tolist()
        assert indices_of(batch) == [REPLACED.get(index, index) for index in wanted]
        met = [bad for index in wanted for bad in {3: [3, 4], 4: [4], 11: [11]}.get(index, [])]
        assert [name for name, _ in batch.bad] == [str(folder / f"{bad:02d}.png") for bad in met]
        for bad, (_, reason) in zip(met, batch.bad, strict=True):
            assert reason.startswith(REASONS[bad])


@pytest.mark.parametrize("workers", [1, 2])
def test_replacements_do_not_depend_on_the_workers(folder, workers):
    arguments = {"batch": 4, "steps": range(9), "micro_batches": 2}
    expected = list(load(FolderSource(folder), **arguments))
    assert any(batch.bad for window in expected for batch in window)
    assert_equal(list(load(FolderSource(folder), workers=workers, **arguments)), expected)


def test_a_replacement_keeps_the_draws_of_the_bad_image():
    whole, damaged = dataset_of(Drawn(12)), dataset_of(Drawn(12, bad={3}))
    request = (2, np.array([3, 4]))
    assert torch.equal(damaged[request].noise, whole[request].noise)
    assert torch.equal(damaged[request].images[1], whole[request].images[1])
    assert not torch.equal(damaged[request].images[0], damaged[request].images[1])


def test_the_last_replacement_that_is_tried_may_be_good():
    dataset = dataset_of(Drawn(2 * MAX_REPLACEMENTS, plain=True, bad=range(1, MAX_REPLACEMENTS)))
    batch = dataset[(0, np.array([1]))]
    assert indices_of(batch) == [MAX_REPLACEMENTS]
    assert len(batch.bad) == MAX_REPLACEMENTS - 1


def test_too_many_bad_images_in_a_row_end_it_with_their_number():
    bad = {0, *range(2, 2 + MAX_REPLACEMENTS)}
    dataset = dataset_of(Drawn(2 * MAX_REPLACEMENTS, bad=bad))
    with pytest.raises(SourceError, match=f": {MAX_REPLACEMENTS} images in a row") as caught:
        dataset[(0, np.array([0, 2]))]  # the replaced first one is not in that row
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{1 + MAX_REPLACEMENTS:04d}.png: ")


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_source_of_bad_images_alone_ends_in_one_line(tmp_path, workers):
    for index in range(9):
        (tmp_path / f"{index}.png").touch()
    batches = load(FolderSource(tmp_path), batch=4, steps=range(5), workers=workers)
    with pytest.raises(SourceError) as caught:
        next(batches)
    assert type(caught.value) is SourceError
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(tmp_path))
    assert message.endswith(
        ".png: 9 images in a row cannot be read (empty file (0 bytes)), expected a good one"
    )


class DiskError(UserError):
    pass


@pytest.mark.parametrize("workers", [0, 2])
def test_a_users_error_keeps_its_type_and_message(workers):
    source = Drawn(8, fault=DiskError("/data/faces: disk gone, expected a disk"))
    with pytest.raises(DiskError) as caught:
        next(load(source, steps=range(1), workers=workers))
    assert str(caught.value) == "/data/faces: disk gone, expected a disk"


def test_a_fault_of_the_program_is_no_users_error():
    with pytest.raises(ZeroDivisionError, match="ours"):
        next(load(Drawn(8, fault=ZeroDivisionError("ours")), steps=range(1)))


# ----------------------------------------------------------------------------------------- examples


def test_examples_are_the_same_in_every_call_and_every_augmentation():
    first = dataset_of(Drawn(40)).examples(6)
    dataset = dataset_of(Drawn(40), crop_scale=(0.1, 0.3), flip=False)
    dataset[(3, np.arange(8))]
    for _ in range(2):
        again = dataset.examples(6)
        assert torch.equal(again.images, first.images)
        assert torch.equal(again.noise, first.noise)


def test_fewer_examples_are_the_first_of_more():
    few, many = dataset_of(Drawn(40)).examples(2), dataset_of(Drawn(40)).examples(6)
    assert torch.equal(few.images, many.images[:2])
    assert torch.equal(few.noise, many.noise[:2])


def test_examples_are_chosen_by_the_seed_from_the_whole_source():
    source = Drawn(400, plain=True)
    chosen = indices_of(dataset_of(source).examples(20))
    assert len(set(chosen)) == 20
    assert min(chosen) < 100
    assert max(chosen) > 300
    assert chosen != indices_of(dataset_of(source, seed=6).examples(20))


def test_examples_show_the_central_square_unmirrored():
    source = Drawn(6)
    squares = [
        apply_crop(image, central_square(image.shape[1] / image.shape[0]), SIZE)
        for image in map(source.image, range(6))
    ]
    batch = dataset_of(source).examples(6)
    for image in batch.images:
        assert any(torch.equal(image, square) for square in squares)
    assert batch.noise.shape == (6, PATCHES)
    assert batch.noise.unique().numel() == batch.noise.numel()


def test_bad_examples_are_replaced_and_named():
    batch = dataset_of(Drawn(6, plain=True, bad={2})).examples(6)
    assert sorted(indices_of(batch)) == [0, 1, 3, 3, 4, 5]
    assert batch.bad == [("0002.png", "truncated")]


# ------------------------------------------------------------------------------------------ workers


@pytest.fixture
def new_workers():
    """The processes started since the test began."""
    gc.collect()  # loaders that earlier tests dropped
    before = {process.pid for process in multiprocessing.active_children()}
    return lambda: [p for p in multiprocessing.active_children() if p.pid not in before]


def test_workers_outlive_the_signals_that_a_scheduler_sends(new_workers):
    steps = range(40)
    expected = list(load(Drawn(40), steps=steps))
    batches = load(Drawn(40), steps=steps, workers=2)
    seen = [next(batches), next(batches)]  # both workers have begun
    workers = new_workers()
    assert len(workers) == 2
    for name in ("TERM", "USR1", "INT"):  # from another process: the trainer's own SIGTERM counts
        subprocess.run(["kill", f"-{name}", *(str(worker.pid) for worker in workers)], check=True)
    seen += batches
    assert_equal(seen, expected)


def test_workers_end_when_the_loader_is_dropped(new_workers):
    batches = load(Drawn(40), steps=range(1_000), workers=2)
    next(batches)
    workers = new_workers()
    assert len(workers) == 2
    batches.close()
    for worker in workers:
        worker.join(timeout=30)
        assert not worker.is_alive()
    assert new_workers() == []


FAILING_RUN = """
import multiprocessing, os, signal
import numpy as np
from pretrain.data.loader import MaskedImages, windows
from pretrain.data.order import StepOrder
from pretrain.data.sources import Source
from pretrain.data.transforms import AugmentationConfig

class Plain(Source):
    names = [f"{index}.png" for index in range(40)]
    def image(self, index):
        if os.path.exists("fault"):
            raise ZeroDivisionError("in a worker")
        return np.zeros((8, 8, 3), np.uint8)

data = MaskedImages(
    Plain(), seed=0, image_size=8, num_patches=4, augmentation=AugmentationConfig()
)
batches = windows(
    data, StepOrder(0, data.ids, 8), rank=0, world_size=1, micro_batches=1,
    steps=range(1000), workers=2, pin_memory=False,
)
next(batches)
print(*[worker.pid for worker in multiprocessing.active_children()], flush=True)
"""

ENDS = {
    "the trainer fails": "raise RuntimeError('in the trainer')",
    "a worker fails": "open('fault', 'w').close(); list(batches)",
    "the trainer is killed": "os.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.mark.parametrize("end", list(ENDS))
def test_the_run_and_its_workers_end_when(tmp_path, end):
    """A worker that outlives a failure keeps its process, its launcher and all other ranks waiting."""
    run = subprocess.run(
        [sys.executable, "-c", FAILING_RUN + ENDS[end]],
        cwd=tmp_path,
        stdout=(tmp_path / "workers").open("w"),  # a pipe would be held open by the workers
        stderr=(tmp_path / "errors").open("w"),
        timeout=60,
        check=False,
    )
    expected = {
        "the trainer fails": (1, "RuntimeError: in the trainer"),
        "a worker fails": (1, "ZeroDivisionError"),
        "the trainer is killed": (-signal.SIGKILL, ""),
    }[end]
    assert run.returncode == expected[0]
    assert expected[1] in (tmp_path / "errors").read_text()
    workers = [int(pid) for pid in (tmp_path / "workers").read_text().split()]
    assert len(workers) == 2
    left = [psutil.Process(pid) for pid in workers if psutil.pid_exists(pid)]
    assert psutil.wait_procs(left, timeout=30)[1] == []


class Stuck(Drawn):
    """A file system that does not answer any more."""

    def image(self, index):
        if index == 5:
            threading.Event().wait()
        return super().image(index)


def test_hung_workers_are_named_with_their_stacks_and_end_the_run(capfd):
    source = Stuck(16)
    dataset, order = dataset_of(source), StepOrder(5, sample_ids(source.names), 16)
    batches = windows(
        dataset,
        order,
        rank=0,
        world_size=1,
        micro_batches=1,
        steps=range(1),
        workers=1,
        pin_memory=False,
        timeout_seconds=2,
    )
    with pytest.raises(HungWorkersError) as caught:
        next(batches)
    batches.close()
    message = str(caught.value)
    assert re.match(
        r"data workers \(processes \d+\) gave no batch for 2 s \(data.worker_time", message
    )
    assert "test_loader.py" in (stacks := capfd.readouterr().err)
    assert "in image" in stacks
    assert not multiprocessing.active_children()


class Killed(Drawn):
    """Its third image is the one for which the system's memory does not suffice."""

    def image(self, index):
        if index == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().image(index)


def test_a_worker_that_the_system_killed_is_one_line_with_its_number():
    given = load(Killed(8), batch=4, steps=range(2), workers=1)
    with pytest.raises(LostWorkerError) as caught, naming_lost_workers():
        list(given)
    # Torch tells from a signal handler how it ended; where that falls into a destructor, Python drops
    # it, and all that torch finds later is that the process is gone.
    assert re.fullmatch(
        r"data worker \(process \d+\) (is killed by signal: Killed|exited unexpectedly); expected"
        " fewer data.workers, or more memory",
        str(caught.value),
    )


class Ending:
    """What torch's loader does where a worker ends while it hands over a batch."""

    def __init__(self, *errors):
        self.errors = [*errors]

    def __next__(self):
        raise self.errors.pop(0)


def test_a_worker_that_ends_while_it_hands_over_a_batch_is_lost_too():
    reset = ConnectionResetError(104, "Connection reset by peer")
    gone = RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly")
    lost = _next(Ending(reset, gone), 5)
    assert isinstance(lost, LostWorkerError)
    assert "process 7) exited unexpectedly" in str(lost)
    with pytest.raises(ConnectionResetError):  # not a worker's
        _next(Ending(reset, RuntimeError("CUDA error")), 5)


@pytest.mark.parametrize("message", ["CUDA error", "DataLoader timed out after 5 seconds"])
def test_another_error_is_no_lost_worker(message):
    with pytest.raises(RuntimeError, match=message), naming_lost_workers():
        raise RuntimeError(message)
