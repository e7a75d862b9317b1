"""Memory over frames: gaps pass, order counts, the future does not, lengths do not matter."""

from dataclasses import replace

import pytest
import torch

from finetune.models.cnn_rnn import CNNRNNConfig

CONFIG = CNNRNNConfig(trunk="plain_cnn", image_size=16, hidden=8)


def build(**changes: object):
    torch.manual_seed(0)
    return replace(CONFIG, **changes).build().eval()


def draw(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (*shape, 3, 16, 16), dtype=torch.uint8, generator=generator)


def flat(answer) -> torch.Tensor:
    parts = (answer.valence_arousal, answer.expression_logits, answer.action_unit_logits)
    return torch.cat(parts, 1)


@torch.no_grad()
def restated(model, features: torch.Tensor) -> torch.Tensor:
    """Two layers of the units' equations (Cho et al. 2014), frame by frame; then the heads."""
    weights = model.memory.state_dict()
    rows = features
    for layer in range(2):
        state, states = torch.zeros(8), []
        for x in rows:
            given = weights[f"weight_ih_l{layer}"] @ x + weights[f"bias_ih_l{layer}"]
            kept = weights[f"weight_hh_l{layer}"] @ state + weights[f"bias_hh_l{layer}"]
            (gr, gz, gn), (kr, kz, kn) = given.chunk(3), kept.chunk(3)
            reset, update = (gr + kr).sigmoid(), (gz + kz).sigmoid()
            state = (1 - update) * (gn + reset * kn).tanh() + update * state
            states.append(state)
        rows = torch.stack(states)
    return flat(model.answer_features(rows))


def test_a_video_is_answered_by_the_equations_of_gated_units() -> None:
    model = build()
    with torch.no_grad():
        features = model.features(draw(5))
        found = flat(model.answer_sequence(features))
    torch.testing.assert_close(found, restated(model, features))


def test_a_clip_is_answered_as_the_video_that_its_frames_are() -> None:
    model, images = build(), draw(2, 6)
    present = torch.tensor([[True, False, True, True, False, True], [True] * 6])
    with torch.no_grad():
        found = flat(model.answer_clips(images.flatten(0, 1), present)).unflatten(0, (2, 6))
        for row in range(2):
            features = model.features(images[row][present[row]])
            torch.testing.assert_close(found[row][present[row]], restated(model, features))


def test_answers_do_not_depend_on_what_else_is_in_the_batch() -> None:
    model, images = build(), draw(3, 4)
    present = torch.tensor([[True] * 4, [True, True, False, False], [False, False, False, True]])
    with torch.no_grad():
        together = flat(model.answer_clips(images.flatten(0, 1), present)).unflatten(0, (3, 4))
        for row in range(3):
            alone = flat(model.answer_clips(images[row], present[row : row + 1]))
            torch.testing.assert_close(alone[present[row]], together[row][present[row]])
        short = flat(model.answer_clips(images[1, :2], torch.tensor([[True, True]])))
        torch.testing.assert_close(short, together[1, :2])


def test_what_empty_slots_hold_reaches_neither_answers_nor_statistics() -> None:
    images = draw(2, 3)
    present = torch.tensor([[True, False, True], [True, True, False]])
    other = images.clone()
    other[~present] = 255
    found = []
    for given in (images, other):
        model = build().train()
        torch.manual_seed(1)  # of the dropout
        answer = flat(model.answer_clips(given.flatten(0, 1), present))[present.flatten()]
        found.append((answer, model.trunk.state_dict()))
    assert torch.equal(found[0][0], found[1][0])
    assert all(torch.equal(value, found[1][1][name]) for name, value in found[0][1].items())


def test_the_past_counts_and_the_future_does_not() -> None:
    model, features = build(), torch.randn(5, 512)
    changed = features.clone()
    changed[2] += 1
    with torch.no_grad():
        one, other = (flat(model.answer_sequence(each)) for each in (features, changed))
    assert torch.equal(one[:2], other[:2])
    assert (one[2:] != other[2:]).any(1).all()


