"""Timing works in turn, so that a machine that slows down slows all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

Work = Callable[[], object]

#: Calls of a work before it is timed: caches, allocators and autotuning settle.
_WARM_UP = 2


@dataclass(frozen=True, kw_only=True)
class TurnsConfig:
    """What is timed alike everywhere.

    Attributes:
        batch_size: images a step.
        rounds: how often each measurement has its turn.
        seconds: least length of a turn.
    """

    batch_size: int = 32
    rounds: int = 5
    seconds: float = 2.0

    def __post_init__(self) -> None:
        """Refuses numbers that measure nothing."""
        for name in ("batch_size", "rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}, expected at least 1")
        if self.seconds < 0:
            raise ValueError(f"seconds {self.seconds}, expected at least 0")


@dataclass(frozen=True)
class Timing:
    """Seconds that one call took, round by round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.rounds)

    @property
    def spread(self) -> float | None:
        """Half of the distance from the fastest round to the slowest, as a share of the median."""
        if len(self.rounds) < 2:
            return None
        return (max(self.rounds) - min(self.rounds)) / 2 / self.median

    def rate(self, items: float) -> float:
        """Items a second, of so many a call."""
        return items / self.median


def in_turn(
    works: Mapping[str, Work], config: TurnsConfig, device: torch.device
) -> dict[str, Timing]:
    """Times works A, B, C, A, B, C, ...

    Args:
        works: by name; short ones are called more often in a turn.
        config: how many turns, and how long.
        device: waited for before the clock is read.
    """
    calls = {}
    for name, work in works.items():
        for _ in range(_WARM_UP):
            work()
        calls[name] = max(1, round(config.seconds / max(_seconds(work, 1, device), 1e-9)))
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(config.rounds):
        for name, work in works.items():
            found[name].append(_seconds(work, calls[name], device))
    return {name: Timing(tuple(times)) for name, times in found.items()}


def _seconds(work: Work, calls: int, device: torch.device) -> float:
    _wait_for(device)
    began = time.perf_counter()
    for _ in range(calls):
        work()
    _wait_for(device)
    return (time.perf_counter() - began) / calls


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
