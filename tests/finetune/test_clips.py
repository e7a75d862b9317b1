"""Clips: frames by number, gaps masked, one crop, and what each epoch sees."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from greys import WHOLE, Grey, targets

from finetune.clips import ClipConfig, LabelledClips, cut_clips
from finetune.data.annotations import Annotations
from finetune.data.images import LabelledImages
from pretrain.data.transforms import AugmentationConfig
from pretrain.errors import UserError

#: Two videos of 7 and 5 frames: the first with a gap after frame 3, the second not in order.
VIDEOS = ["a"] * 7 + ["b"] * 5
FRAMES = [1, 2, 3, 7, 8, 9, 10, 30, 10, 11, 12, 31]


def annotations(**changes: object) -> Annotations:
    known = Annotations(
        [f"{index}.png" for index in range(12)],
        targets(),
        videos=VIDEOS,
        frames=np.array(FRAMES),
    )
    return replace(known, **changes)


def clips(config: ClipConfig, bad: tuple[int, ...] = (), **options: object) -> LabelledClips:
    known: dict[str, object] = {"augmentation": WHOLE, "seed": 3} | options
    images = LabelledImages(Grey(bad), annotations())
    return LabelledClips(images, config, described="greys", image_size=16, **known)


def test_slots_are_frame_numbers() -> None:
    found = {clip.name: clip.slots for clip in cut_clips(annotations(), ClipConfig(frames=4))}
    assert found == {
        "a@1": ((0,), (1,), (2,), ()),
        "a@5": ((), (), (3,), (4,)),
        "a@9": ((5,), (6,), (), ()),
        "b@10": ((8,), (9,), (10,), ()),
        "b@30": ((7,), (11,), (), ()),  # what lies between has no frame, and is no clip
    }


def test_a_step_puts_several_frames_into_a_slot() -> None:
    config = ClipConfig(frames=2, frame_step=3)
    found = {clip.name: clip.slots for clip in cut_clips(annotations(), config)}
    assert found["a@1"] == ((0, 1, 2), ())
    assert found["a@7"] == ((3, 4, 5), (6,))
    seen = set()
    dataset = clips(config)
    place = [clip.name for clip in dataset.clips].index("a@1")
    for epoch in range(20):
        batch = dataset[epoch, np.array([place])]
        seen.add(int(batch.images[0, 0, 0, 0]))
    assert seen == {0, 10, 20}


def test_a_frame_that_is_listed_twice_is_seen_once() -> None:
    images = ["0.png", "0.png", *(f"{index}.png" for index in range(2, 12))]
    frames = np.array([1, 1, *range(2, 12)])
    known = annotations(images=images, videos=["a"] * 12, frames=frames)
    (clip,) = cut_clips(known, ClipConfig(frames=20))
    assert [row for slot in clip.slots for row in slot] == [0, *range(2, 12)]


def test_empty_slots_are_masked_and_have_no_labels() -> None:
    dataset = clips(ClipConfig(frames=4))
    batch = dataset[0, np.array([1, 0])]
    assert batch.present.tolist() == [[False, False, True, True], [True, True, True, False]]
    assert batch.images.shape == (8, 3, 16, 16)
    assert batch.images[:, 0, 0, 0].tolist() == [0, 0, 30, 40, 0, 10, 20, 0]
    labels, known = batch.labels, targets()
    rows = torch.tensor([3, 4, 0, 1, 2])
    there = batch.present.flatten()
    assert not labels.expression_valid[~there].any()
    assert not labels.action_units_valid[~there].any()
    assert not labels.valence_arousal_valid[~there].any()
    assert labels.expression[there].tolist() == known.expression[rows].tolist()
    assert labels.expression_valid[there].tolist() == known.expression_valid[rows].tolist()


def test_a_bad_frame_leaves_its_slot_empty_and_is_named() -> None:
    batch = clips(ClipConfig(frames=4), bad=(1,))[0, np.array([0])]
    assert batch.present.tolist() == [[True, False, True, False]]
    assert batch.bad == [("1.png", "broken")]


def test_a_clip_that_cannot_be_read_is_empty() -> None:
    batch = clips(ClipConfig(frames=4), bad=(0, 1, 2))[0, np.array([0])]
    assert not batch.present.any()
    assert not batch.labels.action_units_valid.any()
    assert len(batch.bad) == 3


def test_two_images_of_one_frame_are_refused() -> None:
    known = annotations(videos=["a"] * 12, frames=np.array([1, 1, *range(2, 12)]))
    with pytest.raises(UserError, match=r"0\.png and 1\.png are both frame 1 of a"):
        cut_clips(known, ClipConfig())


def test_all_frames_of_a_clip_have_one_crop() -> None:
    class Ramp(Grey):
        def image(self, index: int) -> np.ndarray:
            ramp = np.arange(64, dtype=np.uint8)
            return np.broadcast_to(3 * ramp[None, :, None], (64, 64, 3)).copy()

    images = LabelledImages(Ramp(), annotations())
    dataset = LabelledClips(
        images,
        ClipConfig(frames=3),
        described="ramps",
        seed=1,
        image_size=16,
        augmentation=AugmentationConfig(crop_scale=(0.2, 0.6)),
    )
    batch = dataset[0, np.array([0])]
    assert batch.present.all()
    assert torch.equal(batch.images[0], batch.images[1])
    assert torch.equal(batch.images[0], batch.images[2])
    assert not torch.equal(batch.images[0], dataset[1, np.array([0])].images[0])
    assert torch.equal(batch.images, dataset[0, np.array([0])].images)


def test_the_samples_are_clips_by_name() -> None:
    dataset = clips(ClipConfig(frames=4))
    assert len(dataset) == 5
    assert len(set(dataset.ids.tolist())) == 5
    assert dataset.images_per_sample == 12 / 5


def test_stills_have_no_clips() -> None:
    with pytest.raises(UserError, match="a list of stills, expected one with the video and frame"):
        cut_clips(annotations(videos=None, frames=None), ClipConfig())


@pytest.mark.parametrize("name", ["frames", "frame_step"])
def test_clips_of_nothing_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} 0, expected at least 1"):
        ClipConfig(**{name: 0})
