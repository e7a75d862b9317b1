"""What training and held-out rows share: a score of what was trained on says nothing.

Rows are compared by the names that both lists have for them, and images by what they show. Lists of
two collections have no names in common that mean the same: compare each training collection with
held-out rows of its own.
"""

from __future__ import annotations

from finetune.data.annotations import Annotations
from finetune.data.images import LabelledImages
from finetune.data.look_alikes import likenesses, look_at
from pretrain.errors import UserError

#: Groups that a message names.
_NAMED = 3


class OverlapError(UserError):
    """Held-out rows that are trained on."""


def check_separate(
    training: Annotations,
    held_out: Annotations,
    *,
    split: str,
    allow_overlap: bool,
    against: str = "the training rows",
) -> tuple[str, ...]:
    """Refuses held-out rows whose recording or person the training rows have as well.

    A recording is a source video: its parts and the persons in it are one. Where the lists know no
    such name in common, images are compared, and where each knows another one (subjects here,
    recordings there), a remark says what cannot be known.

    Args:
        training: rows to train on.
        held_out: rows to score, of the same collection.
        split: what the held-out rows are called.
        allow_overlap: go on all the same.
        against: what the training rows are called; rows that a model is selected on are seen too.

    Returns:
        Remarks that belong to every score of the held-out rows.

    Raises:
        OverlapError: they share something, and nobody allows it.
    """
    ours, theirs = _names(training), _names(held_out)
    kinds = [kind for kind in theirs if kind in ours]
    remarks = list[str]()
    if ours and theirs and not kinds:
        remarks.append(
            f"whether {split} shares people with {against} is unknown: of those"
            f" {' and '.join(ours)} are known, of these {' and '.join(theirs)}"
        )
    if not kinds:
        kinds = ["images"]
        ours, theirs = {"images": set(training.images)}, {"images": set(held_out.images)}
    shared = {kind: theirs[kind] & ours[kind] for kind in kinds}
    parts = [
        f"{len(names)} of its {len(theirs[kind])} {kind} ({_first(names)})"
        for kind, names in shared.items()
        if names
    ]
    if parts:
        what = f"{split} shares {' and '.join(parts)} with {against}"
        if not allow_overlap:
            raise OverlapError(
                f"{what}, expected none; --allow_overlap true goes on and marks every score"
            )
        remarks.insert(0, f"overlap allowed: {what}")
    return tuple(remarks)


def equal_images(
    training: LabelledImages, held_out: LabelledImages, *, most: int = 2000
) -> tuple[str, ...]:
    """Looks for held-out images among the training images, under whatever name.

    Args:
        training: images to train on.
        held_out: images to score.
        most: held-out images that are looked at, evenly spaced; of the training images ten times as
            many.

    Returns:
        A remark on equal files and one on pictures that look alike, as far as there are any.
    """
    lists = {
        "the training rows": look_at(training, 10 * most),
        "the held-out rows": look_at(held_out, most),
    }
    (found,) = likenesses(lists)
    lines = (found.line(same_file=same_file) for same_file in (True, False))
    return tuple(line for line in lines if line)


def _names(annotations: Annotations) -> dict[str, set[str]]:
    """The groups of the rows by every kind of name but that of the image."""
    names = dict[str, set[str]]()
    if annotations.videos is not None:
        names["recordings"] = set(annotations.recordings)
    if annotations.subjects is not None:
        names["subjects"] = set(annotations.subjects)
    return names


def _first(names: set[str]) -> str:
    return ", ".join(sorted(names)[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
