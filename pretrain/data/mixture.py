"""Several sources as one, each seen as often as its weight says."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from operator import itemgetter

from pretrain.data.images import Pixels
from pretrain.data.sources import Source, SourceError


class Mixture(Source):
    """Sources after each other, each as many times as an epoch passes over it.

    A weight of 2 lists a source twice: an image then has two samples, each with crops and masks of
    its own. A weight of 2.5 lists it three times, and the third copy is one of ``partial``.

    Args:
        parts: sources and their weights, the passes over a source in an epoch, above 0.

    Attributes:
        names: ``NUMBER OF THE PART/NAME``: equal names in two sources are two images.
        parts: where each copy of a source starts, and the source.
        partial: the indices of copies that an epoch does not pass over as a whole, and the fraction
            of them that it takes, in (0, 1). Whoever orders the samples draws them for each epoch.

    Raises:
        SourceError: a weight takes no image at all.
    """

    names: list[str]

    def __init__(self, parts: Sequence[tuple[Source, float]]) -> None:
        self.names, partial = [], list[tuple[range, float]]()
        self.parts = list[tuple[int, Source]]()  # in the order of their indices
        for number, (source, weight) in enumerate(parts):
            whole, fraction = int(weight), weight - int(weight)
            if weight < 0 or (whole == 0 and round(fraction * len(source.names)) == 0):
                raise SourceError(
                    f"mixture: weight {weight} takes none of the {len(source.names)} images of part"
                    f" {number}, expected more"
                )
            names = [f"{number}/{name}" for name in source.names]
            if fraction:
                start = len(self.names) + whole * len(names)
                partial.append((range(start, start + len(names)), fraction))
            for _ in range(whole + bool(fraction)):
                self.parts.append((len(self.names), source))
                self.names += names
        self.partial = tuple(partial)
        self.named = all(source.named for source, _ in parts)
        self.cut = any(source.cut for source, _ in parts)

    def image(self, index: int) -> Pixels:
        """See :class:`Source`."""
        source, own = self._own(index)
        return source.image(own)

    def encoded(self, index: int) -> bytes | None:
        """See :class:`Source`."""
        source, own = self._own(index)
        return source.encoded(own)

    def aspect(self, index: int) -> float | None:
        """See :class:`Source`."""
        source, own = self._own(index)
        return source.aspect(own)

    def _own(self, index: int) -> tuple[Source, int]:
        """The source of an image, and its index there."""
        start, source = self.parts[bisect_right(self.parts, index, key=itemgetter(0)) - 1]
        return source, index - start
