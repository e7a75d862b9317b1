"""Pictures that tests tell apart: none looks like another, and a copy looks like its original."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from finetune.data.annotations import Annotations
from finetune.data.columns import make_targets
from finetune.data.images import FoundImages, LabelledImages, find_images


def picture(number: int, side: int = 64) -> Image.Image:
    """A picture of soft patches; every number has its own."""
    patches = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize((side, side), Image.Resampling.BICUBIC)


def encoded(number: int, side: int = 64, kind: str = "PNG") -> bytes:
    """The file of a picture; another size or kind is another file of the same picture."""
    stream = BytesIO()
    picture(number, side).save(stream, kind)
    return stream.getvalue()


def listed(root: Path, files: dict[str, bytes | None], *again: str) -> LabelledImages:
    """Writes files, all but those that are None, and lists them all and some once more."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            (root / name).write_bytes(content)
    names = [*files, *again]
    paths, absent = find_images(root, ["."], names)
    annotations = Annotations(names, make_targets(len(names)))
    return LabelledImages(FoundImages(names, paths), annotations, absent)
