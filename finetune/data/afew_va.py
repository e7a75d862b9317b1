"""AFEW-VA: valence and arousal of every frame of short film clips.

::

    001/001.json                  or in folders of clips: 01/001/001.json
    001/00000.png

    {"video_id": "001", "actor": "Name", "frames":
        {"00000": {"valence": -3.0, "arousal": 4.0, "landmarks": [[x, y], ...]}, ...}}

Values are -10 to 10 and are divided by 10; none is missing. A clip is known by its folder. Clips
come in the order of their names, frames in the order of their numbers (the frames of a file have no
order). There are no splits; who needs folds makes them of ``subjects``, the actors.

Source: Kossaifi, Tzimiropoulos, Todorovic, Pantic, "AFEW-VA database for valence and arousal
estimation in-the-wild", IVC 2017, and the collection's own files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from finetune.data.annotations import AnnotationError, Annotations
from finetune.data.columns import WHOLE, check_split, entries, make_targets, shown
from finetune.labels import VALENCE_AROUSAL, Floats, LabelError, valence_arousal_from_codes

SPLITS = (WHOLE,)

#: Folders below the root that may hold the images.
IMAGE_ROOTS = (".",)

_CLIP = "a clip: an object with actor and frames"
_FRAME = re.compile(r"\d{1,18}", re.ASCII)


def read(root: Path, split: str) -> Annotations:
    """Every frame of every clip.

    Args:
        root: with the clips.
        split: the one of :data:`SPLITS`.

    Raises:
        AnnotationError: a file is not as above, or there is none.
    """
    check_split(root, split, SPLITS)
    images, videos, subjects = list[str](), list[str](), list[str]()
    frames: list[int] = []
    parts: list[Floats] = []
    for clip in _clips(root):
        file = root / clip / f"{Path(clip).name}.json"
        actor, names, values = _read_clip(file)
        images += [f"{clip}/{name}.png" for name in names]
        videos += [clip] * len(names)
        subjects += [actor] * len(names)
        frames += map(int, names)
        parts.append(_values(file, names, values))
    if not images:
        raise AnnotationError(root, None, "no frames", "clips <clip>/<clip>.json")
    values = np.concatenate(parts)
    targets = make_targets(
        len(images), valence_arousal=valence_arousal_from_codes(values, missing=(), scale=10)
    )
    return Annotations(images, targets, videos, np.array(frames, np.int64), subjects)


def _clips(root: Path) -> Iterator[str]:
    """Folders with the labels of a clip, of which some may lie in folders of clips."""
    expected = "folders of clips, <clip>/<clip>.json"
    for outer in entries(root, expected):
        if not (root / outer).is_dir():
            continue
        inside = entries(root / outer, expected)
        if f"{outer}.json" in inside:
            yield outer
            continue
        clips = [name for name in inside if (root / outer / name).is_dir()]
        if not clips:
            raise AnnotationError(root / outer, None, "no labels", f"{outer}.json")
        for clip in clips:
            if f"{clip}.json" not in entries(root / outer / clip, expected):
                raise AnnotationError(root / outer / clip, None, "no labels", f"{clip}.json")
            yield f"{outer}/{clip}"


def _read_clip(file: Path) -> tuple[str, list[str], Floats]:
    """The actor, the frames in their order, and valence and arousal [n, 2] as the file has them."""
    clip = _object(file, _parse(file), "", _CLIP)
    actor = clip.get("actor")
    if not isinstance(actor, str) or not actor.isprintable() or not actor:
        raise AnnotationError(file, None, shown(str(actor)), "a name", "actor")
    frames = _object(file, clip.get("frames"), "frames", "an object of frames, by their numbers")
    for name in frames:
        if not _FRAME.fullmatch(name):
            raise AnnotationError(file, None, shown(name), "a frame's number", "frames")
    names = sorted(frames, key=lambda name: (int(name), name))
    rows = []
    for name in names:
        frame = _object(file, frames[name], f"frame {name}", "valence and arousal")
        for label in VALENCE_AROUSAL:
            if not isinstance(frame.get(label), float):
                got = shown(str(frame.get(label, "nothing")))
                raise AnnotationError(file, None, got, "a number", f"frame {name} {label}")
        rows.append([frame[label] for label in VALENCE_AROUSAL])
    return actor, names, np.array(rows, np.float64).reshape(len(rows), 2)


def _values(file: Path, names: list[str], values: Floats) -> Floats:
    """The values unchanged, once they are known to be in their range."""
    try:
        valence_arousal_from_codes(values, missing=(), scale=10)
    except LabelError as error:
        column = f"frame {names[error.row or 0]} {error.column}"
        raise AnnotationError(file, None, str(error.got), error.expected, column) from None
    return values


def _parse(file: Path) -> object:
    try:
        # Every number becomes a float: a whole one of a thousand digits is infinity, not an error.
        parsed: object = json.loads(
            file.read_bytes().decode("utf-8-sig"), parse_int=float, object_pairs_hook=_distinct
        )
    except OSError as error:
        raise AnnotationError(file, None, error.strerror or str(error), _CLIP) from None
    except json.JSONDecodeError as error:
        raise AnnotationError(file, error.lineno, error.msg, "JSON") from None
    except UnicodeDecodeError as error:
        got = f"byte 0x{error.object[error.start]:02x}"
        raise AnnotationError(file, None, got, "JSON in UTF-8") from None
    except _RepeatedKeyError as error:
        raise AnnotationError(file, None, f"{shown(str(error))} twice", "each key once") from None
    except RecursionError:
        raise AnnotationError(file, None, "nested without end", _CLIP) from None
    return parsed


class _RepeatedKeyError(ValueError):
    """A key that an object has twice; JSON would keep the last."""


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _RepeatedKeyError(next(key for key in keys if keys.count(key) > 1))
    return found


def _object(file: Path, value: object, place: str, expected: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise AnnotationError(file, None, shown(str(value)), expected, place)
    return value
