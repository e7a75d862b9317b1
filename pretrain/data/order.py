"""Which sample comes when, and every random number of it: pure functions of integers.

Nothing here has a state. A resumed run, another number of workers or another world size evaluates
the same functions at the same points and therefore sees the same images in the same crops under the
same masks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def sample_ids(names: Sequence[str]) -> Ids:
    """64-bit ids from the images' names within their source.

    The n-th occurrence of a name (a list may repeat one) gets an id of its own. The id does not
    depend on where the source lies or how it is stored, so a folder and its archive agree.
    """
    ids = np.empty(len(names), np.uint64)
    for position, name in enumerate(names):
        digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()
        ids[position] = int.from_bytes(digest, "little")
    occurrence = _occurrences(ids)
    again = occurrence > 0
    ids[again] = mix(ids[again], occurrence[again])
    return ids


def _occurrences(ids: Ids) -> Ids:
    """How often each id came before it: 0 for a first one."""
    order = np.argsort(ids, kind="stable")
    ranked = ids[order]
    first = np.ones(len(ids), bool)  # of a run of equal ids
    first[1:] = ranked[1:] != ranked[:-1]
    position = np.arange(len(ids))
    occurrence = np.empty(len(ids), np.uint64)
    occurrence[order] = position - np.maximum.accumulate(np.where(first, position, 0))
    return occurrence


def fingerprint(ids: Ids) -> str:
    """Names a set of samples, whatever their order: their count and a hash of the sorted ids."""
    digest = hashlib.blake2b(np.sort(ids).astype("<u8").tobytes(), digest_size=8)
    return f"{len(ids)}-{digest.hexdigest()}"


def mix(key: np.uint64 | Ids, value: int | np.uint64 | Ids) -> Ids:
    """Folds integers into a key; the result looks random in every bit (splitmix64's finaliser).

    Source: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators", figure 16.
    """
    if isinstance(value, int):
        value = np.uint64(value & 0xFFFFFFFFFFFFFFFF)
    with np.errstate(over="ignore"):  # wrapping around is the point
        x = (
            np.asarray(key, np.uint64) ^ _finalise(np.asarray(value, np.uint64) + _GOLDEN)
        ) + _GOLDEN
        return _finalise(x)


def _finalise(x: Ids) -> Ids:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def uniform(
    *, seed: int, epoch: int, ids: Ids, purpose: str, draws: int, view: int = 0
) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1) for samples: [len(ids), draws].

    Args:
        seed: the run's seed.
        epoch: the epoch the samples are drawn in.
        ids: the samples.
        purpose: what the numbers are for ("crop", "mask"); purposes are independent.
        draws: numbers a sample.
        view: which of several copies of a sample; views are independent.
    """
    tag = int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=8).digest(), "little")
    keys = mix(mix(mix(mix(np.uint64(tag), seed), epoch), view), ids)
    bits = mix(keys[:, None], np.arange(draws, dtype=np.uint64)[None, :])
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def epoch_order(
    seed: int, epoch: int, ids: Ids, partial: Sequence[tuple[range, float]] = ()
) -> NDArray[np.int64]:
    """A permutation of the samples: their indices sorted by a hash of (seed, epoch, id).

    It depends on the names alone, not on the order in which a source lists them.

    Args:
        seed: the run's seed.
        epoch: the epoch.
        ids: the samples.
        partial: ranges of indices and the fraction of each that this epoch takes, others in every
            epoch.
    """
    order = np.lexsort(
        (ids, uniform(seed=seed, epoch=epoch, ids=ids, purpose="order", draws=1)[:, 0])
    )
    if not partial:
        return order
    taken = np.ones(len(ids), bool)
    for part, fraction in partial:
        here = ids[part.start : part.stop]
        draws = uniform(seed=seed, epoch=epoch, ids=here, purpose="mixture", draws=1)[:, 0]
        taken[part.start + np.lexsort((here, draws))[share_of(part, fraction) :]] = False
    return order[taken[order]]


def share_of(part: range, fraction: float) -> int:
    """How many samples of a range an epoch takes."""
    return round(fraction * len(part))


class StepOrder:
    """Which samples a step takes: ``floor(n / global_batch_size)`` steps an epoch.

    The last ``n % global_batch_size`` samples of an epoch's permutation are left out; every epoch
    leaves out others.

    Args:
        seed: the run's seed.
        ids: the samples.
        global_batch_size: images a step over all processes.
        partial: ranges of indices of which an epoch takes a fraction only.
    """

    def __init__(
        self,
        seed: int,
        ids: Ids,
        global_batch_size: int,
        partial: Sequence[tuple[range, float]] = (),
    ) -> None:
        self.seed, self.ids, self.global_batch_size = seed, ids, global_batch_size
        self.partial = partial
        left_out = sum(len(part) - share_of(part, fraction) for part, fraction in partial)
        self.steps_per_epoch = (len(ids) - left_out) // global_batch_size
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def samples(self, step: int) -> tuple[int, NDArray[np.int64]]:
        """The epoch and the indices [global_batch_size] of a step (counted from 0)."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            order = epoch_order(self.seed, epoch, self.ids, self.partial)
            self._epoch, self._order = epoch, order
        start = position * self.global_batch_size
        return epoch, self._order[start : start + self.global_batch_size]

    def share(
        self, step: int, rank: int, world_size: int, micro_batches: int
    ) -> list[tuple[int, NDArray[np.int64]]]:
        """The micro-batches of one process in a step; processes and micro-batches tile the step."""
        epoch, samples = self.samples(step)
        mine = np.split(samples, world_size)[rank]
        return [(epoch, part) for part in np.split(mine, micro_batches)]
