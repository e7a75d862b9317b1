"""What frozen networks see in the training images, computed once and kept in a file.

Heads then train in seconds, on images as they are: without crops, flips and colour jitter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from tqdm import tqdm

from finetune.batches import LabelledFaces, SeenBatch
from finetune.clips import LabelledClips
from finetune.models.affect import AffectModel
from finetune.predicting.batches import batches
from finetune.predicting.table import fingerprint
from pretrain.data.images import BadImage
from pretrain.data.loader import AugmentedImages, Request
from pretrain.data.order import Ids
from pretrain.data.sources import Source
from pretrain.engine.runtime import Runtime
from pretrain.engine.tracking import say
from pretrain.errors import UserError
from pretrain.files import write_bytes

#: Images whose pixels tell one collection from another of the same names.
_COMPARED = 64

_SHOWN = "shown"
_UNREADABLE = "could not be read when its features were made"


class SeenFaces(AugmentedImages[SeenBatch]):
    """Images by what frozen networks see in them.

    Args:
        faces: the images and their labels.
        seen: from :func:`seen_by`.
    """

    def __init__(self, faces: LabelledFaces, seen: Mapping[str, Tensor]) -> None:
        self.source, self.described, self.seed = faces.source, faces.described, faces.seed
        self.image_size, self.augmentation = faces.image_size, faces.augmentation
        self.ids, self._labels = faces.ids, faces.labels
        self._shown = seen[_SHOWN].numpy()
        self._seen = {name: value for name, value in seen.items() if name != _SHOWN}

    def __getitem__(self, request: Request) -> SeenBatch:
        """The micro-batch of an epoch and indices; a bad image is replaced as ever."""
        wanted = request[1]
        shown = self._shown[wanted]
        at = torch.from_numpy(shown)
        seen = {name: value[at] for name, value in self._seen.items()}
        bad = [(self.source.names[index], _UNREADABLE) for index in wanted[wanted != shown]]
        return SeenBatch(seen, self._labels.rows(shown), bad)


class SeenClips(LabelledClips):
    """Clips by what a frozen trunk sees in their frames.

    Args:
        clips: the clips and their labels.
        seen: from :func:`seen_by`.
    """

    def __init__(self, clips: LabelledClips, seen: Mapping[str, Tensor]) -> None:
        vars(self).update(vars(clips))
        self._features = seen["features"]
        self._bad = frozenset(np.flatnonzero(seen[_SHOWN].numpy() != np.arange(len(seen[_SHOWN]))))

    def see(
        self, epoch: int, ids: Ids, rows: NDArray[np.int64]
    ) -> tuple[Tensor, NDArray[np.int64], list[tuple[str, str]]]:
        """See :class:`LabelledClips`: features [B * T, F] in the place of images."""
        del epoch, ids
        lost = np.isin(rows, list(self._bad))
        bad = [(self.source.names[row], _UNREADABLE) for row in rows[lost].tolist()]
        rows = np.where(lost, -1, rows)
        features = self._features[torch.from_numpy(np.maximum(rows, 0).reshape(-1))]
        return features, rows, bad


def seen_by(
    model: AffectModel,
    faces: LabelledFaces | LabelledClips,
    folder: Path,
    runtime: Runtime,
    batch_size: int,
    workers: int,
) -> dict[str, Tensor]:
    """What the frozen parts of a model see, from a file where there is one, else into it.

    The main process computes it; all read it.

    Args:
        model: on the device.
        faces: the images.
        folder: of such files; their names tell weights, images and sizes apart.
        runtime: the processes.
        batch_size: images at once.
        workers: loader processes.

    Returns:
        What :meth:`AffectModel.look` gives, [n, ...] each; ``shown`` [n], the image itself, or the
        next good one in place of a bad one.

    Raises:
        UserError: no image can be read, or the file cannot be written or read.
    """
    key = _key(model, faces, runtime.config.precision)
    file = folder / f"{key}.safetensors"
    with runtime.main_first_error():
        if runtime.is_main and not file.exists():
            seen = _look(model, faces.source, runtime.alone(), batch_size, workers)
            write_bytes(file, save(seen))
            say(f"frozen features of {len(faces.source.names)} images: {file}")
    try:
        return dict(load_file(file))
    except (OSError, SafetensorError) as error:
        raise UserError(f"{file}: {error}, expected frozen features; remove the file") from None


def _key(model: AffectModel, faces: LabelledFaces | LabelledClips, precision: str) -> str:
    """What the features depend on: weights, images, how scores are read, precision."""
    found = hashlib.sha256(f"{faces.image_size} {precision} {model.config}".encode())
    found.update(fingerprint(model.frozen()).encode())
    # Features have no names but their order.
    found.update("\n".join(faces.source.names).encode("utf-8", "surrogateescape"))
    count = len(faces.source.names)
    for index in np.unique(np.linspace(0, count - 1, min(_COMPARED, count)).astype(int)):
        try:
            found.update(faces.source.image(int(index)).tobytes())
        except BadImage:
            continue
    return found.hexdigest()[:24]


def _look(
    model: AffectModel, source: Source, runtime: Runtime, batch_size: int, workers: int
) -> dict[str, Tensor]:
    n = len(source.names)
    loaded = batches(
        source,
        range(-(-n // batch_size)),
        image_size=model.config.image_size,
        batch_size=batch_size,
        workers=workers,
        pin_memory=runtime.device.type == "cuda",
        timeout_seconds=600,
    )
    parts, bad = list[dict[str, Tensor]](), set[int]()
    model.eval()
    with closing(loaded), torch.inference_mode(), tqdm(total=n, unit="image", disable=None) as bar:
        for number, batch in enumerate(loaded):
            with runtime.autocast():
                seen = model.look(batch.images.to(runtime.device))
            parts.append({name: value.float().cpu() for name, value in seen.items()})
            bad |= {number * batch_size + row for row, _ in batch.bad}
            bar.update(min(batch_size, n - number * batch_size))
    model.train()
    whole = {name: torch.cat([part[name] for part in parts])[:n] for name in parts[0]}
    return whole | {_SHOWN: torch.from_numpy(_next_good(n, bad))}


def _next_good(n: int, bad: set[int]) -> NDArray[np.int64]:
    """Each image, or the next good one after it, round and round."""
    good = np.setdiff1d(np.arange(n), sorted(bad))
    if not len(good):
        raise UserError(f"none of {n} training images can be read, expected a good one")
    return np.asarray(good[np.searchsorted(good, np.arange(n)) % len(good)])
