"""The two networks: what they draw, what they answer, and in which range."""

from dataclasses import replace

import pytest
import torch

from finetune.load import load_model
from finetune.models.gan import GANConfig, as_drawn, as_images
from finetune.save import save_model

SMALL = GANConfig(image_size=32, width=4, latent=8)


@pytest.mark.parametrize("side", [32, 64, 96])
@pytest.mark.parametrize("discriminator", ["residual", "spectral", "small"])
def test_faces_of_every_side_are_drawn_and_answered(side: int, discriminator: str) -> None:
    model = replace(SMALL, image_size=side, discriminator=discriminator).build()
    drawn = model.generator(2 * torch.rand(2, 8) - 1)
    assert drawn.shape == (2, 3, side, side)
    assert drawn.abs().max() <= 1
    answer, realness, features = model.discriminator(drawn)
    assert realness.shape == (2,)
    assert features.shape[0] == 2
    assert answer.valence_arousal.shape == (2, 2)
    assert answer.expression_logits.shape == (2, 8)
    assert answer.action_unit_logits.shape == (2, 12)


def test_the_published_discriminator_has_its_convolutions() -> None:
    model = GANConfig(image_size=32, discriminator="small").build()
    shapes = [
        (layer.out_channels, layer.kernel_size, layer.stride)
        for layer in model.discriminator.modules()
        if isinstance(layer, torch.nn.Conv2d)
    ]
    assert shapes == [(width, (5, 5), (2, 2)) for width in (64, 128, 256)]


def test_every_layer_of_the_spectral_discriminator_is_bounded() -> None:
    torch.manual_seed(0)
    network = replace(SMALL, discriminator="spectral").build().discriminator
    for _ in range(200):  # power iterations
        network(torch.randn(2, 3, 32, 32))
    layers = [m for m in network.trunk.modules() if isinstance(m, torch.nn.Conv2d)]
    norms = [torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() for layer in layers]
    assert norms == pytest.approx([1.0] * len(layers), abs=0.02)
    assert len(layers) == 9


def test_realness_is_that_of_an_image_with_its_labels_and_answers_do_not_see_them() -> None:
    torch.manual_seed(0)
    network = replace(SMALL, conditional=True).build().discriminator.eval()
    drawn, condition = torch.rand(4, 3, 32, 32), torch.randn(4, SMALL.condition_width)
    with torch.no_grad():
        answer, alone, _ = network(drawn)
        assert torch.equal(network(drawn, condition)[1], alone)  # it starts without an opinion
        fitting = network.judges["fitting"].weight.normal_()
        other, together, features = network(drawn, condition)
        inner = (condition @ fitting.T) * network.norm(features)
    torch.testing.assert_close(together, alone + inner.sum(1) / inner.shape[1] ** 0.5)
    assert torch.equal(answer.expression_logits, other.expression_logits)
    assert torch.equal(answer.valence_arousal, other.valence_arousal)


def test_images_and_drawings_have_one_range() -> None:
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert as_drawn(images).min() == -1
    assert as_drawn(images).max() == 1
    assert torch.equal(as_images(as_drawn(images)), images)


def test_as_a_model_it_is_the_discriminator_and_comes_back(tmp_path) -> None:
    model = replace(SMALL, conditional=True).build().eval()
    save_model(model, tmp_path / "model")
    other, labels, _ = load_model(tmp_path / "model")
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    noise, condition = torch.rand(2, 8), torch.rand(2, SMALL.condition_width)
    with torch.no_grad():
        expected = model.discriminator(as_drawn(images))[0].expression_logits
        torch.testing.assert_close(other(images).expression_logits, expected)
        torch.testing.assert_close(
            other.generator(noise, condition), model.generator(noise, condition)
        )
    assert labels.valence_arousal


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 48}, "image_size 48, expected one of 32, 64, 96"),
        ({"mean": (0.4, 0.4, 0.4)}, r"expected 0\.5: what is drawn is in"),
        (
            {"discriminator": "big"},
            "discriminator 'big', expected one of residual, spectral, small",
        ),
        ({"latent": 0}, "latent 0, expected at least 1"),
        ({"generator_rate": 0.0}, "generator_rate 0.0, expected > 0"),
    ],
)
def test_networks_that_cannot_be_are_refused(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **changes)
