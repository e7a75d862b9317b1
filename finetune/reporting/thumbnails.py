"""Small pictures inside the page, and a box in place of one that is not there."""

from __future__ import annotations

import base64
import io

from PIL import Image

from finetune.data.images import LabelledImages
from finetune.data.opening import Collection
from finetune.reporting.markup import Html, tag
from pretrain.data.images import BadImage, Pixels
from pretrain.errors import UserError

#: Pixels of the longer side.
SIDE = 112

_QUALITY = 85


class Thumbnails:
    """The images of a collection, small.

    Args:
        collection: whose images are looked for here, once.

    Attributes:
        problem: why some, or all, of them are not there; empty: they are.
        any: whether some are there.
    """

    def __init__(self, collection: Collection) -> None:
        self._images: LabelledImages | None = None
        self.problem, self.any = "", False
        try:
            self._images = collection.open_images()
        except UserError as error:
            self.problem = f"the images cannot be opened: {error}"
            return
        self._absent = frozenset(self._images.absent)
        self.any = len(self._absent) < len(self._images)
        if self._absent:
            self.problem = self._images.absent_line()

    def of(self, row: int, alt: str) -> Html:
        """The picture of a row, or a box that says why there is none; nothing where there are none.

        Args:
            row: of the labels.
            alt: what it shows, for who does not see it.
        """
        if self._images is None or not self.any:
            return Html()
        if row in self._absent:
            return _box("absent")
        try:
            content = encoded(self._images.image(row))
        except BadImage as error:
            return _box(f"unreadable: {error.reason}")
        return tag("img", class_="face", src=data_uri("image/jpeg", content), alt=alt)


def encoded(pixels: Pixels) -> bytes:
    """An image [H, W, 3] as a JPEG whose longer side is at most :data:`SIDE`."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=_QUALITY, optimize=True)
    return stream.getvalue()


def data_uri(kind: str, content: bytes) -> str:
    """A file as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _box(reason: str) -> Html:
    return tag("div", reason, class_="face absent", role="img", aria_label=f"no image: {reason}")
