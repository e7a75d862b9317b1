"""Program: ``python -m pretrain.pack SOURCE OUT [--key value ...]``, or ``--verify PACK``."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from pretrain.data.config import SourceConfig
from pretrain.data.opening import open_source
from pretrain.data.packing.format import PackSettings, read_contents
from pretrain.data.packing.pack import pack
from pretrain.data.packing.verify import verify
from pretrain.engine.config import parse_config
from pretrain.engine.cores import usable_cores
from pretrain.errors import UserError, say_error

#: Seconds between two lines of progress where there is no terminal.
_SAY_SECONDS = 10

#: Damaged pictures that are named one by one.
_NAMED = 100

#: What a shell reports for a program that Ctrl-C ended.
_INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True)
class PackConfig(SourceConfig):
    """Packs images into few checked files that open and read quickly, or checks such a pack.

    Attributes:
        out: folder of the pack; an interrupted one is gone on with.
        verify: check this pack and make none.
        format: jpeg, or raw (uint8 squares: no decoding while training, some 10 times the bytes).
        size: pixels of the shorter side; jpeg makes no image larger.
        fit: keep (the aspect; jpeg's default), squash (the whole picture into a square, which
            training undoes; raw's default) or crop (the central square); null takes the default.
        quality: of a JPEG, 1 to 100; files that are JPEGs of no more than size stay as they are.
        min_side: refuse images with a side of fewer pixels.
        duplicates: drop, or keep images with exactly the pixels of an earlier one.
        workers: processes; null takes all usable cores.
        shard_images: pictures a shard.
    """

    out: str | None = None
    verify: str | None = None
    format: str = PackSettings.format
    size: int = PackSettings.size
    fit: str | None = None
    quality: int = PackSettings.quality
    min_side: int = PackSettings.min_side
    duplicates: str = PackSettings.duplicates
    workers: int | None = None
    shard_images: int = PackSettings.shard_images

    def __post_init__(self) -> None:
        """Refuses what cannot be packed, and no work or two kinds of it."""
        super().__post_init__()
        if (self.out is None) == (self.verify is None):
            got = "both" if self.out else "neither"
            raise ValueError(
                f"out: got {got} of out and verify, expected SOURCE OUT or --verify PACK"
            )
        if "" in (self.out, self.verify):
            raise ValueError("out '', expected a folder")
        if self.verify is not None and self.source != SourceConfig.source:
            raise ValueError(f"verify '{self.verify}' with source '{self.source}', expected one")
        for name, weight in self.mixture.items():
            if weight != 1:
                raise ValueError(
                    f"mixture '{name}': weight {weight:g}, expected 1: a pack holds every image"
                    " once; weigh packs in data.mixture"
                )
        if self.workers is not None and not 1 <= self.workers <= 1024:
            raise ValueError(f"workers {self.workers}, expected in 1..1024")
        self.settings()

    def settings(self) -> PackSettings:
        """What decides the bytes of the pack."""
        return PackSettings(
            format=self.format,
            size=self.size,
            fit=self.fit or ("squash" if self.format == "raw" else "keep"),
            quality=self.quality,
            min_side=self.min_side,
            duplicates=self.duplicates,
            shard_images=self.shard_images,
        )


class _Progress:
    """A bar on a terminal, else a line from time to time."""

    def __init__(self, total: int, what: str) -> None:
        self._bar = tqdm(
            total=total,
            desc=what,
            unit=" images",
            dynamic_ncols=True,
            disable=not sys.stderr.isatty(),
        )
        self._what, self._total = what, total
        self._start: tuple[float, int] | None = None  # time and images, at the first call
        self._said = 0.0

    def __call__(self, done: int) -> None:
        """So many images are done."""
        now = time.monotonic()
        if self._start is None:
            self._start, self._said = (now, done), now
            self._bar.initial = self._bar.n = done
            return
        self._bar.update(done - self._bar.n)
        if self._bar.disable and now - self._said >= _SAY_SECONDS:
            rate = (done - self._start[1]) / (now - self._start[0])
            self._bar.write(
                f"{self._what} {done:,} of {self._total:,} images, {rate:,.0f} images/s",
                file=sys.stderr,
            )
            self._said = now

    def close(self) -> None:
        """Leaves the terminal tidy."""
        self._bar.close()


def make_pack(config: PackConfig) -> None:
    """Packs, and prints what became of the images.

    Raises:
        UserError: see :func:`pretrain.data.packing.pack`.
    """
    assert config.out is not None
    folder = Path(os.path.expanduser(config.out))
    for name in config.mixture or (config.source,):
        place = Path(os.path.expanduser(name))
        if place.is_dir() and folder.resolve().is_relative_to(place.resolve()):
            raise UserError(f"out {folder}: lies in the source {place}, expected another place")
    source = open_source(config)
    origin = config.source
    if config.mixture:
        origin = ", ".join(f"{weight:g} x {name}" for name, weight in config.mixture.items())
    progress = _Progress(len(source.names), "packed")
    try:
        packed = pack(
            source,
            folder,
            config.settings(),
            origin=origin,
            workers=config.workers or usable_cores(),
            progress=progress,
        )
    finally:
        progress.close()
    if packed.summary is None:
        print(f"{folder}: finished before, {packed.contents.images:,} images; nothing to do")
    else:
        print(packed.summary.encode("utf-8", "backslashreplace").decode(), end="")


def check_pack(config: PackConfig) -> None:
    """Verifies a pack and prints the verdict.

    Raises:
        UserError: something is damaged; the first pictures are named before.
    """
    assert config.verify is not None
    folder = Path(os.path.expanduser(config.verify))
    contents = read_contents(folder)
    progress = _Progress(contents.images, "checked")
    try:
        damaged = verify(folder, workers=config.workers or usable_cores(), progress=progress)
    finally:
        progress.close()
    what = f"{contents.images:,} images, {contents.bytes:,} bytes, {len(contents.shards)} shards"
    if not damaged:
        print(f"{folder}: {what}: whole")
        return
    for line in damaged[:_NAMED]:
        print(line, file=sys.stderr)
    rest = f" ({len(damaged) - _NAMED} more)" if len(damaged) > _NAMED else ""
    raise UserError(f"{folder}: {what}: {len(damaged)} faults, named above{rest}, expected none")


def main() -> int:
    """Packs or verifies, or says in one line why not.

    Returns:
        0 when it is done, 2 for an error, 130 after Ctrl-C (the same command goes on).
    """
    try:
        config = parse_config(PackConfig, None, "python -m pretrain.pack", ("source", "out"))
        (make_pack if config.verify is None else check_pack)(config)
        return 0
    except UserError as error:
        say_error(error)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        return _INTERRUPTED
    return 2


if __name__ == "__main__":
    sys.exit(main())
