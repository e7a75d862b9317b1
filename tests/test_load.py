"""Files and models: own round trips, released layouts, and refusal of everything else."""

import argparse
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from timm.models import save_for_hf

import pretrain
from pretrain.errors import UserError
from pretrain.files import WriteError
from pretrain.load import init_from, load_encoder, load_mae
from pretrain.models.mae import DecoderConfig, MAEConfig, MaskedAutoencoder
from pretrain.save import save_encoder, save_mae
from pretrain.weights import LoadError

DECODER = DecoderConfig(embed_dim=64, depth=2, num_heads=16)  # the reference always has 16 heads
MEAN, STD = (0.51, 0.42, 0.33), (0.21, 0.26, 0.31)


def build(seed=0, **changes):
    """A small autoencoder whose every parameter differs from its initial value."""
    torch.manual_seed(seed)
    options = {"size": "tiny", "image_size": 32, "patch_size": 8, "decoder": DECODER}
    model = MaskedAutoencoder(MAEConfig(**options | changes))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    return model.eval()


def draw(model, batch=2):
    generator = torch.Generator().manual_seed(0)
    side, num_patches = model.config.image_size, model.config.encoder_shape.num_patches
    images = torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8, generator=generator)
    return images, torch.rand(batch, num_patches, generator=generator)


