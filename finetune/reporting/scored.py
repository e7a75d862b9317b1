"""What a report is made of: a table joined with its labels, scored, and where all of it is from."""

from __future__ import annotations

from dataclasses import dataclass

from finetune.data.opening import Collection
from finetune.scoring.joined import Joined
from finetune.scoring.scores import Scores


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A table's file.

    Attributes:
        file: as the command named it.
        digest: SHA-256 of its bytes, in hexadecimal.
        model: the model's fingerprint; empty: unknown.
    """

    file: str
    digest: str
    model: str


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A scored table.

    Attributes:
        origin: of the table.
        collection: its labels and images.
        root: the collection's folder, as the command named it; None: it needs none.
        joined: predictions and labels.
        scores: of them, with every note on the table.
        seed: of the resamples.
        drawn: whether the faces are drawn.
        baseline: another table; None: it is compared with none.
        difference: scores of the table minus those of the baseline; None likewise.
    """

    origin: Origin
    collection: Collection
    root: str | None
    joined: Joined
    scores: Scores
    seed: int
    drawn: bool
    baseline: Origin | None = None
    difference: Scores | None = None
