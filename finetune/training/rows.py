"""The rows of a run: trained on, chosen on, scored on; and that they have nothing in common."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from finetune.data.annotations import Annotations
from finetune.data.config import SYNTHETIC, LabelledConfig
from finetune.data.generated import Origin
from finetune.data.groups import recording, share_names
from finetune.data.images import LabelledImages, LabelledMixture
from finetune.data.opening import Collection, read_collection
from finetune.label_weights import balanced_passes
from finetune.labels import Targets
from finetune.methods.method import Method
from finetune.separation import OverlapError, check_separate, equal_images
from finetune.training.config import REST, HeldOutConfig, SelectionConfig, TrainDataConfig
from finetune.training.unlabelled import unlabelled_images
from pretrain.data.order import sample_ids, uniform
from pretrain.data.sources import Selection
from pretrain.errors import UserError

#: Groups that a message names.
_NAMED = 3


@dataclass(frozen=True)
class HeldOut:
    """Rows that are not trained on.

    Attributes:
        config: where they are from.
        collection: likewise, opened.
        images: them.
        remarks: what belongs to every score of them.
    """

    config: LabelledConfig
    collection: Collection
    images: LabelledImages
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Rows:
    """All rows of a run.

    Attributes:
        training: in the model's label spaces.
        groups: the groups of the training rows; where the model draws faces, also of those that are
            used without their labels: it draws such people, too.
        collection: that is trained on.
        origins: what drew images that are trained on.
        parts: the same rows by collection, as they were read, and images without labels.
        validation: what is scored in the end; None: nothing.
        selection: what the best weights are chosen on; None: nothing.
        said: lines for the log.
    """

    training: LabelledImages | LabelledMixture
    groups: tuple[str, ...]
    collection: Collection
    origins: tuple[Origin, ...]
    parts: tuple[LabelledImages, ...]
    validation: HeldOut | None
    selection: HeldOut | None
    said: tuple[str, ...]


def open_rows(
    data: TrainDataConfig,
    validation: HeldOutConfig,
    selection: SelectionConfig,
    method: Method,
    *,
    seed: int,
    refit: bool,
    allow_overlap: bool,
) -> Rows:
    """Reads everything that a run needs to know of labels.

    Raises:
        UserError: files that are not there or not as they should be, nothing to train on, or
            held-out rows that are trained on.
    """
    said = list[str]()
    collection = read_collection(data)
    training, rest = _training_rows(collection, data, seed, said)
    parts, held_out = [training], None
    origins = [collection.origin] if collection.origin else []
    if validation.split is not None:
        held_out = _open(_config_of(validation, data))
        if refit:
            parts.append(_there(held_out[2], said))
            origins += [held_out[1].origin] if held_out[1].origin else []
            held_out = None
    chosen: tuple[LabelledConfig, Collection, LabelledImages] | None = None
    if selection.split is not None:
        chosen = _open(_labelled(data, selection.split))
    elif selection.share:
        kept, apart = _split(parts[0].annotations, selection.share, seed, "selection")
        chosen = (_labelled(data, data.split), collection, _select(parts[0], apart))
        parts[0] = _select(parts[0], kept)
    against = {"the training rows": parts[0].annotations}
    if data.unlabelled == REST and rest is not None:
        against["the unlabelled rows"] = rest.annotations
    choosing = _checked(chosen, against, "selection", data, allow_overlap)
    if chosen:
        against["the selection rows"] = chosen[2].annotations
    scored = _checked(held_out, against, "validation", data, allow_overlap)
    said += [line for entry in (choosing, scored) if entry for line in entry.remarks]
    unlabelled = None
    if data.unlabelled is not None:
        unlabelled = _blind(unlabelled_images(data, rest), method)
        said.append(f"data.unlabelled {data.unlabelled}: {len(unlabelled)} images without labels")
    prepared = _prepared(parts, unlabelled, method, data, said)
    known = [*parts, rest] if method.draws and data.unlabelled == REST and rest else parts
    groups = sorted({key for part in known for key in part.annotations.keys})
    if unlabelled is not None:
        parts.append(unlabelled)
    return Rows(
        prepared,
        tuple(groups),
        collection,
        tuple(origins),
        tuple(parts),
        scored,
        choosing,
        tuple(said),
    )


def _there(listed: LabelledImages, said: list[str]) -> LabelledImages:
    """Those of the listed images that are there."""
    images, line = listed.to_train_on()
    if not len(images):
        raise UserError(f"{line}, expected images to train on")
    said += [line] if line else []
    return images


def _training_rows(
    collection: Collection, data: TrainDataConfig, seed: int, said: list[str]
) -> tuple[LabelledImages, LabelledImages | None]:
    """The images to train on, and those that a share leaves out."""
    images = _there(collection.open_images(), said)
    if data.share == 1:
        return images, None
    others, some = _split(images.annotations, data.share, seed, "share")
    said.append(f"data.share {data.share}: {len(some)} of {len(images)} images are used")
    return _select(images, some), _select(images, others)


def _blind(images: LabelledImages, method: Method) -> LabelledImages:
    """Images without labels, in the model's spaces."""
    if not method.takes_unlabelled:
        raise UserError(
            f"data.unlabelled with method {type(method).__name__} without masked views, which"
            " learns from labels alone; expected null, or method.views above 0"
        )
    own, labels = images.targets, method.labels
    return images.in_spaces(
        labels.expressions or own.expression_space, labels.action_units or own.action_unit_space
    )


