"""Log-mel spectrograms: where a tone is heard, when a click is, and what silence looks like."""

import numpy as np
import pytest

from finetune.data.sound.logmel import FLOOR, PRESETS, LogMel


def tone(hertz: float, form: LogMel, seconds: float = 1.0, amplitude: float = 1.0) -> np.ndarray:
    time = np.arange(round(seconds * form.sample_rate_hz)) / form.sample_rate_hz
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("hertz", [440.0, 1000.0, 4000.0])
def test_a_tone_is_loudest_in_the_band_of_its_pitch(preset: str, hertz: float) -> None:
    form = PRESETS[preset]
    found = form.spectrogram(tone(hertz, form))
    highest = 2595 * np.log10(1 + form.sample_rate_hz / 2 / 700)  # HTK's mel
    centres = 700 * (10 ** (np.linspace(0, highest, 66)[1:-1] / 2595) - 1)
    band = int(np.abs(centres - hertz).argmin())
    assert abs(int(found[20].argmax()) - band) <= 1


def test_loudness_is_a_difference_of_logarithms() -> None:
    form = LogMel()
    loud, soft = (
        form.spectrogram(tone(1000, form, amplitude=amplitude)) for amplitude in (1.0, 0.1)
    )
    assert (loud - soft)[20].max() == pytest.approx(np.log(100), abs=0.01)
    assert loud[20].max() == pytest.approx(0, abs=1.0)  # about 1 for a whole sine


@pytest.mark.parametrize("preset", PRESETS)
def test_a_click_is_heard_when_it_is(preset: str) -> None:
    form = PRESETS[preset]
    sound = np.zeros(2 * form.sample_rate_hz, np.float32)
    sound[round(1.1 * form.sample_rate_hz)] = 1
    found = form.spectrogram(sound).sum(1)
    assert abs(int(found.argmax()) * form.hop_seconds - 1.1) <= form.hop_seconds
    assert len(found) == pytest.approx(2 / form.hop_seconds, abs=2)


@pytest.mark.parametrize("name", PRESETS)
def test_sound_and_moments_do_not_drift_apart(name: str) -> None:
    form = PRESETS[name]
    for seconds in (5.0, 300.0):
        sound = np.zeros(round((seconds + 1) * form.sample_rate_hz), np.float32)
        sound[round(seconds * form.sample_rate_hz)] = 1
        patch = form.patch(form.spectrogram(sound), seconds)
        assert abs(int(patch.sum(1).argmax()) - form.frames // 2) <= 1


def test_a_patch_is_centred_on_its_moment_and_silent_outside() -> None:
    form = LogMel()
    spectrogram = np.arange(200, dtype=np.float32)[:, None].repeat(64, 1)
    assert form.patch(spectrogram, 1.0)[:, 0].tolist() == list(range(68, 132))
    early, late = form.patch(spectrogram, 0.0)[:, 0], form.patch(spectrogram, 1.99)[:, 0]
    assert early[32:].tolist() == list(range(32))
    assert (early[:32] == np.float32(np.log(FLOOR))).all()
    assert late[:33].tolist() == list(range(167, 200))
    assert (late[33:] == np.float32(np.log(FLOOR))).all()
    assert (form.patch(spectrogram, 99.0) == np.float32(np.log(FLOOR))).all()


def test_every_band_hears_something() -> None:
    for form in PRESETS.values():
        noise = np.random.default_rng(0).standard_normal(form.sample_rate_hz).astype(np.float32)
        found = form.spectrogram(noise)[5:50]
        assert (found.std(0) > 0.1).all()
        assert np.isfinite(form.spectrogram(np.zeros(0, np.float32))).all()
