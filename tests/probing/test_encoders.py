"""Frozen encoders: our own, timm's, their untrained twins, and refusals."""

import json

import pytest
import timm
import torch
from safetensors.torch import save_file

from pretrain.models.mae import DecoderConfig, MAEConfig, MaskedAutoencoder
from pretrain.probing.encoders import frozen, open_frozen, untrained
from pretrain.save import save_encoder
from pretrain.weights import LoadError

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


@pytest.fixture
def some():
    return torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)


def autoencoder():
    torch.manual_seed(1)
    return MaskedAutoencoder(
        MAEConfig(
            size="tiny",
            image_size=32,
            patch_size=8,
            mean=MEAN,
            std=STD,
            decoder=DecoderConfig(embed_dim=32, depth=1, num_heads=2),
        )
    ).eval()


NO_CLASS_TOKEN = {
    "img_size": 32,
    "depth": 2,
    "class_token": False,
    "global_pool": "avg",
    "num_classes": 0,
}


def cnn_folder(folder, num_classes=0, **changes):
    """A timm CNN with known weights in the hub's layout: config.json and model.safetensors."""
    torch.manual_seed(2)
    model = timm.create_model("test_resnet", num_classes=num_classes).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    folder.mkdir()
    said = {
        "architecture": "test_resnet",
        "num_classes": num_classes,
        "pretrained_cfg": {
            "input_size": [3, 32, 32],
            "mean": MEAN,
            "std": STD,
            "num_classes": num_classes,
            "classifier": "fc",
        },
    }
    (folder / "config.json").write_text(json.dumps(said | changes))
    save_file(model.state_dict(), folder / "model.safetensors")
    return model


@torch.no_grad()
def test_a_folder_of_ours_is_read_as_mean_and_map(tmp_path, some):
    model = autoencoder()
    save_encoder(model, tmp_path / "encoder")
    trained, fresh = open_frozen(str(tmp_path / "encoder"), seed=0)
    tokens = model.encoder(some)[:, 1:]
    torch.testing.assert_close(trained.read(some)["mean"], tokens.mean(1))
    assert trained.image_size == fresh.image_size == 32
    assert not trained.module.training
    assert not fresh.module.training
    assert not torch.allclose(fresh.read(some)["mean"], tokens.mean(1), atol=1e-3)


def test_the_untrained_twin_is_the_model_before_training():
    model = autoencoder().encoder
    twin = untrained(model, seed=5)
    assert twin.shape == model.shape
    assert torch.equal(twin.mean, model.mean)
    assert torch.equal(twin.std, model.std)
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    again, other = untrained(model, seed=5), untrained(model, seed=6)
    assert all(torch.equal(kept[name], value) for name, value in model.state_dict().items())
    weights = [m.state_dict()["blocks.3.mlp.fc1.weight"] for m in (twin, again, other, model)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], weights[3])
    # As Xavier has it: uniform within sqrt(6 / (fan in + fan out)), no bias.
    bound = (6 / (192 + 768)) ** 0.5
    assert weights[0].abs().max() <= bound
    assert weights[0].std() == pytest.approx(bound / 3**0.5, rel=0.02)
    assert not twin.state_dict()["blocks.3.mlp.fc1.bias"].any()


def test_making_a_twin_uses_nobody_elses_random_numbers():
    model = autoencoder().encoder
    torch.manual_seed(9)
    expected = torch.rand(4)
    torch.manual_seed(9)
    untrained(model, seed=3)
    assert torch.equal(torch.rand(4), expected)


@torch.no_grad()
@pytest.mark.parametrize("num_classes", [0, 7])
def test_a_cnn_of_timm_is_read_before_its_classifier(tmp_path, some, num_classes):
    model = cnn_folder(tmp_path / "cnn", num_classes)
    trained, fresh = open_frozen(str(tmp_path / "cnn"), seed=0)
    model.reset_classifier(0)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    expected = model((some.float() / 255 - mean) / std)
    assert list(trained.read(some)) == ["pooled"]
    torch.testing.assert_close(trained.read(some)["pooled"], expected)
    assert trained.image_size == fresh.image_size == 32
    assert fresh.read(some)["pooled"].shape == expected.shape
    assert not torch.allclose(fresh.read(some)["pooled"], expected, atol=1e-2)


@torch.no_grad()
def test_a_twin_of_timm_depends_on_the_seed_alone(tmp_path, some):
    cnn_folder(tmp_path / "cnn")
    read = [open_frozen(str(tmp_path / "cnn"), seed)[1].read(some)["pooled"] for seed in (4, 4, 5)]
    assert torch.equal(read[0], read[1])
    assert not torch.equal(read[0], read[2])


def refusal(path):
    with pytest.raises(LoadError) as caught:
        open_frozen(str(path), 0)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_a_vit_that_is_no_encoder_of_ours_is_read_as_timm_does(tmp_path, some):
    """A ViT without a class token, whose tokens timm averages itself."""
    torch.manual_seed(3)
    model = timm.create_model("vit_tiny_patch16_224", **NO_CLASS_TOKEN).eval()
    folder = tmp_path / "vit"
    folder.mkdir()
    data = {"input_size": [3, 32, 32], "mean": MEAN, "std": STD, "num_classes": 0}
    said = {
        "architecture": "vit_tiny_patch16_224",
        "model_args": NO_CLASS_TOKEN,
        "pretrained_cfg": data,
    }
    (folder / "config.json").write_text(json.dumps(said))
    save_file(model.state_dict(), folder / "model.safetensors")
    trained, _ = open_frozen(str(folder), 0)
    with torch.no_grad():
        found = trained.read(some)["pooled"]
        pixels = (some.float() / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(
            3, 1, 1
        )
        torch.testing.assert_close(found, model(pixels))


def test_a_folder_without_weights_is_refused(tmp_path):
    cnn_folder(tmp_path / "cnn")
    (tmp_path / "cnn" / "model.safetensors").unlink()
    assert "no model.safetensors" in refusal(tmp_path / "cnn")


def test_broken_weights_are_refused(tmp_path):
    cnn_folder(tmp_path / "cnn")
    (tmp_path / "cnn" / "model.safetensors").write_bytes(b"broken")
    refusal(tmp_path / "cnn")


def test_weights_of_another_model_are_refused(tmp_path):
    cnn_folder(tmp_path / "cnn", architecture="test_convnext")
    refusal(tmp_path / "cnn")


@pytest.mark.parametrize("text", ["{", "[]", '{"architecture": 3}', '{"architecture": "nobody"}'])
def test_a_config_that_says_nothing_is_refused(tmp_path, text):
    cnn_folder(tmp_path / "cnn")
    (tmp_path / "cnn" / "config.json").write_text(text)
    refusal(tmp_path / "cnn")


@pytest.mark.parametrize("name", ["no_such_model", "no/such/folder", "/no/such/folder", "vit_none"])
def test_an_unknown_name_is_refused(name):
    refusal(name)


def test_any_size_of_ours_is_its_own():
    assert frozen(autoencoder().encoder).image_size == 32
