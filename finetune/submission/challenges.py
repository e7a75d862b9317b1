"""The challenges: what each asks of an image, how its files look, what its rules forbid.

``abaw_mtl`` (ABAW4, 7 and 11) and ``abaw_lsd`` (ABAW4) are one file each, as are ``abaw_va``,
``abaw_expr`` and ``abaw_au`` since ABAW5. ``abaw1_*``, ``abaw2_*`` and ``abaw3_*`` are a folder
with a file for every video.

Sources: the organisers' descriptions of the challenges and the forms of their files. The headers of
ABAW1 and 2 are those of their annotation files, which submissions had to follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from finetune.data.published import PUBLISHED
from finetune.labels import (
    ACTION_UNIT_SPACES,
    EXPRESSION_SPACES,
    VALENCE_AROUSAL,
    ActionUnitSpace,
    ExpressionSpace,
)
from pretrain.errors import UserError

#: What the cell of the expression's index is called.
EXPRESSION = "expression"

#: What s-Aff-Wild2's training set has labels of.
_TRAINING = PUBLISHED["aff_wild2_mtl", "train"]


class ChallengeError(UserError):
    """A challenge that is none, or a submission that cannot be made or read."""


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """What is asked of every image, and the form of the files.

    A row has the image (not in the file of a video), valence and arousal, the index of the
    expression, and 0 or 1 for each action unit, as far as they are asked for.

    Attributes:
        name: as ``--challenge`` has it.
        header: the first line, which need not have a name for every cell of a row.
        valence_arousal: whether both are asked for.
        expressions: the classes that an index counts; None: no expression is asked for.
        action_units: in the order of their cells; None: none are asked for.
        per_video: a folder with a file for every video, whose line i after the header is frame i,
            instead of one file for all.
        forbidden: collections (``data.kind``) that no weight may have been trained on.
        listed: rows of the published list; None: not known, or another in every edition.
        training: shares of the training labels by name of the class or action unit; a name that is
            not there is unknown.
    """

    name: str
    header: str
    valence_arousal: bool = False
    expressions: ExpressionSpace | None = None
    action_units: ActionUnitSpace | None = None
    per_video: bool = False
    forbidden: tuple[str, ...] = ()
    listed: int | None = None
    training: Mapping[str, float] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """What the cells of a row after the image are called."""
        affect = VALENCE_AROUSAL if self.valence_arousal else ()
        expression = (EXPRESSION,) if self.expressions else ()
        return (*affect, *expression, *(self.action_units.names if self.action_units else ()))


def _training(
    expressions: ExpressionSpace | None, units: ActionUnitSpace | None
) -> dict[str, float]:
    """Shares in s-Aff-Wild2, of the classes among those of the space."""
    classes = expressions.classes if expressions else ()
    total = sum(_TRAINING.classes[name] for name in classes)
    shares = {name: _TRAINING.classes[name] / total for name in classes}
    known = [name for name in (units.names if units else ()) if name in _TRAINING.units]
    rows = _TRAINING.totals["action_units"]
    return shares | {name: _TRAINING.units[name] / rows for name in known}


def _track(
    prefix: str, expressions: ExpressionSpace, units: ActionUnitSpace, image: str = ""
) -> list[Challenge]:
    """The three tracks of an edition of the video-wise challenges."""
    per_video = not image
    return [
        Challenge(
            name=f"{prefix}_va",
            header=f"{image}valence,arousal",
            valence_arousal=True,
            per_video=per_video,
        ),
        Challenge(
            name=f"{prefix}_expr",
            header=image + ",".join(expressions.classes),
            expressions=expressions,
            per_video=per_video,
            training=_training(expressions, None),
        ),
        Challenge(
            name=f"{prefix}_au",
            header=image + ",".join(units.names),
            action_units=units,
            per_video=per_video,
            training=_training(None, units),
        ),
    ]


_SEVEN, _EIGHT = EXPRESSION_SPACES["aff_wild2_7"], EXPRESSION_SPACES["aff_wild2_8"]
_EIGHT_UNITS, _UNITS = ACTION_UNIT_SPACES["aff_wild_8"], ACTION_UNIT_SPACES["aff_wild2_12"]

#: The audio-visual database; the stills that were drawn from it are another kind.
_AUDIO_VISUAL = ("aff_wild2_video",)

CHALLENGES: Mapping[str, Challenge] = {
    challenge.name: challenge
    for challenge in (
        Challenge(
            name="abaw_mtl",
            header="image,valence,arousal,expression,aus",
            valence_arousal=True,
            expressions=_EIGHT,
            action_units=_UNITS,
            forbidden=_AUDIO_VISUAL,
            listed=PUBLISHED["aff_wild2_mtl", "test"].totals["rows"],
            training=_training(_EIGHT, _UNITS),
        ),
        Challenge(
            name="abaw_lsd",
            header="image,expression",
            expressions=EXPRESSION_SPACES["lsd_6"],
            forbidden=_AUDIO_VISUAL,
            listed=PUBLISHED["lsd", "test"].totals["rows"],
        ),
        *_track("abaw", _EIGHT, _UNITS, "image_location,"),
        *_track("abaw1", _SEVEN, _EIGHT_UNITS),
        *_track("abaw2", _SEVEN, _UNITS),
        *_track("abaw3", _EIGHT, _UNITS),
    )
}


def challenge(name: str) -> Challenge:
    """A challenge by its name.

    Raises:
        ChallengeError: there is none.
    """
    if name not in CHALLENGES:
        raise ChallengeError(f"challenge {name!r}, expected one of {', '.join(CHALLENGES)}")
    return CHALLENGES[name]
