"""All that is said of a collection: its splits, what they share, what is published of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from finetune.data.images import LabelledImages
from finetune.data.look_alikes import Likeness, likenesses, look_at
from finetune.data.opening import Collection
from finetune.data.published import PUBLISHED
from finetune.describing.overlaps import Overlap, overlaps
from finetune.describing.summary import Comparison, Summary, compare, summarise

#: Absent images that are named.
_NAMED = 3

#: Images of a split that are compared with those of the others.
_COMPARED = 20_000


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
        alike: images of two splits, by what they show; empty: nobody compared them.
        compared: published counts beside ours, by split.
        sources: of the published counts, by split.
    """

    splits: Mapping[str, Summary]
    missing: Mapping[str, str]
    images: Mapping[str, ListedImages]
    shared: Sequence[Overlap]
    comparable: tuple[str, ...]
    alike: Sequence[Likeness]
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
            "alike": [asdict(likeness) for likeness in self.alike],
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
    collections: Sequence[Collection],
    missing: Mapping[str, str],
    *,
    look: bool,
    near_duplicates: bool = False,
) -> Description:
    """Counts everything.

    Args:
        collections: splits of one collection.
        missing: splits that are not there, and why.
        look: for the image files; takes a while where there are many.
        near_duplicates: compare what images show, if they are looked for; takes minutes.
    """
    published = {c.split: PUBLISHED.get((c.kind, c.split)) for c in collections}
    splits = {c.split: summarise(c.annotations) for c in collections}
    shared, comparable = overlaps({c.split: c.annotations for c in collections})
    opened = {c.split: c.open_images() for c in collections} if look else {}
    alike = list[Likeness]()
    if near_duplicates and len(opened) > 1:
        alike = likenesses({name: look_at(found, _COMPARED) for name, found in opened.items()})
    return Description(
        splits=splits,
        missing=missing,
        images={name: _images(found) for name, found in opened.items()},
        shared=shared,
        comparable=comparable,
        alike=alike,
        compared={name: compare(summary, published[name]) for name, summary in splits.items()},
        sources={name: found.source for name, found in published.items() if found},
    )


def _images(found: LabelledImages) -> ListedImages:
    names = tuple(dict.fromkeys(found.names[row] for row in found.absent))
    return ListedImages(
        listed=len(found),
        absent=len(found.absent),
        absent_images=len(names),
        first=names[:_NAMED],
    )