def _config_of(validation: HeldOutConfig, data: TrainDataConfig) -> LabelledConfig:
    try:
        return validation.labelled(data)
    except ValueError as error:
        raise UserError(str(error)) from None


def _labelled(data: TrainDataConfig, split: str | None) -> LabelledConfig:
    return LabelledConfig(
        kind=data.kind,
        root=data.root,
        split=split,
        track=data.track,
        expressions=data.expressions,
        sound=data.sound,
        synthetic=data.synthetic,
    )


def _open(config: LabelledConfig) -> tuple[LabelledConfig, Collection, LabelledImages]:
    collection = read_collection(config)
    return config, collection, collection.open_images()


def _split(
    annotations: Annotations, share: float, seed: int, purpose: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows of most groups, and those of a share of them (at least one), drawn by their names.

    Raises:
        UserError: there are not two groups.
    """
    groups = np.array(annotations.groups)
    names = np.unique(groups)
    if len(names) < 2:
        raise UserError(
            f"{len(names)} {annotations.grouped_by}, expected at least 2 to hold a share of"
            f" {share} out"
        )
    draws = uniform(seed=seed, epoch=0, ids=sample_ids(names.tolist()), purpose=purpose, draws=1)[
        :, 0
    ]
    count = min(len(names) - 1, max(1, round(share * len(names))))
    apart = np.isin(groups, names[np.argsort(draws)[:count]])
    return np.flatnonzero(~apart), np.flatnonzero(apart)


def _select(images: LabelledImages, rows: NDArray[np.int64]) -> LabelledImages:
    return LabelledImages(Selection(images.source, rows), images.annotations.select(rows))


def _checked(
    entry: tuple[LabelledConfig, Collection, LabelledImages] | None,
    against: Mapping[str, Annotations],
    what: str,
    data: TrainDataConfig,
    allow_overlap: bool,
) -> HeldOut | None:
    """Held-out rows that are known not to be trained, or chosen, on.

    Names of another collection mean other people and recordings, and are not compared.
    """
    if entry is None:
        return None
    config, collection, images = entry
    collection.check_scored(f"{what} kind")
    remarks = list[str]()
    if _of_one_family(config, data):
        for name, rows in against.items():
            remarks += check_separate(
                rows, images.annotations, split=what, allow_overlap=allow_overlap, against=name
            )
    return HeldOut(config, collection, images, tuple(remarks))


def _of_one_family(one: LabelledConfig, other: LabelledConfig) -> bool:
    """Whether equal names mean the same person or recording."""
    if not share_names(one.kind, other.kind):
        return False
    if one.kind != other.kind:
        return True
    places = {None if c.folder is None else os.path.realpath(c.folder) for c in (one, other)}
    return one.kind.startswith("aff_wild2") or len(places) == 1


def trained_images(
    data: TrainDataConfig,
    validation: HeldOutConfig,
    selection: SelectionConfig,
    *,
    seed: int,
    refit: bool,
) -> list[LabelledImages]:
    """The labelled images that a run of these settings trains on, as they were read.

    Raises:
        UserError: files that are not there or not as they should be.
    """
    images, _ = _training_rows(read_collection(data), data, seed, [])
    if selection.share:
        images = _select(images, _split(images.annotations, selection.share, seed, "selection")[0])
    found = [images]
    if refit and validation.split is not None:
        found.append(_there(_open(_config_of(validation, data))[2], []))
    return found


def check_weights(
    rows: Rows,
    groups: Sequence[str] | None,
    kinds: Sequence[str] | None,
    allow_overlap: bool,
) -> Rows:
    """Refuses held-out rows whose labels the weights that a run starts from have seen.

    A CNN that was trained on them knows them better than it will know any others.

    Args:
        rows: of the run.
        groups: the groups of rows whose labels the weights have seen; None: unknown.
        kinds: the collections; None: unknown.
        allow_overlap: go on all the same.

    Returns:
        The rows, marked where they were seen.

    Raises:
        OverlapError: some were seen, and nobody allows it.
    """
    known = set(map(recording, groups or ()))

    def marked(held_out: HeldOut | None, what: str) -> HeldOut | None:
        if held_out is None or not any(
            share_names(held_out.config.kind, kind) for kind in kinds or ()
        ):
            return held_out
        seen = sorted(known & set(map(recording, held_out.images.annotations.keys)))
        if not seen:
            return held_out
        first = ", ".join(seen[:_NAMED]) + (", ..." if len(seen) > _NAMED else "")
        line = (
            f"the weights to start from have seen labels of {len(seen)} groups of {what} ({first})"
        )
        if not allow_overlap:
            raise OverlapError(
                f"{line}, expected none; --allow_overlap true goes on and marks every score"
            )
        return replace(held_out, remarks=(*held_out.remarks, f"overlap allowed: {line}"))

    return replace(
        rows,
        validation=marked(rows.validation, "validation"),
        selection=marked(rows.selection, "selection"),
    )


def look_alike(rows: Rows, held_out: HeldOut) -> tuple[str, ...]:
    """Lines on held-out pictures that are among the training pictures; drawn ones are not."""
    if held_out.config.kind == SYNTHETIC:
        return ()
    return tuple(line for part in rows.parts for line in equal_images(part, held_out.images))


def _prepared(
    parts: Sequence[LabelledImages],
    unlabelled: LabelledImages | None,
    method: Method,
    data: TrainDataConfig,
    said: list[str],
) -> LabelledImages | LabelledMixture:
    """The training rows in the model's spaces, without those that teach it nothing."""
    labels, useful = method.labels, list[LabelledImages]()
    for part in parts:
        own = part.targets
        converted = part.in_spaces(
            labels.expressions or own.expression_space,
            labels.action_units or own.action_unit_space,
            data.mapping,
        )
        said += _without_a_column(own, converted.targets, method)
        labelled = _labelled_rows(converted.targets, method.trained_tasks)
        if method.clips is not None:  # what comes before a labelled frame counts
            labelled |= True
        known = np.flatnonzero(labelled)
        if len(known) < len(converted):
            said.append(
                f"{len(converted) - len(known)} of {len(converted)} images have no label of"
                f" {', '.join(method.trained_tasks)} and are left out"
            )
        useful.append(converted if len(known) == len(converted) else _select(converted, known))
    _refuse_unlabelled_tasks([part.targets for part in useful], method, data)
    if len(useful) == 1 and not method.balanced and unlabelled is None:
        return useful[0]
    entries = [entry for part in useful for entry in _balanced(part, method.balanced)]
    if unlabelled is not None:
        entries.append((unlabelled, data.unlabelled_passes))
    space, units = useful[0].targets.expression_space, useful[0].targets.action_unit_space
    return LabelledMixture(entries, space, units)


def _without_a_column(own: Targets, converted: Targets, method: Method) -> list[str]:
    """Lines on labels of trained tasks that the model cannot answer."""
    lines = list[str]()
    if "action_units" in method.trained_tasks:
        names, there = own.action_unit_space.names, np.any(own.action_units_valid, axis=0)
        known = converted.action_unit_space.names
        lost = [n for place, n in enumerate(names) if there[place] and n not in known]
        if lost:
            lines.append(
                f"labels of {', '.join(lost)} are left out: the model answers {', '.join(known)}"
            )
    if "expression" in method.trained_tasks:
        lost_rows = own.expression_valid & ~converted.expression_valid
        lost = [own.expression_space.classes[e] for e in np.unique(own.expression[lost_rows])]
        if lost:
            lines.append(
                f"{lost_rows.sum()} labels of {', '.join(lost)} are left out: the model answers"
                f" {', '.join(converted.expression_space.classes)}"
            )
    return lines


def _labelled_rows(targets: Targets, tasks: Sequence[str]) -> NDArray[np.bool_]:
    found = np.zeros(len(targets), np.bool_)
    for task in tasks:
        valid = getattr(targets, f"{task}_valid")
        found |= valid if valid.ndim == 1 else valid.any(1)
    return found


def _refuse_unlabelled_tasks(
    targets: Sequence[Targets], method: Method, data: TrainDataConfig
) -> None:
    for task in method.trained_tasks:
        if not any(getattr(part, f"{task}_valid").any() for part in targets):
            raise UserError(
                f"data.kind {data.kind}, split {data.split}: no label of {task} that the model has"
                f" columns for, expected some; losses.{task} 0 leaves the task out"
            )


def _balanced(part: LabelledImages, balanced: bool) -> list[tuple[LabelledImages, float]]:
    """The images by expression, each with the passes that make expressions equally frequent."""
    if not balanced:
        return [(part, 1.0)]
    space = part.targets.expression_space
    found = []
    for name, passes in balanced_passes(part.targets).items():
        rows = np.flatnonzero(
            part.targets.expression_valid & (part.targets.expression == space.index(name))
        )
        found.append((_select(part, rows), passes))
    return found
