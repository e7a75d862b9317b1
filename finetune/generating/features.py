"""Real and drawn images as an encoder sees them.

Both are brought to the size that is drawn first: else real ones would differ by their sharpness.

Shapes: n images, S side of what is drawn, F features.
"""

from __future__ import annotations

from contextlib import closing

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from finetune.generating.quality import Floats
from finetune.predicting.batches import batches
from pretrain.data.sources import Selection, Source
from pretrain.probing.encoders import FrozenEncoder

_BATCH = 64


def pixels(images: Source, count: int, side: int) -> tuple[Tensor, list[int]]:
    """Evenly spaced images that can be read, and their rows.

    Args:
        images: to choose from.
        count: at most so many.
        side: S.

    Returns:
        uint8 [n, 3, S, S], the middle squares, and n rows.
    """
    count = min(count, len(images.names))
    rows = np.array([place * len(images.names) // count for place in range(count)])
    loaded = batches(
        Selection(images, rows),
        range(-(-count // _BATCH)),
        image_size=side,
        batch_size=_BATCH,
        workers=0,
        pin_memory=False,
        timeout_seconds=600,
    )
    parts, kept = list[Tensor](), list[int]()
    bar = tqdm(total=count, unit="image", disable=None, leave=False)
    with closing(loaded), bar:
        for number, batch in enumerate(loaded):
            there = min(_BATCH, count - number * _BATCH)
            good = np.setdiff1d(np.arange(there), [row for row, _ in batch.bad])
            parts.append(batch.images[torch.from_numpy(good)])
            kept += rows[number * _BATCH + good].tolist()
            bar.update(there)
    return torch.cat(parts), kept


def features(frozen: FrozenEncoder, images: Tensor) -> Floats:
    """What an encoder sees in images.

    Args:
        frozen: the encoder.
        images: uint8 [n, 3, S, S], n above 0.

    Returns:
        [n, F].
    """
    device = next(frozen.module.parameters()).device
    size = frozen.image_size
    parts = list[Floats]()
    with torch.inference_mode():
        for first in range(0, len(images), _BATCH):
            seen = images[first : first + _BATCH].to(device)
            if seen.shape[-1] != size:
                sized = F.interpolate(seen.float(), (size, size), mode="bicubic", antialias=True)
                seen = sized.round().clamp(0, 255).to(torch.uint8)
            parts.append(next(iter(frozen.read(seen).values())).double().cpu().numpy())
    return np.concatenate(parts)