def test_windows_are_averaged_where_they_overlap() -> None:
    model, features = build(window=4), torch.randn(9, 512)
    carried = build()
    with torch.no_grad():
        found = flat(model.answer_sequence(features))
        parts = {s: flat(carried.answer_sequence(features[s : s + 4])) for s in (0, 2, 4, 5)}
        short = flat(model.answer_sequence(features[:4]))
    for frame in range(9):
        seen = [part[frame - s] for s, part in parts.items() if s <= frame < s + 4]
        torch.testing.assert_close(found[frame], torch.stack(seen).mean(0))
    torch.testing.assert_close(short, parts[0])


ATTENTION = {"temporal": "transformer", "window": 4}


def test_attention_sees_the_window_and_no_empty_slot() -> None:
    model, images = build(**ATTENTION), draw(2, 4)
    present = torch.tensor([[True, False, True, True], [True] * 4])
    with torch.no_grad():
        found = flat(model.answer_clips(images.flatten(0, 1), present)).unflatten(0, (2, 4))
        for row in range(2):
            features = model.features(images[row][present[row]])
            alone = flat(model.answer_sequence(features))
            torch.testing.assert_close(found[row][present[row]], alone)
        changed = images.clone()
        changed[0, 1] = 255
        again = flat(model.answer_clips(changed.flatten(0, 1), present)).unflatten(0, (2, 4))
        assert torch.equal(found[present], again[present])
        changed[0, 3] = 255  # the last frame changes the answer of the first
        later = flat(model.answer_clips(changed.flatten(0, 1), present)).unflatten(0, (2, 4))
    assert not torch.equal(found[0, 0], later[0, 0])


def test_attention_knows_the_order_of_frames() -> None:
    model, features = build(**ATTENTION), torch.randn(4, 512)
    with torch.no_grad():
        forward, back = (flat(model.answer_sequence(each)) for each in (features, features.flip(0)))
    assert not torch.allclose(forward, back.flip(0), atol=1e-4)


def test_one_frame_alone_can_be_trained_on() -> None:
    model = build().train()
    before = {name: value.clone() for name, value in model.trunk.named_buffers()}
    for present in ([True, False], [False, False]):
        answer = flat(model.answer_clips(draw(2), torch.tensor([present])))
        assert answer.isfinite().all()
        answer.sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in model.trunk.named_buffers())
    assert all(weight.grad is not None for weight in model.parameters())
    assert model.training
    assert model.trunk.training


@pytest.mark.parametrize("changes", [{}, ATTENTION])
def test_a_clip_of_which_nothing_can_be_seen_is_no_trouble(changes: dict[str, object]) -> None:
    model, images = build(**changes), draw(2, 3)
    present = torch.tensor([[False] * 3, [True] * 3])
    answer = flat(model.answer_clips(images.flatten(0, 1), present))
    assert answer.isfinite().all()
    answer[3:].sum().backward()
    assert all(w.grad is None or w.grad.isfinite().all() for w in model.parameters())


@pytest.mark.parametrize("changes", [{}, ATTENTION])
def test_a_still_is_a_video_of_one_frame(changes: dict[str, object]) -> None:
    model, images = build(**changes), draw(3)
    with torch.no_grad():
        found = flat(model(images))
        for row in range(3):
            alone = flat(model.answer_sequence(model.features(images[row : row + 1])))
            torch.testing.assert_close(found[row : row + 1], alone)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": 0}, "hidden 0, expected at least 1"),
        ({"window": 1}, "window 1, expected 0 or at least 2"),
        ({"frame_step": 0}, "frame_step 0"),
        ({"temporal": "lstm"}, "temporal 'lstm', expected one of gru, transformer"),
        ({"temporal": "transformer"}, "temporal transformer with window 0"),
        ({"temporal": "transformer", "window": 4, "hidden": 6}, "hidden 6, expected a"),
    ],
)
def test_what_is_no_memory_is_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **changes)
