"""The shared trunk: its answers, its cosines, and what it refuses."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from finetune.load import load_model
from finetune.models.multitask import MultiTaskConfig
from finetune.save import save_model

TINY = MultiTaskConfig(trunk="resnet10t", image_size=32)


def draw(batch=3, side=32):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8, generator=generator)


def test_all_tasks_are_answered_from_the_same_features():
    model = TINY.build().eval()
    with torch.no_grad():
        features, found = model.features(draw()), model(draw())
        assert features.shape == (3, 512)
        assert torch.equal(found.expression_logits, model.expressions(features))
        assert torch.equal(found.action_unit_logits, model.action_units(features))
        assert torch.equal(found.valence_arousal, model.valence_arousal(features).tanh())
    assert found.expression_logits.shape == (3, 8)
    assert found.action_unit_logits.shape == (3, 12)


def test_pixels_are_scaled_to_the_range_of_the_papers():
    model = replace(TINY, trunk="plain_cnn").build().eval()
    seen = []
    model.trunk.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        model(torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 32, 32))
    assert seen[0][0].unique() == -1
    assert seen[0][1].unique() == 1


def test_cosines_do_not_depend_on_lengths():
    model = replace(TINY, expression_head="cosine", cosine_scale=20.0).build()
    features = torch.randn(4, 512)
    logits = model.expressions(features)
    expected = 20 * F.cosine_similarity(features[:, None], model.expressions.weight[None], dim=2)
    torch.testing.assert_close(logits, expected)
    with torch.no_grad():
        model.expressions.weight.mul_(3)
    torch.testing.assert_close(model.expressions(features * 7), expected)


def test_cosines_are_float32_under_autocast():
    head = replace(TINY, expression_head="cosine").build().expressions
    features = torch.randn(4, 512)
    expected = head(features.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        found = head(features.bfloat16())
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_task_blocks_have_a_hidden_layer_each():
    model = replace(TINY, task_hidden=16).build()
    shapes = {n: tuple(p.shape) for n, p in model.named_parameters() if not n.startswith("trunk")}
    assert shapes["expressions.0.weight"] == (16, 512)
    assert shapes["valence_arousal.2.weight"] == (2, 16)
    assert shapes["action_units.2.weight"] == (12, 16)


@pytest.mark.parametrize("head", ["linear", "cosine"])
def test_a_model_comes_back_as_it_was(tmp_path, head):
    config = replace(TINY, expression_head=head, expressions="Anger,Neutral", action_units="AU6")
    model = config.build().eval()
    save_model(model, tmp_path / "model")
    other, labels, _ = load_model(tmp_path / "model")
    assert other.config == config
    assert labels.expressions.classes == ("Anger", "Neutral")
    with torch.no_grad():
        assert torch.equal(model(draw()).expression_logits, other(draw()).expression_logits)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trunk": "vgg"}, "trunk 'vgg', expected one of vgg_face"),
        ({"task_hidden": -1}, "task_hidden -1"),
        ({"expression_head": "arc"}, "expression_head 'arc', expected one of linear, cosine"),
        ({"expression_head": "cosine", "task_hidden": 4}, "task_hidden 4 with expression_head"),
        ({"cosine_scale": 0.0}, "cosine_scale 0.0, expected above 0"),
        ({"expressions": "affectnet_9"}, "affectnet_9"),
    ],
)
def test_configs_that_cannot_be_built_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(TINY, **changes)
