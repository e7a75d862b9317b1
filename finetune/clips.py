"""Clips of labelled videos on their way to the loop: frames by their numbers, gaps masked.

Shapes: B clips, T slots of a clip, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from finetune.batches import LabelledBatch, LabelTensors
from finetune.data.annotations import Annotations
from finetune.data.images import LabelledImages
from finetune.data.sound.sounds import Sounds
from pretrain.data.images import BadImage
from pretrain.data.loader import AugmentedImages, Request
from pretrain.data.order import Ids, sample_ids, uniform
from pretrain.data.transforms import CROP_DRAWS, AugmentationConfig, apply_crop, random_crop
from pretrain.errors import UserError


@dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """Windows of videos.

    Attributes:
        frames: slots of a clip, T.
        frame_step: frame numbers that a slot stands for; one listed frame of them, a random one in
            every epoch, is seen.
        silence: share of the clips whose sound is left out, so that a model learns to do without.
    """

    frames: int = 80
    frame_step: int = 1
    silence: float = 0.0

    def __post_init__(self) -> None:
        """Refuses clips of nothing."""
        for name in ("frames", "frame_step"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}, expected at least 1")
        if not 0 <= self.silence < 1:
            raise ValueError(f"silence {self.silence}, expected in [0, 1)")


@dataclass(frozen=True)
class ClipBatch(LabelledBatch):
    """A micro-batch of clips.

    ``images`` and ``labels`` are those of all slots, clip by clip: [B * T, ...]; where no frame is
    present, images are 0 and no label is valid. In the place of images there may be features
    [B * T, F] float32, as a frozen trunk sees them.

    Attributes:
        present: [B, T] bool, slots in which a frame is seen.
        sound: [B * T, S, M] log-mel patches around the frames, 0 where nothing is heard; None: for
            a model that does not listen.
        heard: [B * T] bool, where there is sound.
    """

    present: Tensor
    sound: Tensor | None = None
    heard: Tensor | None = None


@dataclass(frozen=True)
class Clip:
    """Where the frames of a clip are.

    Attributes:
        name: of the video and its first frame.
        slots: rows of the list by slot, in the order of their frames; empty where there is none.
    """

    name: str
    slots: tuple[tuple[int, ...], ...]


def cut_clips(annotations: Annotations, config: ClipConfig) -> list[Clip]:
    """Cuts every video into clips that follow each other; the last one may be short.

    A video begins at its first listed frame. Clips without any frame are left out; rows that are
    listed twice count once.

    Raises:
        UserError: stills, or two images of one frame.
    """
    if annotations.videos is None or annotations.frames is None:
        raise UserError(
            "data.kind: a list of stills, expected one with the video and frame of each image"
        )
    rows_of: dict[str, dict[int, int]] = {}
    images = annotations.images
    for row, (video, frame) in enumerate(
        zip(annotations.videos, annotations.frames.tolist(), strict=True)
    ):
        other = rows_of.setdefault(video, {}).setdefault(frame, row)
        if images[other] != images[row]:
            raise UserError(
                f"data.kind: {images[other]} and {images[row]} are both frame {frame} of {video},"
                " expected one image"
            )
    found = list[Clip]()
    for video, rows in rows_of.items():
        first = min(rows)
        clips: dict[int, list[list[int]]] = {}
        for frame in sorted(rows):
            clip, slot = divmod((frame - first) // config.frame_step, config.frames)
            slots = clips.setdefault(clip, [[] for _ in range(config.frames)])
            slots[slot].append(rows[frame])
        found += [
            Clip(f"{video}@{first + clip * config.frames * config.frame_step}", _frozen(slots))
            for clip, slots in clips.items()
        ]
    return found


def _frozen(slots: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, slots))


class LabelledClips(AugmentedImages[ClipBatch]):
    """Clips, all frames of one in the same crop. A bad image leaves its slot empty.

    Args:
        images: frames of videos and their labels.
        clips: how they are cut.
        described: what they are, for errors.
        seed: the run's seed.
        image_size: pixels a side that the model takes.
        augmentation: crop and flip.
        sounds: of the videos; None: nothing is heard.

    Raises:
        UserError: stills.
    """

    def __init__(
        self,
        images: LabelledImages,
        clips: ClipConfig,
        *,
        sounds: Sounds | None = None,
        described: str,
        seed: int,
        image_size: int,
        augmentation: AugmentationConfig,
    ) -> None:
        self.clips = cut_clips(images.annotations, clips)
        super().__init__(
            images,
            described=described,
            seed=seed,
            image_size=image_size,
            augmentation=augmentation,
        )
        self.ids = sample_ids([clip.name for clip in self.clips])
        self.length = clips.frames
        listed = sum(len(slot) > 0 for clip in self.clips for slot in clip.slots)
        self.images_per_sample = listed / len(self.clips)
        self.labels, self.sounds, self.silence = (
            LabelTensors.of(images.targets),
            sounds,
            clips.silence,
        )
        self._known = images.annotations

    def __getitem__(self, request: Request) -> ClipBatch:
        """The micro-batch of an epoch and indices of clips."""
        epoch, indices = request
        ids = self.ids[indices]
        chosen = uniform(seed=self.seed, epoch=epoch, ids=ids, purpose="frame", draws=self.length)
        rows = np.full(chosen.shape, -1)
        for place, index in enumerate(indices):
            for slot, listed in enumerate(self.clips[int(index)].slots):
                if listed:
                    rows[place, slot] = listed[int(chosen[place, slot] * len(listed))]
        seen, rows, bad = self.see(epoch, ids, rows)
        sound, heard = self._sound(epoch, ids, rows)
        return ClipBatch(
            images=seen,
            labels=_labels(self.labels, rows.reshape(-1)),
            noise=None,
            epoch=epoch,
            bad=bad,
            present=torch.from_numpy(rows >= 0),
            sound=sound,
            heard=heard,
        )

    def see(
        self, epoch: int, ids: Ids, rows: NDArray[np.int64]
    ) -> tuple[Tensor, NDArray[np.int64], list[tuple[str, str]]]:
        """What is in the slots of clips.

        Args:
            epoch: of the crops.
            ids: of the clips.
            rows: [B, T] of the list; -1 where no frame is.

        Returns:
            Images [B * T, 3, H, W] uint8; the rows [B, T], -1 where none could be read; (name,
            reason) of bad ones.
        """
        bad = list[tuple[str, str]]()
        crops = uniform(seed=self.seed, epoch=epoch, ids=ids, purpose="crop", draws=CROP_DRAWS)
        images = torch.zeros(*rows.shape, 3, self.image_size, self.image_size, dtype=torch.uint8)
        shown = np.full(rows.shape, -1)
        for place, slot in np.argwhere(rows >= 0):
            row = int(rows[place, slot])
            try:
                pixels = self.source.image(row)
            except BadImage as error:
                bad.append((error.name, error.reason))
                continue
            aspect = self.source.aspect(row) or pixels.shape[1] / pixels.shape[0]
            crop = random_crop(crops[place], aspect, self.augmentation)
            images[place, slot] = apply_crop(pixels, crop, self.image_size)
            shown[place, slot] = row
        return images.flatten(0, 1), shown, bad

    def _sound(
        self, epoch: int, ids: Ids, rows: NDArray[np.int64]
    ) -> tuple[Tensor | None, Tensor | None]:
        """What is heard in the slots of clips, but in those that are silenced."""
        if self.sounds is None:
            return None, None
        draws = uniform(seed=self.seed, epoch=epoch, ids=ids, purpose="silence", draws=1)[:, 0]
        there = (rows >= 0) & (draws >= self.silence)[:, None]
        return patches(self.sounds, self._known, np.where(there, rows, -1).reshape(-1))


def patches(sounds: Sounds, known: Annotations, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """What is heard around the frames of rows; -1 is silence.

    Returns:
        Log-mel patches [n, S, M] float32, 0 where nothing is heard; where something is, [n] bool.
    """
    assert known.videos is not None
    assert known.frames is not None
    form = sounds.form
    sound = torch.zeros(len(rows), form.frames, form.bands)
    heard = torch.zeros(len(rows), dtype=torch.bool)
    for place, row in enumerate(rows.tolist()):
        found = None if row < 0 else sounds.patch(known.videos[row], int(known.frames[row]))
        if found is not None:
            sound[place], heard[place] = torch.from_numpy(found), True
    return sound, heard


def _labels(labels: LabelTensors, rows: NDArray[np.int64]) -> LabelTensors:
    """The labels of rows; of -1 none is valid."""
    found = labels.rows(np.maximum(rows, 0))
    there = torch.from_numpy(rows >= 0)
    return replace(
        found,
        valence_arousal_valid=found.valence_arousal_valid & there[:, None],
        expression_valid=found.expression_valid & there,
        action_units_valid=found.action_units_valid & there[:, None],
    )
