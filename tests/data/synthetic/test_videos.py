"""Videos of drawn faces: one frame is as likely as a still, and the next is near."""

from dataclasses import replace

import numpy as np
import pytest

from pretrain.data.synthetic import SyntheticConfig, SyntheticFaces
from pretrain.data.synthetic.videos import FRAMES_PER_SECOND, LONGEST_GAP, path

VIDEOS = SyntheticConfig(count=3000, size=32, subjects=60, frames_per_video=50)


@pytest.fixture(scope="module")
def faces() -> SyntheticFaces:
    return SyntheticFaces(VIDEOS)


@pytest.fixture(scope="module")
def valence(faces: SyntheticFaces) -> np.ndarray:
    """[videos, frames] of the true states."""
    return np.array([faces.state(index).valence for index in range(3000)]).reshape(60, 50)


def test_a_frame_is_distributed_as_a_still(valence: np.ndarray) -> None:
    stills = SyntheticFaces(replace(VIDEOS, frames_per_video=0))
    alone = np.array([stills.state(index).valence for index in range(3000)])
    assert valence.mean() == pytest.approx(alone.mean(), abs=0.1)  # 60 videos are few
    assert valence.std() == pytest.approx(alone.std(), rel=0.12)


def test_states_wander(valence: np.ndarray) -> None:
    steps = np.abs(np.diff(valence, axis=1)).mean()
    others = np.abs(valence - np.roll(valence, 1, axis=0)).mean()
    assert steps < 0.5 * others


def test_paths_have_the_correlation_of_their_time_constant() -> None:
    lags = {0.2: [], 2.0: []}
    for video in range(200):
        known = path(0, 0, video, 200)
        full = np.full((known.frames[-1] + 1, 8), np.nan)
        full[known.frames] = known.latents[:, :8]
        for seconds, found in lags.items():
            step = round(seconds * FRAMES_PER_SECOND)
            found.append(np.nanmean(full[step:] * full[:-step]))
    # exp(-lag / tau), tau uniform in 2 to 5 s
    for seconds, found in lags.items():
        expected = np.exp(-seconds / np.linspace(2, 5, 1000)).mean()
        assert np.mean(found) == pytest.approx(expected, abs=0.05)


def test_frame_numbers_rise_with_gaps(faces: SyntheticFaces) -> None:
    frames = np.array([faces.video(index)[1] for index in range(3000)]).reshape(60, 50)
    steps = np.diff(frames, axis=1)
    assert (frames[:, 0] == 1).all()
    assert steps.min() == 1
    assert steps.max() == 1 + LONGEST_GAP
    assert 0.02 < (steps > 1).mean() < 0.09


def test_a_video_shows_one_person_and_its_names_say_so(faces: SyntheticFaces) -> None:
    for start in (0, 50, 2950):
        people = {faces.labels(index)["subject"] for index in range(start, start + 50)}
        videos = {faces.names[index].split("/")[0] for index in range(start, start + 50)}
        (person,), (video,) = people, videos
        assert video == f"{person}-v{start // 50:05d}"
    assert len(set(faces.names)) == 3000


def test_annotators_are_late(faces: SyntheticFaces, valence: np.ndarray) -> None:
    told = np.array(
        [faces.state_and_all_labels(index)[1]["valence"] for index in range(3000)], float
    ).reshape(60, 50)
    apart = [np.abs(told[:, delay:] - valence[:, : 50 - delay]).mean() for delay in range(5)]
    assert 1 <= int(np.argmin(apart)) <= 4


def test_what_is_missing_is_missing_in_all_of_a_video(faces: SyntheticFaces) -> None:
    for start in range(0, 3000, 50):
        labels = [faces.labels(index) for index in range(start, start + 50)]
        assert len({label["valence"] is None for label in labels}) == 1
        assert len({label["AU1"] is None for label in labels}) == 1


def test_images_are_functions_of_config_and_index() -> None:
    again = SyntheticFaces(VIDEOS)
    np.testing.assert_array_equal(again.image(70), SyntheticFaces(VIDEOS).image(70))
    assert (again.image(70) != again.image(71)).any()
    # The backdrop's corner stays, but for the grain.
    corners = np.array([again.image(index)[:3, :3].mean() for index in range(50, 70)])
    assert corners.std() < 12


def test_posed_faces_are_stills() -> None:
    with pytest.raises(ValueError, match="frames_per_video 5 with style posed"):
        SyntheticConfig(style="posed", frames_per_video=5)
