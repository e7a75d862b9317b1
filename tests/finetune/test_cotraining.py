"""Masked co-training: what views see, how they agree, and what a step of it is."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from greys import faces, targets
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.losses import bernoulli_js_divergence, js_divergence, squared_disagreement
from finetune.methods.cotex import CoTEX
from finetune.methods.emma import EMMA
from finetune.models.cotex import CoTEXConfig
from finetune.models.emma import EMMAOptions
from finetune.objectives.cotraining import CoTrainingConfig
from finetune.objectives.supervised import LossConfig
from pretrain.models.masking import visible_patches

SIZE = {"size": "tiny", "image_size": 16, "patch_size": 4}


def distributions(seed: int, views: int, rows: int, classes: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 4 * torch.randn(views, rows, classes, generator=generator, dtype=torch.float64)


def restated(logits: torch.Tensor, weights: list[float]) -> float:
    """sum_i w_i KL(p_i || m), from the probabilities themselves, summed over rows."""
    p = logits.softmax(-1).numpy()
    m = sum(w * one for w, one in zip(weights, p, strict=True))
    return float(sum(w * (one * np.log(one / m)).sum() for w, one in zip(weights, p, strict=True)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(2, 6))
def test_the_divergence_is_that_of_the_definition(seed: int, views: int, classes: int) -> None:
    logits = distributions(seed, views, 3, classes)
    weights = np.random.default_rng(seed).dirichlet(np.ones(views)).tolist()
    total, count = js_divergence(logits, weights)
    assert count == 3
    assert float(total) == pytest.approx(restated(logits, weights), abs=1e-9)
    equal, _ = js_divergence(logits)
    order = np.random.default_rng(seed).permutation(views)
    shuffled, _ = js_divergence(logits[torch.from_numpy(order)])
    assert float(equal) == pytest.approx(float(shuffled), abs=1e-12)
    assert -1e-12 <= float(equal) <= 3 * math.log(views) + 1e-9


def test_views_that_say_the_same_disagree_in_nothing() -> None:
    logits = distributions(0, 1, 4, 5).expand(3, -1, -1)
    assert float(js_divergence(logits)[0]) == pytest.approx(0, abs=1e-12)
    assert float(squared_disagreement(logits)[0]) == pytest.approx(0, abs=1e-12)


def test_views_that_are_sure_of_different_things_disagree_by_ln_n() -> None:
    sure = 1000 * torch.eye(4)[:, None]  # [W 4, B 1, K 4]
    total, _ = js_divergence(sure)
    assert float(total) == pytest.approx(math.log(4), rel=1e-6)


def test_action_units_disagree_one_by_one() -> None:
    logits = distributions(1, 2, 3, 4)
    p = logits.sigmoid()
    pairs = torch.stack([p, 1 - p], -1).log()
    total, count = bernoulli_js_divergence(logits)
    assert count == 12
    assert float(total) == pytest.approx(restated(pairs, [0.5, 0.5]), abs=1e-9)


def test_numbers_disagree_by_their_distance_to_the_mean() -> None:
    total, count = squared_disagreement(torch.tensor([[[0.0, 1.0]], [[1.0, 1.0]]]))
    assert (float(total), int(count)) == (0.25, 2)


@pytest.mark.parametrize("divergence", [js_divergence, bernoulli_js_divergence])
def test_gradients_are_right(divergence) -> None:  # type: ignore[no-untyped-def]
    logits = distributions(2, 3, 2, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: divergence(x)[0], logits)


def test_views_see_what_their_own_noise_says() -> None:
    noise = torch.rand(5, 2, 16)
    first, second = visible_patches(noise, 0.75)
    assert first is not None
    assert second is not None
    assert first.shape == (5, 4)
    for view, seen in enumerate((first, second)):
        assert torch.equal(seen, noise[:, view].argsort(1)[:, :4])
    assert visible_patches(noise, 0.0) == [None, None]


def test_disjoint_views_share_no_patch() -> None:
    seen = torch.cat(list(visible_patches(torch.rand(5, 4, 16), 0.75, disjoint=True)), 1)
    assert torch.equal(seen.sort(1).values, torch.arange(16).expand(5, -1))
    with pytest.raises(ValueError, match="2 disjoint views of 12 patches"):
        visible_patches(torch.rand(5, 2, 16), 0.25, disjoint=True)


def cotex(**changes: object) -> CoTEX:
    views = CoTEXConfig(expressions="aff_wild2_8", drop_path_rate=0.0, **SIZE)
    return replace(CoTEX(views=views), **changes)


def test_a_step_is_the_mean_loss_of_the_views_and_their_weighted_disagreement() -> None:
    method = cotex(cotraining=CoTrainingConfig(mask_ratio=0.5, weight=3.0))
    data = faces(masks=method.masks)
    model = method.build().model
    trained, _ = method.objective(model, targets())
    batch = data[0, np.arange(6)]
    sums = trained(batch)
    assert tuple(trained.tasks) == ("expression", "expression_agreement")
    assert trained.counts(batch).tolist() == [4, 6]  # 0 and 5 have no expression
    seen = visible_patches(batch.noise, 0.5)
    logits = torch.stack(
        [v.head(v.encoder(batch.images, s)[:, 0]) for v, s in zip(model.views, seen, strict=True)]
    )
    labelled = batch.labels.expression_valid
    each = [
        torch.nn.functional.cross_entropy(
            view[labelled], batch.labels.expression[labelled], reduction="sum"
        )
        for view in logits
    ]
    assert float(sums[0]) == pytest.approx(float(sum(each)) / 2, rel=1e-5)
    disagreement = restated(logits.detach().double(), [0.5, 0.5])
    assert float(sums[1]) == pytest.approx(3 * disagreement, rel=1e-4)


def test_a_teacher_sees_the_whole_image_and_learns_nothing() -> None:
    config = CoTrainingConfig(mask_ratio=0.5, weight=3.0, teacher=True)
    method = cotex(cotraining=config)
    trained, _ = method.objective(method.build().model, targets())
    names = set(trained.state_dict())
    teacher = method.build().model.train()
    trained.learn_from(teacher)
    assert set(trained.state_dict()) == names
    assert not teacher.training
    batch = faces(masks=method.masks)[0, np.arange(6)]
    sums = trained(batch)
    seen = visible_patches(batch.noise, 0.5)
    views = [answer.expression_logits for answer in trained.model.answer_views(batch.images, seen)]
    views.append(teacher(batch.images).expression_logits)
    assert float(sums[1]) == pytest.approx(
        3 * restated(torch.stack(views).detach().double(), [1 / 3] * 3), rel=1e-4
    )
    sums.sum().backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert all(p.grad is not None for p in trained.parameters())


@pytest.mark.parametrize("views", [0, 2])
def test_a_step_compiles_to_one_graph(views: int) -> None:
    losses = LossConfig(action_unit_weights="none")
    options = EMMAOptions(hidden=8, va_hidden=8, drop_path_rate=0.0, **SIZE)
    method = EMMA(
        model=options,
        losses=losses,
        views=views,
        cotraining=CoTrainingConfig(mask_ratio=0.5, teacher=views > 0),
    )
    trained, _ = method.objective(method.build().model, targets())
    if views:
        trained.learn_from(method.build().model)
    batch = faces(masks=method.masks)[0, np.arange(6)]
    expected = trained(batch)
    trained.compile(fullgraph=True, dynamic=False, backend="eager")
    torch.testing.assert_close(trained(batch), expected)


def test_one_masked_view_agrees_with_its_teacher_alone() -> None:
    config = CoTrainingConfig(mask_ratio=0.5, teacher=True)
    method = cotex(cotraining=config)
    method = replace(method, views=replace(method.views, views=1))
    trained, _ = method.objective(method.build().model, targets())
    batch = faces(masks=method.masks)[0, np.arange(6)]
    assert float(trained(batch)[1]) == pytest.approx(0, abs=1e-6)
    trained.learn_from(method.build().model)
    assert float(trained(batch)[1]) > 1e-4


def test_a_masked_patch_reaches_no_gradient() -> None:
    method = cotex(cotraining=CoTrainingConfig(mask_ratio=0.75))
    model = method.build().model
    images = (255 * torch.rand(2, 3, 16, 16)).requires_grad_()
    seen = visible_patches(torch.rand(2, 2, 16), 0.75)
    answers = model.answer_views(images, seen)
    torch.stack([a.expression_logits for a in answers]).square().sum().backward()
    patches = images.grad.abs().sum(1).unfold(1, 4, 4).unfold(2, 4, 4).sum((3, 4)).flatten(1)
    for row in range(2):
        allowed = torch.cat([s[row] for s in seen]).unique()
        assert set(patches[row].nonzero().flatten().tolist()) <= set(allowed.tolist())


def test_the_weight_ramps_up_by_epoch() -> None:
    config = CoTrainingConfig(weight=2.0, ramp_epochs=4)
    assert [config.at(epoch) for epoch in (0, 1, 4, 9)] == [0, 0.5, 2, 2]
    assert CoTrainingConfig(weight=2.0).at(0) == 2


def test_one_shared_encoder_serves_all_views() -> None:
    views = CoTEXConfig(expressions="aff_wild2_8", views=3, shared=True, **SIZE)
    model = CoTEX(views=views).build().model
    assert len(model.views) == 1
    images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    assert len(model.answer_views(images, [None] * 3)) == 3


def test_probabilities_of_views_are_averaged() -> None:
    views = CoTEXConfig(expressions="aff_wild2_8", combine="probabilities", **SIZE)
    model = views.build().eval()
    images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    each = [view(images).softmax(1) for view in model.views]
    found = model(images).expression_logits.softmax(1)
    torch.testing.assert_close(found, sum(each) / 2, rtol=1e-5, atol=1e-6)


def test_emma_learns_all_its_tasks_from_views() -> None:
    method = EMMA(
        model=EMMAOptions(hidden=8, va_hidden=8, **SIZE),
        losses=LossConfig(action_unit_weights="none"),
        views=2,
        cotraining=CoTrainingConfig(mask_ratio=0.5),
    )
    trained, _ = method.objective(method.build().model, targets())
    batch = faces(masks=method.masks)[0, np.arange(8)]
    sums, counts = trained(batch), trained.counts(batch)
    assert len(sums) == len(counts) == len(trained.tasks) == 7
    assert counts[-3:].tolist() == [16, 8, 96]
    sums.sum().backward()
    assert all(p.grad is not None for p in trained.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask_ratio": 0.99}, "leaves 0 of 16 patches"),
        ({"mask_ratio": 0.25, "masks": "disjoint"}, "2 views of 12 patches"),
        ({"masks": "checkered"}, "masks 'checkered'"),
        ({"weight": -1.0}, "weight -1"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cotex(cotraining=CoTrainingConfig(**changes))


def test_a_teacher_of_summed_logits_is_refused() -> None:
    views = CoTEXConfig(combine="sum", **SIZE)
    with pytest.raises(ValueError, match=r"cotraining\.teacher with views\.combine 'sum'"):
        cotex(views=views, cotraining=CoTrainingConfig(teacher=True))


def test_a_teacher_without_views_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cotraining\.teacher true with views 0"):
        EMMA(cotraining=CoTrainingConfig(teacher=True))


def test_encoders_are_one_for_all_or_one_each() -> None:
    with pytest.raises(ValueError, match="3 encoders, expected 1 or 2"):
        cotex(encoders=("a", "b", "c"))
