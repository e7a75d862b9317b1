"""The game: what each phase touches, what is paid for what, and what the generator is told."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from gans import METHOD, NETWORKS, RUN, game
from greys import targets

from finetune.batches import LabelledBatch
from finetune.models.gan import as_drawn
from finetune.objectives.adversarial import Adversarial, AdversarialConfig, condition_of
from finetune.objectives.supervised import Supervised
from finetune.train import finetune
from pretrain.errors import UserError


def touched(objective: Adversarial, batch: LabelledBatch, tasks: tuple[str, ...]) -> set[str]:
    """The networks whose weights have a gradient from some tasks."""
    objective.zero_grad(set_to_none=True)
    places = [objective.tasks.index(task) for task in tasks]
    objective(batch)[places].sum().backward()
    return {
        name.split(".")[1]
        for name, weight in objective.named_parameters()
        if weight.grad is not None and weight.grad.any()
    }


@pytest.mark.parametrize("discriminator", ["residual", "spectral", "small"])
@pytest.mark.parametrize("loss", ["hinge", "non_saturating"])
def test_each_phase_touches_its_own_network(discriminator: str, loss: str) -> None:
    networks = replace(NETWORKS, discriminator=discriminator, conditional=True)
    adversarial = AdversarialConfig(loss=loss, feature_matching=1, r1=1)
    objective, batch = game(replace(METHOD, networks=networks, adversarial=adversarial))
    told = ("drawn_valence", "drawn_expression", "drawn_action_units")
    for tasks in (("generator",), ("feature_matching",), told):
        assert touched(objective, batch, tasks) == {"generator"}, tasks
    sure = (("real",), ("drawn",)) if loss == "non_saturating" else ()  # hinges end
    for tasks in (*sure, ("r1",), ("valence", "expression", "action_units")):
        assert touched(objective, batch, tasks) == {"discriminator"}, tasks


@pytest.mark.parametrize("discriminator", ["residual", "spectral", "small"])
def test_a_turn_is_one_networks_and_moves_no_others_weights_or_statistics(
    discriminator: str,
) -> None:
    networks = replace(NETWORKS, discriminator=discriminator, conditional=True)
    adversarial = AdversarialConfig(feature_matching=1, r1=1)
    objective, batch = game(replace(METHOD, networks=networks, adversarial=adversarial))
    paid = torch.zeros(len(objective.tasks))
    assert objective.turns == ("model.discriminator.", "model.generator.")
    for turn in objective.turns:
        before = {name: buffer.clone() for name, buffer in objective.named_buffers()}
        objective.zero_grad(set_to_none=True)
        torch.manual_seed(7)
        objective(batch, turn).sum().backward()
        for name, weight in objective.named_parameters():
            assert weight.grad is not None, name  # DDP waits for all
            assert name.startswith(turn) or not weight.grad.any(), name
        moved = {n for n, b in objective.named_buffers() if not torch.equal(b, before[n])}
        assert all(name.startswith(turn) for name in moved)
    objective.eval()  # no dropout
    for turn in (*objective.turns, ""):
        torch.manual_seed(7)
        paid += objective(batch, turn).detach() * (1 if turn else -1)
    torch.testing.assert_close(paid, torch.zeros_like(paid), rtol=0, atol=1e-3)


def test_the_second_look_leaves_the_statistics() -> None:
    networks = replace(NETWORKS, discriminator="small")
    objective, batch = game(replace(METHOD, networks=networks))
    tracked = next(
        buffer
        for name, buffer in objective.model.discriminator.named_buffers()
        if name.endswith("num_batches_tracked")
    )
    objective(batch)
    assert tracked == 2  # of the real images and of the drawn ones, not of the generator's phase


def test_losses_are_those_of_the_papers() -> None:
    for loss in ("hinge", "non_saturating"):
        adversarial = AdversarialConfig(loss=loss, weight=2.0, r1=3.0, feature_matching=0.5)
        objective, batch = game(replace(METHOD, adversarial=adversarial))
        objective.eval()
        torch.manual_seed(7)
        found = dict(zip(objective.tasks, objective(batch), strict=True))
        torch.manual_seed(7)
        noise = 2 * torch.rand(12, 8) - 1
        network = objective.model.discriminator
        real = as_drawn(batch.images).requires_grad_()
        drawn = objective.model.generator(noise)
        _, r, real_features = network(real)
        _, d, drawn_features = network(drawn)
        if loss == "hinge":
            expected = [F.relu(1 - r).sum(), F.relu(1 + d).sum(), -d.sum()]
        else:
            ones, zeros = torch.ones(12), torch.zeros(12)
            bce = F.binary_cross_entropy_with_logits
            expected = [
                bce(r, ones, reduction="sum"),
                bce(d, zeros, reduction="sum"),
                bce(d, ones, reduction="sum"),
            ]
        for name, value in zip(("real", "drawn", "generator"), expected, strict=True):
            torch.testing.assert_close(found[name], 2 * value, rtol=1e-4, atol=1e-4)
        (slope,) = torch.autograd.grad(r.sum(), real)
        torch.testing.assert_close(found["r1"], 1.5 * slope.square().sum(), rtol=1e-3, atol=1e-6)
        apart = (real_features.mean(0) - drawn_features.mean(0)).square().mean()
        torch.testing.assert_close(found["feature_matching"], 6 * apart, rtol=1e-3, atol=1e-6)


def test_counts_are_images_for_the_game_and_labels_for_the_rest() -> None:
    objective, batch = game(replace(METHOD, networks=replace(NETWORKS, conditional=True)))
    counts = dict(zip(objective.tasks, objective.counts(batch).tolist(), strict=True))
    assert counts["real"] == counts["drawn"] == counts["generator"] == 12
    assert counts["expression"] == counts["drawn_expression"] == targets().expression_valid.sum()


def test_a_condition_says_what_is_known_and_nothing_else() -> None:
    _, batch = game()
    told = condition_of(batch.labels, 8)
    assert told.shape == (12, NETWORKS.condition_width)
    values, valid = told.split(22, 1)
    known = targets()
    for row in range(12):
        assert valid[row, :8].tolist() == [float(known.expression_valid[row])] * 8
        one_hot = np.eye(8)[known.expression[row]] * known.expression_valid[row]
        assert values[row, :8].tolist() == one_hot.tolist()
        assert values[row, 8].item() == (1 if row % 2 else -1)
        assert valid[row, 20].item() == float(known.valence_arousal_valid[row, 0])
    assert not values[valid == 0].any()


def test_without_a_game_it_is_the_supervised_network(tmp_path: Path) -> None:
    alone = replace(METHOD, adversarial=AdversarialConfig(weight=0))
    objective, batch = game(alone)
    objective.eval()
    expected = Supervised(objective.model, alone.losses)
    assert objective.tasks == expected.tasks
    torch.testing.assert_close(objective(batch), expected(batch))
    torch.testing.assert_close(objective.counts(batch), expected.counts(batch))
    assert not any(weight.requires_grad for weight in objective.model.generator.parameters())
    assert finetune(replace(RUN, output_dir=str(tmp_path), method=alone))
    assert not list((tmp_path / "pictures").glob("drawn-*"))


def test_unlabelled_images_are_real(tmp_path: Path) -> None:
    data = replace(RUN.data, share=0.5, unlabelled="rest")
    assert finetune(replace(RUN, output_dir=str(tmp_path), data=data))


def test_the_generator_learns_at_its_own_rate(tmp_path: Path) -> None:
    from finetune.train import Finetuning
    from pretrain.engine.runtime import Runtime
    from pretrain.engine.signals import StopSignal

    method = replace(METHOD, networks=replace(NETWORKS, generator_rate=2.0))
    config = replace(RUN, output_dir=str(tmp_path), method=method)
    made = Finetuning(config, Runtime(config.runtime, averaged=True), 1, StopSignal())
    scales = {}
    names = {weight: name for name, weight in made.model.named_parameters()}
    for group in made.build_optimizer().param_groups:
        for weight in group["params"]:
            scales[names.pop(weight)] = group["lr_scale"]
    assert not names
    assert {scale for name, scale in scales.items() if ".generator." in name} == {2.0}
    assert {scale for name, scale in scales.items() if ".discriminator." in name} == {1.0}


def test_a_compiled_game_is_refused(tmp_path: Path) -> None:
    config = replace(RUN, output_dir=str(tmp_path), runtime=replace(RUN.runtime, compile=True))
    with pytest.raises(UserError, match=r"runtime\.compile true with method GAN, expected false"):
        finetune(config)
