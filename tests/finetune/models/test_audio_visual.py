"""Two streams: what is heard counts, what is not heard does not, silence is the face alone."""

import torch

from finetune.models.audio_visual import AVCNNRNNConfig

CONFIG = AVCNNRNNConfig(trunk="plain_cnn", image_size=16, hidden=8, sound_features=16)


def build():
    torch.manual_seed(0)
    return CONFIG.build().eval()


def draw(frames: int):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (frames, 3, 16, 16), dtype=torch.uint8, generator=generator)
    return images, -11 + 3 * torch.randn(frames, 64, 64, generator=generator)


def flat(answer) -> torch.Tensor:
    parts = (answer.valence_arousal, answer.expression_logits, answer.action_unit_logits)
    return torch.cat(parts, 1)


def test_features_are_the_faces_the_sounds_and_whether_there_is_any() -> None:
    model, (images, sound) = build(), draw(3)
    heard = torch.tensor([True, False, True])
    with torch.no_grad():
        found = model.features_with_sound(images, sound, heard)
        face = model.trunk((images.float() / 255 - 0.5) / 0.5)
        said = model.hearing((sound.unsqueeze(1) + 11) / 3)
    assert found.shape == (3, 512 + 16 + 1)
    torch.testing.assert_close(found[:, :512], face)
    torch.testing.assert_close(found[heard][:, 512:-1], said[heard])
    assert found[:, -1].tolist() == [1, 0, 1]
    assert not found[1, 512:].any()


def test_what_is_not_heard_does_not_count() -> None:
    model, (images, sound) = build(), draw(4)
    heard, present = torch.tensor([True, False, True, False]), torch.ones(1, 4, dtype=torch.bool)
    other = sound.clone()
    other[~heard] = 99
    with torch.no_grad():
        one, two = (flat(model.answer_clips(images, present, s, heard)) for s in (sound, other))
        assert torch.equal(one, two)
        other[0] += 1
        assert not torch.equal(one, flat(model.answer_clips(images, present, other, heard)))


def test_silence_is_the_face_alone() -> None:
    model, (images, sound) = build(), draw(3)
    present, nothing = torch.ones(1, 3, dtype=torch.bool), torch.zeros(3, dtype=torch.bool)
    with torch.no_grad():
        answers = [
            flat(model.answer_clips(images, present)),
            flat(model.answer_clips(images, present, sound, nothing)),
            flat(model.answer_sequence(model.features(images))),
        ]
    assert all(torch.allclose(answer, answers[0], atol=1e-6) for answer in answers)


def test_silent_clips_leave_the_statistics_and_give_every_weight_a_gradient() -> None:
    model, (images, sound) = build().train(), draw(4)
    before = {name: value.clone() for name, value in model.hearing.named_buffers()}
    present, nothing = torch.ones(2, 2, dtype=torch.bool), torch.zeros(4, dtype=torch.bool)
    flat(model.answer_clips(images, present, sound, nothing)).sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in model.hearing.named_buffers())
    assert all(weight.grad is not None for weight in model.parameters())
