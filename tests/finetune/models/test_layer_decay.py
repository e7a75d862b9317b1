"""Layers and their learning rates: nothing trainable is left out, nothing frozen is in."""

from dataclasses import replace

import pytest
import torch

from finetune.models.cnn import TimmCNNConfig
from finetune.models.emma import PRESETS
from finetune.models.layer_decay import layer_decay_groups, layer_ids

CONFIG = replace(
    PRESETS["paper"],
    size="tiny",
    image_size=32,
    patch_size=8,
    cnn=TimmCNNConfig(name="resnet10t"),
)


@pytest.fixture(scope="module")
def model():
    return CONFIG.build()


def expected_layer(name):
    """Twelve blocks between the stem and all that comes after them, by hand."""
    if name.startswith(("encoder.cls_token", "encoder.patch_embed.")):
        return 0
    if name.startswith("encoder.blocks."):
        return 1 + int(name.split(".")[2])
    return 13


def trainable(model):
    return {n: p for n, p in model.named_parameters() if not n.startswith("cnn.")}


def test_every_trainable_parameter_has_its_layer_and_no_frozen_one_has(model):
    found = layer_ids(model)
    assert found == {name: expected_layer(name) for name in trainable(model)}
    assert found["head.0.weight"] == found["va_head.2.bias"] == found["encoder.norm.bias"] == 13


def test_heads_learn_at_the_full_rate_and_each_layer_below_at_a_part_of_it(model):
    groups = layer_decay_groups(model, layer_decay=0.65, weight_decay=0.05)
    names = {parameter: name for name, parameter in model.named_parameters()}
    placed = [names[parameter] for group in groups for parameter in group["params"]]
    assert sorted(placed) == sorted(trainable(model))
    for group in groups:
        for parameter in group["params"]:
            layer = expected_layer(names[parameter])
            assert group["lr_scale"] == pytest.approx(0.65 ** (13 - layer)), names[parameter]
            assert group["weight_decay"] == (0.05 if parameter.ndim > 1 else 0.0)


def test_the_groups_are_what_an_optimiser_takes(model):
    groups = layer_decay_groups(model, layer_decay=0.65, weight_decay=0.05)
    optimiser = torch.optim.AdamW(groups, lr=1e-3)
    assert len(optimiser.param_groups) == 28
