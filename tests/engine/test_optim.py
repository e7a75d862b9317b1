import itertools
import math

import pytest
import torch
from torch import nn

from pretrain.engine.optim import (
    OptimConfig,
    Schedule,
    WeightAverage,
    build_optimizer,
    build_schedule,
    peak_lr,
    set_lr,
)


def test_the_peak_follows_the_linear_scaling_rule() -> None:
    assert peak_lr(1.5e-4, 4096) == pytest.approx(2.4e-3)
    assert peak_lr(1.5e-4, 256) == 1.5e-4


def test_warm_up_is_linear_and_reaches_the_peak() -> None:
    schedule = Schedule(peak_lr=1.0, min_lr=0.0, warmup_steps=4, steps=12)
    assert [schedule.lr(step) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_the_decay_is_half_a_cosine_that_never_rises() -> None:
    schedule = Schedule(peak_lr=2.0, min_lr=0.5, warmup_steps=10, steps=110)
    assert schedule.lr(60) == pytest.approx(1.25)  # half way: the mean of peak and end
    assert schedule.lr(35) == pytest.approx(0.5 + 1.5 * 0.5 * (1 + math.cos(math.pi / 4)))
    rates = [schedule.lr(step) for step in range(10, 130)]
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates))
    assert rates[-1] == 0.5


def test_no_warm_up_starts_at_the_peak() -> None:
    assert Schedule(peak_lr=1.0, min_lr=0.0, warmup_steps=0, steps=10).lr(0) == 1.0


def test_the_schedule_of_a_run_counts_optimiser_steps() -> None:
    config = OptimConfig(base_lr=1e-3, warmup_epochs=2.5)
    schedule = build_schedule(config, global_batch_size=512, steps_per_epoch=10, epochs=20)
    assert schedule == Schedule(peak_lr=2e-3, min_lr=0.0, warmup_steps=25, steps=200)


def test_a_warm_up_longer_than_the_run_is_refused() -> None:
    with pytest.raises(ValueError, match=r"optim.warmup_epochs 40.0, expected at most 20"):
        build_schedule(OptimConfig(), global_batch_size=512, steps_per_epoch=10, epochs=20)


def test_one_dimensional_parameters_have_no_weight_decay() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    model[2].bias.requires_grad_(False)
    optimizer = build_optimizer(model, OptimConfig(weight_decay=0.05))
    decay = {p: group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert decay == {
        model[0].weight: 0.05,
        model[2].weight: 0.05,
        model[0].bias: 0.0,
        model[1].weight: 0.0,
        model[1].bias: 0.0,
    }


def test_groups_scale_the_learning_rate() -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    other = nn.Parameter(torch.ones(2, 2))
    optimizer = torch.optim.AdamW([{"params": [weight], "lr_scale": 0.5}, {"params": [other]}])
    set_lr(optimizer, 0.1)
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.1]


def test_the_weight_average_follows_its_recursion_and_skips() -> None:
    layer = nn.Linear(3, 1, bias=False)
    nn.init.zeros_(layer.weight)
    average = WeightAverage(layer, decay=0.9)
    nn.init.ones_(layer.weight)
    average.update(100, torch.tensor(0.0))
    average.update(101, torch.tensor(1.0))  # a skipped step
    average.update(102, torch.tensor(0.0))
    torch.testing.assert_close(average.weights["weight"], torch.full((1, 3), 1 - 0.9**2))


@pytest.mark.parametrize(
    ("field", "value"),
    [("base_lr", 0.0), ("betas", (0.9, 1.0)), ("clip_norm", 0.0), ("ema_decay", 1.0)],
)
def test_values_outside_their_range_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{field} "):
        OptimConfig(**{field: value})
