"""What is known of a table that was made of several: one fingerprint, and all that they saw."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any


def joint_model(models: Sequence[str], *more: Any) -> str:
    """The fingerprint of several models together; empty if one of them is unknown.

    Args:
        models: their fingerprints.
        more: what else makes the result, JSON values.
    """
    if not all(models):
        return ""
    return hashlib.sha256(json.dumps([list(models), *more]).encode()).hexdigest()


def union(parts: Sequence[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    """All texts of all parts, sorted; None if those of one are unknown."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return tuple(sorted({text for part in known for text in part}))
