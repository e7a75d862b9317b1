"""DAN against its description, written out anew in plain functions under the published names."""

import pytest
import released_layouts as layouts
import torch
import torch.nn.functional as F

from finetune.labels import EXPRESSION_SPACES, LabelError
from finetune.models.dan import DAN, DANConfig
from finetune.models.names import from_dan

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def double(tensors):
    """In double precision rounding is far below every tolerance here."""
    return {n: v.double() if v.is_floating_point() else v for n, v in tensors.items()}


def draw(side=64, batch=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8, generator=generator)


@pytest.fixture(scope="module")
def tensors():
    return double(layouts.filled(layouts.dan()))


@pytest.fixture(scope="module")
def dan(tensors):
    model = DAN(DANConfig()).double()
    model.load_state_dict(from_dan(tensors))
    return model.eval()


def norm(tensors, name, values):
    """Batch norm with the statistics of training, over the second dimension."""
    shape = (1, -1) + (1,) * (values.ndim - 2)
    weight, bias, mean, variance = (
        tensors[f"{name}.{part}"].view(shape)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (values - mean) / (variance + 1e-5).sqrt() * weight + bias


def trunk(tensors, values):
    """ResNet-18 up to its last block: He et al. 2016, table 1."""
    values = F.conv2d(values, tensors["features.0.weight"], stride=2, padding=3)
    values = F.max_pool2d(norm(tensors, "features.1", values).relu(), 3, stride=2, padding=1)
    for stage in (4, 5, 6, 7):
        for block in (0, 1):
            name, stride = (
                f"features.{stage}.{block}",
                2 if (stage, block) in [(5, 0), (6, 0), (7, 0)] else 1,
            )
            out = F.conv2d(values, tensors[f"{name}.conv1.weight"], stride=stride, padding=1)
            out = norm(tensors, f"{name}.bn1", out).relu()
            out = norm(
                tensors, f"{name}.bn2", F.conv2d(out, tensors[f"{name}.conv2.weight"], padding=1)
            )
            if stride == 2:
                values = F.conv2d(values, tensors[f"{name}.downsample.0.weight"], stride=2)
                values = norm(tensors, f"{name}.downsample.1", values)
            values = (out + values).relu()
    return values


def attention_head(tensors, name, maps):
    def convolved(part, values, padding):
        weight, bias = tensors[f"{name}.sa.{part}.0.weight"], tensors[f"{name}.sa.{part}.0.bias"]
        return norm(tensors, f"{name}.sa.{part}.1", F.conv2d(values, weight, bias, padding=padding))

    def linear(place, values):
        at = f"{name}.ca.attention.{place}"
        return values @ tensors[f"{at}.weight"].T + tensors[f"{at}.bias"]

    narrow = convolved("conv1x1", maps, 0)  # no ReLU
    wide = convolved("conv_3x3", narrow, 1) + convolved("conv_1x3", narrow, (0, 1))
    wide = (wide + convolved("conv_3x1", narrow, (1, 0))).relu()
    weighed = maps * wide.sum(1, keepdim=True)
    pooled = weighed.flatten(2).mean(2)
    hidden = norm(tensors, f"{name}.ca.attention.1", linear(0, pooled)).relu()
    return pooled * torch.sigmoid(linear(3, hidden))


def restated(tensors, images):
    """Logits, pooled features and heads."""
    maps = trunk(tensors, (images.double() / 255 - MEAN.view(3, 1, 1)) / STD.view(3, 1, 1))
    heads = torch.stack([attention_head(tensors, f"cat_head{h}", maps) for h in range(4)], 1)
    heads = heads - heads.logsumexp(1, keepdim=True)
    logits = heads.sum(1) @ tensors["fc.weight"].T + tensors["fc.bias"]
    return norm(tensors, "bn", logits), maps.flatten(2).mean(2), heads


@pytest.mark.parametrize("side", [32, 64, 96])
def test_the_forward_pass_is_the_published_one(dan, tensors, side):
    images = draw(side)
    with torch.no_grad():
        logits, features, heads = restated(tensors, images)
        outputs = dan.training_outputs(images)
        answer = dan(images)
    assert logits.std(0).min() > 1e-3  # the images differ in every logit
    torch.testing.assert_close(outputs.logits, logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(outputs.features, features, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(outputs.heads, heads, rtol=1e-5, atol=1e-5)
    assert torch.equal(answer.expression_logits, outputs.logits)
    assert answer.valence_arousal is None
    assert answer.action_unit_logits is None


def test_every_tensor_of_the_head_has_an_effect(dan, tensors):
    images, own = draw(batch=2), dan.state_dict()
    ours = dict(zip(tensors, from_dan(tensors), strict=True))
    parts = ("cat_head2.", "fc.", "bn.")
    names = [n for n in tensors if n.startswith(parts) and not n.endswith("num_batches_tracked")]
    assert len(names) == 32 + 2 + 4
    with torch.no_grad():
        before = dan(images).expression_logits
        for name in names:
            own[ours[name]].copy_(tensors[name].flip(-1) * 1.25 + 0.01)
            after = dan(images).expression_logits
            own[ours[name]].copy_(tensors[name])
            assert not torch.equal(after, before), name
        assert torch.equal(dan(images).expression_logits, before)


def test_every_published_tensor_has_one_place_and_every_place_one_tensor(tensors):
    renamed, own = from_dan(tensors), DAN(DANConfig()).state_dict()
    assert len(renamed) == len(tensors) == 275
    assert {n: v.shape for n, v in renamed.items()} == {n: v.shape for n, v in own.items()}


def test_heads_and_kernels_keep_their_place_in_the_names(tensors):
    renamed = from_dan(tensors)
    for head in range(4):
        for theirs, ours in (
            ("sa.conv1x1.0.weight", "spatial.reduce.0.weight"),
            ("sa.conv_3x3.0.bias", "spatial.square.0.bias"),
            ("sa.conv_1x3.1.running_var", "spatial.row.1.running_var"),
            ("sa.conv_3x1.0.weight", "spatial.column.0.weight"),
            ("ca.attention.3.bias", "channel.gate.3.bias"),
        ):
            assert renamed[f"heads.{head}.{ours}"] is tensors[f"cat_head{head}.{theirs}"]
    assert renamed["trunk.layer3.1.bn2.bias"] is tensors["features.6.1.bn2.bias"]


def test_float_images_on_the_scale_of_bytes_give_the_same(dan):
    images = draw()
    with torch.no_grad():
        assert torch.equal(dan(images).expression_logits, dan(images.float()).expression_logits)


def test_training_gives_all_that_the_losses_need_and_gradients_everywhere():
    model = DAN(DANConfig(expressions="affectnet_7")).train()
    outputs = model.training_outputs(draw(batch=4))
    assert outputs.logits.shape == (4, 7)
    assert outputs.features.shape == (4, 512)
    assert outputs.heads.shape == (4, 4, 512)
    torch.testing.assert_close(outputs.heads.exp().sum(1), torch.ones(4, 512))
    (outputs.logits.square().sum() + outputs.features.sum() + outputs.heads.var(1).sum()).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_columns_are_in_the_order_of_the_published_classes(dan):
    assert dan.labels.expressions == EXPRESSION_SPACES["affectnet_8"]
    assert dan.labels.expressions.classes == (
        *("Neutral", "Happiness", "Sadness", "Surprise", "Fear", "Disgust", "Anger", "Contempt"),
    )
    assert dan.labels.action_units is None
    assert not dan.labels.valence_arousal
    assert dan.config.image_size == 224


def test_sizes_that_the_maps_do_not_tile_are_refused(dan):
    with pytest.raises(ValueError, match=r"images of 48 x 48 pixels, expected multiples of 32"):
        dan(draw(48))
    with pytest.raises(ValueError, match=r"image_size 112, expected a multiple of 32 for DAN"):
        DANConfig(image_size=112)


def test_a_label_space_that_is_not_known_is_refused():
    with pytest.raises(LabelError, match=r"expression space 'affectnet_9': expected one of"):
        DANConfig(expressions="affectnet_9")
