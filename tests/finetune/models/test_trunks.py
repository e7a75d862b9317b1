"""Trunks: as many parameters as their papers' layers have, and the sizes that they take."""

import pytest
import torch
from torch import nn

from finetune.models.multitask import MultiTaskConfig
from finetune.models.trunks.sphereface import SphereFace20
from finetune.models.trunks.trunk import TRUNKS, build_trunk, known_trunk
from pretrain.models.mae import MAEConfig, MaskedAutoencoder


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def convolutions(module: nn.Module) -> list[tuple[int, int]]:
    """Output width and stride of every spatial convolution, in order."""
    return [
        (layer.out_channels, layer.stride[0])
        for layer in module.modules()
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)
    ]


@pytest.mark.parametrize(
    ("name", "side", "millions", "features"),
    [
        ("vgg_face", 96, 14.714688 + (512 * 9 + 1) * 4096 / 1e6, 4096),  # VGG-16's convolutions
        ("sphereface_20", 112, 22.670656, 512),
        ("inception_resnet_v1", 160, 23.482624, 512),
        ("ir_50", 112, 43.57, 512),
        ("ir_se_50", 112, 43.80, 512),
        ("seresnet50", 112, 26.04, 2048),
    ],
)
def test_a_trunk_has_the_published_parameters(name, side, millions, features):
    trunk = build_trunk(name, side).eval()
    assert parameters(trunk) / 1e6 == pytest.approx(millions, abs=0.006)
    with torch.no_grad():
        found = trunk(torch.randn(2, 3, side, side))
    assert found.shape == (2, features)
    assert trunk.num_features == features


def test_sphereface_has_the_published_layers():
    widths = [width for width, _ in convolutions(SphereFace20(112))]
    assert widths == [64] * 3 + [128] * 5 + [256] * 9 + [512] * 3
    assert [s for _, s in convolutions(SphereFace20(112))].count(2) == 4
    assert not any(isinstance(m, nn.BatchNorm2d) for m in SphereFace20(112).modules())
    assert SphereFace20(112).features.in_features == 512 * 7 * 6


def test_sphereface_does_not_see_the_margins():
    trunk = SphereFace20(112).eval()
    images = torch.randn(1, 3, 112, 112)
    other = images.clone()
    other[..., :8] = other[..., -8:] = 5.0
    with torch.no_grad():
        assert torch.equal(trunk(images), trunk(other))
        other[..., 8] += 1
        assert not torch.equal(trunk(images), trunk(other))


def test_ir_has_the_published_units():
    shapes = list(convolutions(build_trunk("ir_50", 112)))
    units = [(64, 3), (128, 4), (256, 14), (512, 3)]
    expected = [(64, 1)]
    for width, count in units:
        expected += [(width, 1), (width, 2)] + [(width, 1), (width, 1)] * (count - 1)
    assert shapes == expected


def test_an_encoder_of_stage_one_answers_as_it_does_alone():
    torch.manual_seed(0)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    alone = MAEConfig(size="tiny", image_size=32, mean=mean, std=std)
    encoder = MaskedAutoencoder(alone).encoder.eval()
    model = MultiTaskConfig(trunk="vit_tiny", image_size=32, mean=mean, std=std).build().eval()
    model.trunk.encoder.load_state_dict(encoder.state_dict())
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(model.features(images), encoder(images)[:, 0])
    assert model.trunk.num_features == 192


def test_the_plain_cnn_sees_no_colour():
    trunk = build_trunk("plain_cnn", 48).eval()
    red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)
    blue = torch.tensor([0, 0, 0.299 / 0.114]).view(1, 3, 1, 1)  # as bright
    images = torch.randn(1, 1, 48, 48)
    with torch.no_grad():
        torch.testing.assert_close(trunk(images * red), trunk(images * blue))


@pytest.mark.parametrize(
    "name", [name for name in TRUNKS if name[-5:] not in ("_base", "large", "_huge")]
)
def test_every_trunk_learns(name):
    torch.manual_seed(0)
    side = {"plain_cnn": 16, "inception_resnet_v1": 75, "sphereface_20": 48}.get(name, 32)
    trunk = build_trunk(name, side)
    trunk(torch.randn(3, 3, side, side)).square().sum().backward()
    dead = [n for n, p in trunk.named_parameters() if p.grad is None or not p.grad.any()]
    assert not dead


@pytest.mark.parametrize(
    ("name", "side", "message"),
    [
        ("vgg_face", 100, "image_size 100, expected a multiple of 32 for vgg_face"),
        ("sphereface_20", 100, "image_size 100, expected a multiple of 16"),
        ("sphereface_20", 32, "at least 48"),
        ("inception_resnet_v1", 74, "expected at least 75"),
        ("ir_50", 100, "expected a multiple of 16 for ir_50"),
        ("plain_cnn", 40, "expected a multiple of 16 for plain_cnn"),
        ("swin_tiny_patch4_window7_224", 112, "swin_tiny_patch4_window7_224 cannot take it"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(name, side, message):
    with pytest.raises(ValueError, match=message):
        build_trunk(name, side)


def test_only_what_is_there_is_known():
    assert all(map(known_trunk, (*TRUNKS, "seresnet50", "resnet18")))
    assert not any(map(known_trunk, ("vgg", "resnet18.a1_in1k", "")))
