"""All that is said of a collection: its splits, what they share, what is published of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from finetune.data.opening import Collection
from finetune.data.published import PUBLISHED
from finetune.describing.overlaps import Overlap, overlaps
from finetune.describing.summary import Comparison, Summary, compare, summarise

#: Absent images that are named.
_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class ListedImages:
    """The image files of a split.

    Attributes:
        listed: rows.
        absent: rows whose image is not there.
        absent_images: images that are not there; fewer than rows where there are duplicates.
        first: the first of these images.
    """

    listed: int
    absent: int
    absent_images: int
    first: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Description:
    """What is known of a collection.

    Attributes:
        splits: those that are there.
        missing: the others, and why.
        images: of the splits; empty: nobody looked for them.
        shared: what two splits share.
        comparable: what could be compared: images, videos, recordings, subjects.
        compared: published counts beside ours, by split.
        sources: of the published counts, by split.
    """

    splits: Mapping[str, Summary]
    missing: Mapping[str, str]
    images: Mapping[str, ListedImages]
    shared: Sequence[Overlap]
    comparable: tuple[str, ...]
    compared: Mapping[str, Sequence[Comparison]]
    sources: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        every = [c for found in self.compared.values() for c in found]
        return {
            "splits": {name: summary.to_json() for name, summary in self.splits.items()},
            "missing": dict(self.missing),
            "images": {name: asdict(images) for name, images in self.images.items()},
            "shared": [asdict(overlap) for overlap in self.shared],
            "comparable": list(self.comparable),
            "published": {
                "agree": sum(c.agrees for c in every),
                "of": len(every),
                "sources": dict(self.sources),
                "splits": {
                    name: [asdict(c) | {"agrees": c.agrees} for c in found]
                    for name, found in self.compared.items()
                },
            },
        }


def describe(
    collections: Sequence[Collection], missing: Mapping[str, str], *, look: bool
) -> Description:
    """Counts everything.

    Args:
        collections: splits of one collection.
        missing: splits that are not there, and why.
        look: for the image files; takes a while where there are many.
    """
    published = {c.split: PUBLISHED.get((c.kind, c.split)) for c in collections}
    splits = {c.split: summarise(c.annotations) for c in collections}
    shared, comparable = overlaps({c.split: c.annotations for c in collections})
    return Description(
        splits=splits,
        missing=missing,
        images={c.split: _images(c) for c in collections} if look else {},
        shared=shared,
        comparable=comparable,
        compared={name: compare(summary, published[name]) for name, summary in splits.items()},
        sources={name: found.source for name, found in published.items() if found},
    )


def _images(collection: Collection) -> ListedImages:
    found = collection.open_images()
    names = tuple(dict.fromkeys(found.names[row] for row in found.absent))
    return ListedImages(
        listed=len(found),
        absent=len(found.absent),
        absent_images=len(names),
        first=names[:_NAMED],
    )