def normalised(images, mean=MEAN, std=STD):
    return (images.float() / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(
        3, 1, 1
    )


def reference_layout(width, depth, grid, patch, decoder_width=None, decoder_depth=0):
    """Tensor names and shapes of a released MAE file; with a decoder, of a training checkpoint."""
    shapes = {"cls_token": (1, 1, width), "pos_embed": (1, 1 + grid**2, width)}
    if decoder_width:
        shapes["mask_token"] = (1, 1, decoder_width)
        shapes["decoder_pos_embed"] = (1, 1 + grid**2, decoder_width)
    modules = {"patch_embed.proj": (width, 3, patch, patch), "norm": (width,)}
    if decoder_width:
        modules |= {
            "decoder_embed": (decoder_width, width),
            "decoder_norm": (decoder_width,),
            "decoder_pred": (3 * patch**2, decoder_width),
        }
    for prefix, d, count in (
        ("blocks", width, depth),
        ("decoder_blocks", decoder_width or 0, decoder_depth),
    ):
        for index in range(count):
            modules |= {
                f"{prefix}.{index}.norm1": (d,),
                f"{prefix}.{index}.attn.qkv": (3 * d, d),
                f"{prefix}.{index}.attn.proj": (d, d),
                f"{prefix}.{index}.norm2": (d,),
                f"{prefix}.{index}.mlp.fc1": (4 * d, d),
                f"{prefix}.{index}.mlp.fc2": (d, 4 * d),
            }
    for name, shape in modules.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return shapes


def filled(shapes, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {n: (torch.randn(s, generator=generator) * 0.1).to(dtype) for n, s in shapes.items()}


TINY = reference_layout(192, 12, 4, 8)
TINY_MAE = reference_layout(192, 12, 4, 8, decoder_width=64, decoder_depth=2)


def training_checkpoint(tensors, **args):
    """What the reference trainer saves: more than tensors, options in an argparse.Namespace."""
    weight = torch.nn.Parameter(torch.zeros(2))
    weight.grad = torch.ones(2)
    optimiser = torch.optim.AdamW([weight], betas=(0.9, 0.95))
    optimiser.step()
    return {
        "model": tensors,
        "optimizer": optimiser.state_dict(),
        "epoch": 799,
        "scaler": {"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 11},
        "args": argparse.Namespace(model="mae_vit_tiny", betas=[0.9, 0.95], resume=None, **args),
    }


def published(module):
    return {name.removeprefix("encoder."): value for name, value in module.state_dict().items()}


def assert_placed(module, tensors):
    own = published(module)
    assert own.keys() == tensors.keys()
    for name, value in tensors.items():
        assert torch.equal(own[name], value.float()), name


def refusal(path, load=load_encoder):
    """The message of a refusal: one line that names the path."""
    with pytest.raises(LoadError) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


# Our own files.


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mean": MEAN, "std": STD, "normalise_target": False, "mask_ratio": 0.5, "norm_eps": 1e-3},
        {"image_size": 30, "patch_size": 10, "mask_ratio": 0.6},
    ],
)
def test_a_saved_autoencoder_comes_back_with_its_config_and_identical_losses(tmp_path, changes):
    model = build(**changes)
    save_mae(model, tmp_path / "mae.safetensors")
    loaded, report = load_mae(tmp_path / "mae.safetensors")
    assert loaded.config == model.config
    assert not loaded.training
    assert report.loaded == len(model.state_dict())
    assert (report.missing, report.unexpected, report.resized) == ([], [], [])
    images, noise = draw(model)
    assert torch.equal(loaded(images, noise), model(images, noise))


def test_a_saved_autoencoder_has_the_published_names(tmp_path):
    save_mae(build(), tmp_path / "mae.safetensors")
    tensors = load_file(tmp_path / "mae.safetensors")
    assert {name: tuple(value.shape) for name, value in tensors.items()} == TINY_MAE


def test_saving_leaves_no_draft_and_replaces_an_older_file(tmp_path):
    save_mae(build(seed=1), tmp_path / "mae.safetensors")
    save_mae(build(seed=2), tmp_path / "mae.safetensors")
    assert os.listdir(tmp_path) == ["mae.safetensors"]
    assert_placed(load_mae(tmp_path / "mae.safetensors")[0], published(build(seed=2)))


def test_what_cannot_be_written_is_refused_by_path(tmp_path):
    model = build()
    with pytest.raises(WriteError, match=r"nowhere/mae\.safetensors: cannot write"):
        save_mae(model, tmp_path / "nowhere" / "mae.safetensors")
    (tmp_path / "encoder").write_text("a file")
    with pytest.raises(WriteError, match=r"encoder/config\.json: cannot write"):
        save_encoder(model, tmp_path / "encoder")


def test_a_saved_encoder_gives_the_same_features_here_and_in_timm(tmp_path):
    model = build(mean=MEAN, std=STD)
    save_encoder(model, tmp_path / "encoder")
    ours, report = load_encoder(tmp_path / "encoder")
    theirs = timm.create_model(f"local-dir:{tmp_path / 'encoder'}", pretrained=True).eval()
    images, _ = draw(model)
    with torch.no_grad():
        expected = model.encoder(images)
        features = ours(images)
        theirs_features = theirs.forward_features(normalised(images))
        pooled = theirs(normalised(images))
    assert not ours.training
    assert report.loaded == len(TINY)
    assert torch.equal(features, expected)
    torch.testing.assert_close(theirs_features, features, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(pooled, features[:, 0], rtol=1e-4, atol=1e-5)


def test_timm_reads_our_size_mean_and_std(tmp_path):
    save_encoder(build(mean=MEAN, std=STD), tmp_path / "encoder")
    theirs = timm.create_model(f"local-dir:{tmp_path / 'encoder'}", pretrained=True)
    said = timm.data.resolve_model_data_config(theirs)
    assert (tuple(said["mean"]), tuple(said["std"])) == (MEAN, STD)
    assert tuple(said["input_size"]) == (3, 32, 32)
    assert said["crop_pct"] == 1.0


def run_folder(folder, model):
    folder.mkdir()
    (folder / "run.json").write_text("{}")
    save_mae(model, folder / "mae.safetensors")
    save_encoder(model, folder / "encoder")
    return folder


@pytest.mark.parametrize("part", ["", "encoder", "encoder/model.safetensors", "mae.safetensors"])
def test_every_door_to_a_runs_encoder_leads_to_the_same_numbers(tmp_path, part):
    model = build(mean=MEAN, std=STD, norm_eps=1e-3)  # none of which a tensor shows
    folder = run_folder(tmp_path / "run", model)
    encoder, report = load_encoder(folder / part)
    images, _ = draw(model)
    assert torch.equal(encoder(images), model.encoder(images))
    assert report.loaded == len(TINY)
    decoder = TINY_MAE.keys() - TINY.keys()
    assert set(report.unexpected) == (decoder if part.startswith("mae") else set())


def test_a_run_folder_gives_its_autoencoder(tmp_path):
    model = build()
    loaded, _ = load_mae(run_folder(tmp_path / "run", model))
    assert_placed(loaded, published(model))


def test_a_run_that_has_not_ended_is_refused(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    assert "holds no encoder" in refusal(tmp_path)
    assert "holds no mae.safetensors" in refusal(tmp_path, load_mae)


def test_the_package_offers_both_loaders():
    assert pretrain.load_encoder is load_encoder
    assert pretrain.load_mae is load_mae
    assert issubclass(LoadError, UserError)


# Released layouts.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_released_encoder_is_placed_whole(tmp_path, dtype):
    tensors = filled(TINY, dtype)
    torch.save({"model": tensors}, tmp_path / "mae_pretrain.pth")
    encoder, report = load_encoder(tmp_path / "mae_pretrain.pth")
    assert_placed(encoder, tensors)
    assert report.loaded == len(tensors)
    assert (report.missing, report.unexpected, report.resized) == ([], [], [])
    assert (encoder.shape.image_size, encoder.shape.patch_size) == (32, 8)
    assert encoder.shape.norm_eps == 1e-6
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}


@pytest.mark.parametrize("wrapping", ["bare", "model", "state_dict", "module.", "safetensors"])
def test_state_dicts_are_found_where_people_keep_them(tmp_path, wrapping):
    tensors = filled(TINY)
    file = tmp_path / "weights.pth"
    if wrapping == "bare":
        torch.save(tensors, file)
    elif wrapping == "module.":
        torch.save({"model": {f"module.{n}": v for n, v in tensors.items()}}, file)
    elif wrapping == "safetensors":
        file = tmp_path / "weights.safetensors"
        save_file(tensors, file)
    else:
        torch.save({wrapping: tensors, "epoch": 3}, file)
    assert_placed(load_encoder(file)[0], tensors)


def test_a_training_checkpoint_of_the_reference_is_placed_whole(tmp_path):
    tensors = filled(TINY_MAE)
    torch.save(training_checkpoint(tensors), tmp_path / "checkpoint-799.pth")
    model, report = load_mae(tmp_path / "checkpoint-799.pth")
    assert_placed(model, tensors)
    assert report.loaded == len(tensors)
    assert (report.missing, report.unexpected, report.resized) == ([], [], [])
    assert model.config.decoder == DECODER
    encoder, report = load_encoder(tmp_path / "checkpoint-799.pth")
    assert_placed(encoder, {n: v for n, v in tensors.items() if n in TINY})
    assert set(report.unexpected) == TINY_MAE.keys() - TINY.keys()


@pytest.mark.parametrize("norm_pix_loss", [True, False])
def test_the_options_in_a_training_checkpoint_say_what_the_loss_was(tmp_path, norm_pix_loss):
    checkpoint = training_checkpoint(filled(TINY_MAE), norm_pix_loss=norm_pix_loss, mask_ratio=0.5)
    torch.save(checkpoint, tmp_path / "checkpoint.pth")
    config = load_mae(tmp_path / "checkpoint.pth")[0].config
    assert config.normalise_target is norm_pix_loss
    assert config.mask_ratio == 0.5


def test_without_options_the_usual_loss_is_assumed(tmp_path):
    torch.save({"model": filled(TINY_MAE)}, tmp_path / "full.pth")
    config = load_mae(tmp_path / "full.pth")[0].config
    assert config.normalise_target
    assert config.mask_ratio == 0.75


def test_every_tensor_of_a_file_has_an_effect(tmp_path):
    tensors = filled(TINY_MAE)
    file = tmp_path / "mae.safetensors"

    def loss():
        save_file(tensors, file)
        model, _ = load_mae(file)
        return model(*draw(model)).item()

    before = loss()
    of_one_block = ("blocks.7.", "decoder_blocks.1.")
    names = [n for n in tensors if "blocks" not in n or n.startswith(of_one_block)]
    assert len(names) == 38
    for name in names:
        kept, tensors[name] = tensors[name], tensors[name].flip(-1) * 1.5 + 0.01
        assert loss() != before, name
        tensors[name] = kept
    assert loss() == before


# Hugging Face.


def vit_mae(**changes):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    options = {
        "hidden_size": 192,
        "num_hidden_layers": 12,
        "num_attention_heads": 3,
        "intermediate_size": 768,
        "image_size": 32,
        "patch_size": 8,
        "decoder_hidden_size": 64,
        "decoder_num_hidden_layers": 2,
        "decoder_num_attention_heads": 4,
        "decoder_intermediate_size": 256,
        "norm_pix_loss": True,
        "layer_norm_eps": 1e-3,  # far from ours, so that forgetting it shows
        "mask_ratio": 0.5,
    }
    model = transformers.ViTMAEForPreTraining(transformers.ViTMAEConfig(**options | changes))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    return model.eval()


@pytest.mark.parametrize("norm_pix_loss", [True, False])
def test_a_hugging_face_folder_has_the_same_loss_as_hugging_face(tmp_path, norm_pix_loss):
    theirs = vit_mae(norm_pix_loss=norm_pix_loss)
    theirs.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": MEAN, "image_std": STD, "do_resize": True})
    )
    model, report = load_mae(tmp_path)
    assert report.loaded == len(TINY_MAE)
    assert (model.config.mean, model.config.std) == (MEAN, STD)
    images, noise = draw(model)
    with torch.no_grad():
        expected = theirs(normalised(images), noise=noise)
        loss = model(images, noise) / expected.mask.sum()
        encoder, report = load_encoder(tmp_path)
    assert loss.item() == pytest.approx(expected.loss.item(), rel=1e-5)
    assert torch.equal(encoder(images), model.encoder(images))
    assert set(report.unexpected) == TINY_MAE.keys() - TINY.keys()


def test_a_hugging_face_encoder_saved_alone_is_read(tmp_path):
    theirs = vit_mae()
    theirs.vit.save_pretrained(tmp_path)
    encoder, report = load_encoder(tmp_path)
    assert report.loaded == len(TINY)
    theirs.config.mask_ratio = 0.0
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    pixels = normalised(images, MAEConfig().mean, MAEConfig().std)
    with torch.no_grad():
        expected = theirs.vit(pixels, noise=torch.arange(16.0).expand(2, -1)).last_hidden_state
        torch.testing.assert_close(encoder(images), expected, rtol=1e-4, atol=1e-5)


def older_names(tensors):
    """The names of Hugging Face ViTMAE files up to transformers 4."""
    spelled = {}
    for name, value in tensors.items():
        name = name.replace("vit.layers.", "vit.encoder.layer.")
        for short, long in (("q", "query"), ("k", "key"), ("v", "value")):
            name = name.replace(f"attention.{short}_proj", f"attention.attention.{long}")
        name = name.replace("attention.o_proj", "attention.output.dense")
        name = name.replace("mlp.fc1", "intermediate.dense").replace("mlp.fc2", "output.dense")
        spelled[name] = value
    return spelled


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_older_hugging_face_names_and_bin_files_are_read(tmp_path, kind):
    theirs = vit_mae()
    tensors = older_names(theirs.state_dict())
    assert "vit.encoder.layer.0.attention.attention.query.weight" in tensors
    (tmp_path / "config.json").write_text(theirs.config.to_json_string())
    if kind == "bin":
        torch.save(tensors, tmp_path / "pytorch_model.bin")
    else:
        save_file(tensors, tmp_path / "model.safetensors")
    model, _ = load_mae(tmp_path)
    images, noise = draw(model)
    with torch.no_grad():
        pixels = normalised(images, model.config.mean, model.config.std)
        expected = theirs(pixels, noise=noise)
        loss = model(images, noise) / expected.mask.sum()
    assert loss.item() == pytest.approx(expected.loss.item(), rel=1e-5)


def test_the_weights_file_of_a_hugging_face_folder_is_read_with_the_config_beside_it(tmp_path):
    vit_mae().save_pretrained(tmp_path)
    model, _ = load_mae(tmp_path / "model.safetensors")
    assert model.config == load_mae(tmp_path)[0].config
    assert model.config.norm_eps == 1e-3
    assert model.config.decoder.num_heads == 4


def test_heads_or_activations_that_no_tensor_shows_are_refused_or_kept(tmp_path):
    vit_mae(num_attention_heads=6).save_pretrained(tmp_path)
    assert load_encoder(tmp_path)[0].blocks[0].attn.num_heads == 6
    assert "192, depth 12 and 6 heads" in refusal(tmp_path, load_mae)
    vit_mae(hidden_act="relu").save_pretrained(tmp_path)
    assert "hidden_act 'relu', expected 'gelu'" in refusal(tmp_path)


# timm.


def timm_model(**changes):
    torch.manual_seed(0)
    options = {"img_size": 32, "patch_size": 8}
    return timm.create_model("vit_tiny_patch16_224", **options | changes).eval()


def save_timm(model, folder, **model_args):
    save_for_hf(model, folder, model_args={"img_size": 32, "patch_size": 8, **model_args})


def test_a_timm_folder_gives_timms_features_and_normalisation(tmp_path):
    theirs = timm_model(num_classes=7)
    save_timm(theirs, tmp_path)
    encoder, report = load_encoder(tmp_path)
    assert report.loaded == len(TINY)  # the classifier is not counted
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    mean, std = theirs.pretrained_cfg["mean"], theirs.pretrained_cfg["std"]
    assert mean != MAEConfig().mean
    with torch.no_grad():
        expected = theirs.forward_features(normalised(images, mean, std))
        torch.testing.assert_close(encoder(images), expected, rtol=1e-4, atol=1e-5)


def test_the_number_of_heads_in_a_timm_config_is_used(tmp_path):
    theirs = timm_model(num_heads=6)
    save_timm(theirs, tmp_path, num_heads=6)
    encoder, _ = load_encoder(tmp_path)
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        pixels = normalised(images, theirs.pretrained_cfg["mean"], theirs.pretrained_cfg["std"])
        expected = theirs.forward_features(pixels)
        torch.testing.assert_close(encoder(images), expected, rtol=1e-4, atol=1e-5)


def test_timm_models_with_parts_that_ours_does_not_have_are_refused(tmp_path):
    model = timm_model(init_values=1e-5)
    torch.save(model.state_dict(), tmp_path / "layer_scale.pth")
    assert "24 tensors have no place: blocks.0.ls1" in refusal(tmp_path / "layer_scale.pth")
    model = timm_model(class_token=False, global_pool="avg")
    torch.save(model.state_dict(), tmp_path / "no_class_token.pth")
    assert "no tensor 'cls_token'" in refusal(tmp_path / "no_class_token.pth")
    model = timm_model(global_pool="avg")  # its norm is called fc_norm
    torch.save(model.state_dict(), tmp_path / "pooled.pth")
    assert "norm.bias, norm.weight" in refusal(tmp_path / "pooled.pth")


@pytest.mark.parametrize("name", ["resnet_18_of_ours", "missing.pth", "vit_tiny_patch16_225"])
def test_a_name_that_is_neither_file_nor_model_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert "no such file or folder, and no timm model of that name" in refusal(name)


def test_a_timm_name_with_a_tag_reaches_timm_and_one_line_says_that_the_hub_did_not_answer(
    tmp_path,
):
    name = "vit_tiny_patch16_224.augreg_in21k"
    code = f"from pretrain import load_encoder; load_encoder({name!r})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    *_, last = done.stderr.strip().splitlines()
    assert last.startswith(f"pretrain.weights.LoadError: {name}: timm could not get its weights: ")


# Starting from other weights.


def test_init_from_an_encoder_leaves_the_decoder_untouched(tmp_path):
    tensors = filled(TINY)
    torch.save({"model": tensors}, tmp_path / "encoder.pth")
    model = build()
    before = {name: value.clone() for name, value in published(model).items()}
    report = init_from(model, tmp_path / "encoder.pth")
    after = published(model)
    assert all(torch.equal(after[name], tensors[name]) for name in TINY)
    decoder = TINY_MAE.keys() - TINY.keys()
    assert all(torch.equal(after[name], before[name]) for name in decoder)
    assert set(report.missing) == decoder
    assert report.loaded == len(TINY)
    assert f"{len(TINY)} tensors loaded, {len(decoder)} missing" in str(report)


def test_init_from_an_autoencoder_takes_its_decoder(tmp_path):
    other, model = build(seed=5), build()
    save_mae(other, tmp_path / "mae.safetensors")
    report = init_from(model, tmp_path / "mae.safetensors")
    assert report.loaded == len(TINY_MAE)
    images, noise = draw(model)
    assert torch.equal(model(images, noise), other(images, noise))


@pytest.mark.parametrize("changes", [{"depth": 1}, {"depth": 3}, {"embed_dim": 32}])
def test_init_from_takes_no_half_of_a_decoder_of_another_size(tmp_path, changes):
    sizes = {"embed_dim": 64, "depth": 2, "num_heads": 16} | changes
    other, model = build(seed=5, decoder=DecoderConfig(**sizes)), build()
    save_mae(other, tmp_path / "mae.safetensors")
    before = {name: value.clone() for name, value in published(model).items()}
    report = init_from(model, tmp_path / "mae.safetensors")
    after, theirs = published(model), published(other)
    assert all(torch.equal(after[name], theirs[name]) for name in TINY)
    decoder = TINY_MAE.keys() - TINY.keys()
    assert all(torch.equal(after[name], before[name]) for name in decoder)
    assert set(report.missing) == decoder
    assert report.loaded == len(TINY)


def test_init_from_timm_weights_whatever_their_classifier(tmp_path):
    theirs = timm_model(num_classes=11)
    torch.save(theirs.state_dict(), tmp_path / "timm.pth")
    model = build(mean=MEAN, std=STD)
    init_from(model, tmp_path / "timm.pth")
    images, _ = draw(model)
    with torch.no_grad():
        expected = theirs.forward_features(normalised(images))
        torch.testing.assert_close(model.encoder(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("grid", [2, 8])
def test_init_from_another_grid_interpolates_the_positions(tmp_path, grid):
    save_mae(build(seed=5), tmp_path / "mae.safetensors")  # 4 x 4 patches
    model = build(image_size=8 * grid)
    report = init_from(model, tmp_path / "mae.safetensors")
    assert report.resized == ["decoder_pos_embed", "encoder.pos_embed"]
    assert report.loaded == len(TINY_MAE)
    assert "2 resized" in str(report)
    saved = load_file(tmp_path / "mae.safetensors")
    for name in ("pos_embed", "decoder_pos_embed"):
        square = saved[name][:, 1:].unflatten(1, (4, 4)).permute(0, 3, 1, 2)
        square = F.interpolate(square, (grid, grid), mode="bicubic", antialias=True)
        placed = published(model)[name]
        torch.testing.assert_close(placed[:, 1:], square.flatten(2).transpose(1, 2))
        assert torch.equal(placed[:, :1], saved[name][:, :1])
    assert torch.isfinite(model(*draw(model)))


def test_init_from_an_encoder_of_another_width_is_refused(tmp_path):
    tensors = filled(reference_layout(384, 12, 4, 8))
    torch.save({"model": tensors}, tmp_path / "small.pth")
    model = build()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    message = refusal(tmp_path / "small.pth", lambda path: init_from(model, path))
    assert "has shape [384], expected [192]" in message
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("blocks.3.norm1.weight", None, "1 tensors are missing: encoder.blocks.3.norm1.weight"),
        ("blocks.3.extra", torch.zeros(1), "1 tensors have no place: encoder.blocks.3.extra"),
        ("norm.bias", torch.zeros(3), "'encoder.norm.bias' has shape [3], expected [192]"),
        ("pos_embed", torch.zeros(1, 13, 192), "13 positions, expected a class token and a square"),
    ],
)
def test_init_from_refuses_an_encoder_that_does_not_fit(tmp_path, name, change, words):
    tensors = filled(TINY_MAE)
    changed(tensors, name, change)
    torch.save({"model": tensors}, tmp_path / "other.pth")
    assert words in refusal(tmp_path / "other.pth", lambda path: init_from(build(), path))


# Refusals.


def changed(tensors, name, change):
    if change is None:
        del tensors[name]
    else:
        tensors[name] = change


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("blocks.3.mlp.fc1.bias", None, ["missing", "blocks.3.mlp.fc1.bias"]),
        ("mask_token", None, ["'mask_token'"]),
        ("decoder_pos_embed", None, ["missing", "decoder_pos_embed"]),
        ("blocks.3.ls1.gamma", torch.zeros(192), ["no place", "blocks.3.ls1.gamma"]),
        ("decoder_blocks.1.x", torch.zeros(1), ["no place", "decoder_blocks.1.x"]),
        ("blocks.7.attn.qkv.weight", torch.zeros(192, 192), ["[192, 192]", "[576, 192]"]),
        ("decoder_pred.bias", torch.zeros(9), ["decoder_pred.bias", "[9]", "[192]"]),
        ("cls_token", torch.zeros(192), ["cls_token", "[192]"]),
        ("pos_embed", torch.zeros(192), ["pos_embed", "[192]"]),
        ("pos_embed", torch.zeros(1, 16, 192), ["pos_embed", "16 positions"]),
        ("pos_embed", torch.zeros(1, 1, 192), ["pos_embed", "1 positions"]),
        ("decoder_pos_embed", torch.zeros(1, 16, 64), ["decoder_pos_embed", "16 positions"]),
        ("patch_embed.proj.weight", torch.zeros(192, 192), ["patch_embed.proj.weight"]),
        (
            "patch_embed.proj.weight",
            torch.zeros(192, 1, 8, 8),
            ["[192, 1, 8, 8]", "[192, 3, 8, 8]"],
        ),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name_got_and_expected(
    tmp_path, name, change, words
):
    tensors = filled(TINY_MAE)
    changed(tensors, name, change)
    torch.save({"model": tensors}, tmp_path / "checkpoint.pth")
    message = refusal(tmp_path / "checkpoint.pth", load_mae)
    for word in words:
        assert word in message


def test_an_encoder_has_no_decoder_to_load(tmp_path):
    torch.save({"model": filled(TINY)}, tmp_path / "encoder.pth")
    assert "an encoder only, expected a decoder" in refusal(tmp_path / "encoder.pth", load_mae)


def test_a_size_without_a_name_is_refused(tmp_path):
    torch.save(filled(reference_layout(192, 2, 4, 8)), tmp_path / "short.pth")
    message = refusal(tmp_path / "short.pth")
    assert "width 192 and depth 2, expected one of tiny, small, base, large, huge" in message


class Payload:
    """Runs a command when it is unpickled without a guard."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_text_is_no_checkpoint(tmp_path):
    (tmp_path / "list.pth").write_text("images/1.jpg\nimages/2.jpg\n")
    assert refusal(tmp_path / "list.pth").endswith(
        "list.pth: no checkpoint, expected safetensors, or what torch.save writes"
    )


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("where", ["alone", "model", "args", "plain pickle", "old format"])
def test_a_malicious_pickle_is_refused_and_does_not_run(tmp_path, where):
    harm = tmp_path / "harm"
    payload = Payload(f"touch {harm}")
    file = tmp_path / "weights.pth"
    content = {
        "alone": payload,
        "model": {"model": filled(TINY) | {"norm.bias": payload}},
        "args": {"model": filled(TINY), "args": argparse.Namespace(model=payload)},
    }.get(where, {"model": {}, "payload": payload})
    if where == "plain pickle":
        file.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=where != "old format")
    for load in (load_encoder, load_mae, lambda path: init_from(build(), path)):
        assert "refused to unpickle" in refusal(file, load)
    assert not harm.exists()
    pickle.loads(pickle.dumps(payload))  # it would have
    assert harm.exists()


def test_a_pickled_module_is_refused_by_its_type(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pth")
    message = refusal(tmp_path / "module.pth")
    assert "torch.nn.modules.linear.Linear" in message
    assert "expected tensors only" in message


@pytest.mark.parametrize(
    "content", [{}, [1, 2], {"model": 3}, {"model": {"norm.weight": 1.0}}, {1: torch.zeros(1)}, 7]
)
def test_a_file_without_a_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "odd.pth")
    assert "no state dict" in refusal(tmp_path / "odd.pth")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".bin", ""])
@pytest.mark.parametrize("content", [b"", b"hello world\n", b"\x00" * 64, b"<!DOCTYPE html>\n" * 9])
def test_files_that_are_no_checkpoint_are_refused(tmp_path, suffix, content):
    file = tmp_path / f"weights{suffix}"
    file.write_bytes(content)
    refusal(file)


@pytest.mark.parametrize("kind", ["zip", "old", "safetensors"])
def test_a_truncated_checkpoint_is_refused_wherever_it_ends(tmp_path, kind):
    file = tmp_path / ("whole.safetensors" if kind == "safetensors" else "whole.pth")
    tensors = filled(TINY)
    if kind == "safetensors":
        save_file(tensors, file)
    else:
        torch.save({"model": tensors}, file, _use_new_zipfile_serialization=kind == "zip")
    whole = file.read_bytes()
    cut = file.with_stem("cut")
    for length in (1, 9, 100, len(whole) // 3, len(whole) - 1000, len(whole) - 1):
        cut.write_bytes(whole[:length])
        refusal(cut)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("kind", ["zip", "old", "safetensors"])
@given(data=st.data())
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_damaged_bytes_end_in_a_refusal_and_nothing_else(tmp_path, kind, data):
    file = tmp_path / ("damaged.safetensors" if kind == "safetensors" else "damaged.pth")
    if kind == "safetensors":
        save_file({"cls_token": torch.zeros(1, 1, 4)}, file)
    else:
        torch.save(
            {"model": {"cls_token": torch.zeros(1, 1, 4)}, "args": argparse.Namespace(a=1)},
            file,
            _use_new_zipfile_serialization=kind == "zip",
        )
    content = np.frombuffer(file.read_bytes(), np.uint8).copy()
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    file.write_bytes(content.tobytes())
    refusal(file)  # sound bytes are refused too: there is no 'pos_embed'


def test_a_path_that_is_not_there_is_refused(tmp_path):
    for load in (load_encoder, load_mae, lambda path: init_from(build(), path)):
        assert "no such file or folder" in refusal(tmp_path / "weights.pth", load)
        assert "no such file or folder" in refusal(tmp_path / "folder", load)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (None, "no config.json"),
        ("{", "not a readable JSON file"),
        ("[]", "expected an object"),
        ("{}", "model type None"),
        ('{"model_type": "bert"}', "model type 'bert', expected a timm architecture or vit_mae"),
        ('{"model_type": "vit_mae", "hidden_act": "gelu"}', "num_attention_heads"),
        ('{"architecture": "vit_tiny_patch16_224", "pretrained_cfg": {"mean": 1}}', "config.json"),
    ],
)
def test_folders_without_a_config_that_we_know_are_refused(tmp_path, config, words):
    save_file(filled(TINY), tmp_path / "model.safetensors")
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    assert words in refusal(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"architecture": "vit_tiny_patch16_224"}')
    assert "no model.safetensors or pytorch_model.bin" in refusal(tmp_path)


@pytest.mark.parametrize("said", ["{", '{"size": "tiny"}', "[]", "null"])
def test_metadata_that_is_not_ours_is_refused(tmp_path, said):
    save_file(filled(TINY_MAE), tmp_path / "mae.safetensors", {"faceprior_mae": said})
    assert "faceprior_mae" in refusal(tmp_path / "mae.safetensors", load_mae)


@pytest.mark.parametrize("changes", [{"future_option": 1}, {"mask_ratio": 2.0}, {"size": "odd"}])
def test_metadata_that_no_config_accepts_is_refused(tmp_path, changes):
    save_mae(build(), tmp_path / "ours.safetensors")
    config = build().config
    said = {
        **{name: getattr(config, name) for name in config.__dataclass_fields__},
        "decoder": {"embed_dim": 64, "depth": 2, "num_heads": 16},
    }
    save_file(
        filled(TINY_MAE),
        tmp_path / "mae.safetensors",
        {"faceprior_mae": json.dumps(said | changes)},
    )
    assert next(iter(changes)) in refusal(tmp_path / "mae.safetensors", load_mae)


# The layouts at their real size.


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_vit_base_files_of_every_layout_are_placed_whole(tmp_path, dtype):
    encoder = reference_layout(768, 12, 14, 16)
    whole = reference_layout(768, 12, 14, 16, decoder_width=512, decoder_depth=8)
    assert (len(encoder), len(whole)) == (150, 254)

    tensors = filled(encoder, dtype)
    torch.save({"model": tensors}, tmp_path / "encoder.pth")
    model, report = load_encoder(tmp_path / "encoder.pth")
    assert_placed(model, tensors)
    assert report.loaded == 150

    tensors = filled(whole, dtype)
    torch.save(training_checkpoint(tensors, norm_pix_loss=True), tmp_path / "checkpoint.pth")
    model, report = load_mae(tmp_path / "checkpoint.pth")
    assert_placed(model, tensors)
    assert report.loaded == 254
    assert model.config == MAEConfig()

    transformers = pytest.importorskip("transformers")
    theirs = transformers.ViTMAEForPreTraining(transformers.ViTMAEConfig(norm_pix_loss=True))
    theirs.to(dtype).save_pretrained(tmp_path / "hf")
    model, report = load_mae(tmp_path / "hf")
    assert report.loaded == 254
    assert len(theirs.state_dict()) == 334
    images, noise = draw(model, batch=1)
    with torch.no_grad():
        pixels = normalised(images, model.config.mean, model.config.std)
        expected = theirs.float()(pixels, noise=noise).loss
        assert model(images, noise).item() / 147 == pytest.approx(expected.item(), rel=1e-5)
