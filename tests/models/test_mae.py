"""The masked autoencoder against the usual order of He et al., restated here, and against peers."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from pretrain.models.mae import DecoderConfig, MAEConfig, MaskedAutoencoder
from pretrain.models.masking import split_patches
from pretrain.models.vit import patchify, unpatchify

DECODER = DecoderConfig(embed_dim=64, depth=2, num_heads=4)


def build(seed=0, **changes):
    """A small autoencoder whose every parameter differs from its initial value."""
    torch.manual_seed(seed)
    options = {"size": "tiny", "image_size": 32, "patch_size": 8, "decoder": DECODER}
    model = MaskedAutoencoder(MAEConfig(**options | changes))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    return model


def draw(model, batch=3, seed=0):
    """uint8 images and noise."""
    generator = torch.Generator().manual_seed(seed)
    side, num_patches = model.config.image_size, model.config.encoder_shape.num_patches
    images = torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8, generator=generator)
    return images, torch.rand(batch, num_patches, generator=generator)


def normalised(model, images):
    mean = torch.tensor(model.config.mean).view(3, 1, 1)
    std = torch.tensor(model.config.std).view(3, 1, 1)
    return (images.float() / 255 - mean) / std


def layer_norm(tokens, weights, name, eps):
    return F.layer_norm(
        tokens, tokens.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps
    )


def linear(tokens, weights, name):
    return tokens @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def transformer_block(tokens, weights, name, heads, eps, hidden=None):
    batch, length, width = tokens.shape
    qkv = linear(layer_norm(tokens, weights, f"{name}.norm1", eps), weights, f"{name}.attn.qkv")
    qkv = qkv.reshape(batch, length, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    query, key, value = qkv.unbind(0)
    scores = query @ key.transpose(-2, -1) / math.sqrt(width // heads)
    if hidden is not None:
        scores = scores.masked_fill(hidden[:, None, None], -math.inf)
    attention = scores.softmax(-1)
    mixed = (attention @ value).transpose(1, 2).reshape(batch, length, width)
    tokens = tokens + linear(mixed, weights, f"{name}.attn.proj")
    hidden = linear(layer_norm(tokens, weights, f"{name}.norm2", eps), weights, f"{name}.mlp.fc1")
    return tokens + linear(F.gelu(hidden), weights, f"{name}.mlp.fc2")


def usual_order(model, images, noise):
    """Loss, prediction of every patch [B, N, P*P*3] and binary mask of He et al. 2022.

    Whole float images, all patches embedded by the convolution, random masking with ids_restore,
    mask tokens appended and unshuffled, all patches predicted, the loss masked at the end. Where
    only some masked patches are predicted, the others are hidden from the decoder's attention.
    """
    config, shape = model.config, model.config.encoder_shape
    weights = dict(model.named_parameters()) | dict(model.named_buffers())
    eps, patch = config.norm_eps, config.patch_size
    pixels = normalised(model, images)
    tokens = F.conv2d(
        pixels,
        weights["encoder.patch_embed.proj.weight"],
        weights["encoder.patch_embed.proj.bias"],
        stride=patch,
    )
    tokens = tokens.flatten(2).transpose(1, 2) + weights["encoder.pos_embed"][:, 1:]

    batch, length, width = tokens.shape
    keep = int(length * (1 - config.mask_ratio))
    ids_shuffle = torch.argsort(noise, dim=1)
    ids_restore = torch.argsort(ids_shuffle, dim=1)
    tokens = torch.gather(tokens, 1, ids_shuffle[:, :keep, None].repeat(1, 1, width))
    mask = torch.ones(batch, length)
    mask[:, :keep] = 0
    mask = torch.gather(mask, 1, ids_restore)

    cls = weights["encoder.cls_token"] + weights["encoder.pos_embed"][:, :1]
    tokens = torch.cat([cls.expand(batch, -1, -1), tokens], dim=1)
    for index in range(shape.depth):
        tokens = transformer_block(tokens, weights, f"encoder.blocks.{index}", shape.num_heads, eps)
    tokens = layer_norm(tokens, weights, "encoder.norm", eps)

    tokens = linear(tokens, weights, "decoder_embed")
    hidden = weights["mask_token"].repeat(batch, length - keep, 1)
    patches = torch.cat([tokens[:, 1:], hidden], dim=1)
    patches = torch.gather(patches, 1, ids_restore[:, :, None].repeat(1, 1, patches.shape[2]))
    tokens = torch.cat([tokens[:, :1], patches], dim=1) + weights["decoder_pos_embed"]
    predicted = round((length - keep) * config.decoder.predicted_share)
    ranks = ids_restore  # of each patch among the noise of its image
    mask = mask * (ranks < keep + predicted)
    hidden = torch.cat([torch.zeros(batch, 1, dtype=torch.bool), ranks >= keep + predicted], 1)
    for index in range(config.decoder.depth):
        tokens = transformer_block(
            tokens, weights, f"decoder_blocks.{index}", config.decoder.num_heads, eps, hidden
        )
    tokens = layer_norm(tokens, weights, "decoder_norm", eps)
    prediction = linear(tokens, weights, "decoder_pred")[:, 1:]

    side = config.image_size // patch
    target = pixels.reshape(batch, 3, side, patch, side, patch)
    target = torch.einsum("nchpwq->nhwpqc", target).reshape(batch, length, patch**2 * 3)
    if config.normalise_target:
        mean, variance = target.mean(-1, keepdim=True), target.var(-1, keepdim=True)
        target = (target - mean) / (variance + 1e-6) ** 0.5
    error = ((prediction - target) ** 2).mean(-1)
    return (error * mask).sum() / mask.sum(), prediction, mask


def gradients(model, loss):
    parameters = dict(model.named_parameters())
    return dict(zip(parameters, torch.autograd.grad(loss, [*parameters.values()]), strict=True))


def assert_gradients_equal(ours, theirs, tolerance=1e-4):
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        scale = expected.abs().max().item()
        assert scale > 0, name
        torch.testing.assert_close(
            ours[name], expected, rtol=0, atol=tolerance * scale, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"normalise_target": False, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.25, 0.3)},
        {"image_size": 30, "patch_size": 6, "mask_ratio": 0.5, "norm_eps": 1e-3},
        {"decoder": replace(DECODER, predicted_share=1 / 3)},
    ],
)
def test_loss_and_all_gradients_are_those_of_the_usual_order(changes):
    model = build(**changes)
    images, noise = draw(model)
    predicted = len(images) * model.config.predicted_count
    loss = model(images, noise) / predicted
    expected, _, mask = usual_order(model, images, noise)
    assert mask.sum() == predicted
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert_gradients_equal(gradients(model, loss), gradients(model, expected))


def test_a_share_of_the_masked_patches_is_predicted_and_at_least_one():
    counts = {
        share: MAEConfig(decoder=DecoderConfig(predicted_share=share)).predicted_count
        for share in (1, 1 / 3, 0.001)
    }
    assert counts == {1: 147, 1 / 3: 49, 0.001: 1}


def test_predictions_are_those_of_the_usual_order_at_the_masked_patches():
    model = build()
    images, noise = draw(model)
    visible, masked = split_patches(noise, model.visible)
    with torch.no_grad():
        prediction = model.predict(patchify(images, 8), visible, masked)
        _, every, _ = usual_order(model, images, noise)
    expected = torch.stack([every[i, masked[i]] for i in range(len(images))])
    torch.testing.assert_close(prediction, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("normalise_target", [True, False])
def test_loss_is_that_of_transformers_vit_mae_with_the_same_weights_and_noise(normalise_target):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.ViTMAEForPreTraining(
        transformers.ViTMAEConfig(
            hidden_size=192,
            num_hidden_layers=12,
            num_attention_heads=3,
            intermediate_size=768,
            image_size=32,
            patch_size=8,
            decoder_hidden_size=64,
            decoder_num_hidden_layers=2,
            decoder_num_attention_heads=4,
            decoder_intermediate_size=256,
            norm_pix_loss=normalise_target,
            layer_norm_eps=1e-6,
        )
    ).eval()
    model = build(normalise_target=normalise_target)
    own = model.state_dict()
    for name, value in theirs.state_dict().items():  # written apart from pretrain.models.names
        name = name.replace("decoder.decoder_layers.", "decoder_blocks.")
        name = name.replace("vit.layers.", "encoder.blocks.").removeprefix("decoder.")
        name = name.replace("layernorm_before", "norm1").replace("layernorm_after", "norm2")
        name = name.replace("attention.o_proj", "attn.proj").replace(
            "vit.layernorm", "encoder.norm"
        )
        name = name.replace(
            "vit.embeddings.patch_embeddings.projection", "encoder.patch_embed.proj"
        )
        name = name.replace("vit.embeddings.position_embeddings", "encoder.pos_embed")
        name = name.replace("vit.embeddings.cls_token", "encoder.cls_token")
        for part, letter in enumerate("qkv"):
            if f"attention.{letter}_proj" in name:
                joined = own[name.replace(f"attention.{letter}_proj", "attn.qkv")]
                value.copy_(joined.chunk(3)[part])
                break
        else:
            value.copy_(own[name])
    images, noise = draw(model)
    with torch.no_grad():
        expected = theirs(normalised(model, images), noise=noise)
        loss = model(images, noise) / expected.mask.sum()
    assert loss.item() == pytest.approx(expected.loss.item(), rel=1e-5)


def test_predictions_depend_on_visible_pixels_only():
    model = build()
    images, noise = draw(model, batch=1)
    visible, masked = split_patches(noise, model.visible)
    patches = patchify(images, 8)
    before = model.predict(patches, visible, masked)
    hidden_changed, seen_changed = patches.clone(), patches.clone()
    hidden_changed[0, masked[0]] = 255 - hidden_changed[0, masked[0]]
    seen_changed[0, visible[0, 0]] = 255 - seen_changed[0, visible[0, 0]]
    assert torch.equal(model.predict(hidden_changed, visible, masked), before)
    assert not torch.isclose(model.predict(seen_changed, visible, masked), before).any(-1).all()


def test_loss_is_taken_on_masked_pixels_and_only_there():
    model = build(normalise_target=False)
    images, noise = draw(model, batch=1)
    visible, masked = split_patches(noise, model.visible)
    patches = patchify(images, 8)
    prediction = model.predict(patches, visible, masked)
    answer = patches.float()
    answer[0, masked[0]] = model_pixels(model, prediction)[0]  # what would have been right
    target = model.normalised(answer)[0, masked[0]]
    torch.testing.assert_close(target, prediction[0], rtol=1e-3, atol=1e-4)
    expected = (prediction - model.normalised(patches)[:, masked[0]]).square().mean(-1).sum()
    torch.testing.assert_close(model(images, noise), expected)


def model_pixels(model, prediction):
    """Predicted patches in 0..255, by way of whole pixels rather than flat patches."""
    pixels = prediction.unflatten(-1, (-1, 3))
    return (
        (pixels * torch.tensor(model.config.std) + torch.tensor(model.config.mean)) * 255
    ).flatten(-2)


def test_visible_patches_are_not_predicted_and_give_no_gradient_in_the_usual_order_either():
    model = build()
    images, noise = draw(model)
    shapes = []
    model.decoder_pred.register_forward_hook(lambda _, __, out: shapes.append(out.shape))
    model(images, noise)
    assert shapes == [(3, 12, 192)]  # masked patches alone
    loss, prediction, mask = usual_order(model, images, noise)
    gradient = torch.autograd.grad(loss, prediction)[0].abs().sum(-1)
    assert torch.equal(gradient > 0, mask > 0)


def test_only_the_order_of_the_noise_counts():
    model = build()
    images, noise = draw(model)
    assert torch.equal(model(images, noise), model(images, noise**3 / 2))


def test_the_order_inside_the_visible_and_the_masked_patches_does_not_matter():
    model = build()
    images, noise = draw(model)
    visible, masked = split_patches(noise, model.visible)
    flipped = torch.empty_like(noise)
    ranks = torch.cat([visible.flip(1), masked.flip(1)], dim=1)
    flipped.scatter_(1, ranks, torch.arange(16.0).expand(3, -1).contiguous())
    assert not torch.equal(split_patches(flipped, model.visible)[0], visible)
    torch.testing.assert_close(model(images, flipped), model(images, noise), rtol=1e-5, atol=0)


def test_loss_is_the_sum_of_the_samples_losses():
    model = build()
    images, noise = draw(model)
    parts = [model(images[i : i + 1], noise[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(sum(parts), model(images, noise), rtol=1e-5, atol=0)
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(model(images[order], noise[order]), sum(parts), rtol=1e-5, atol=0)


def test_other_noise_is_another_task():
    model = build()
    images, noise = draw(model)
    assert not torch.isclose(model(images, noise), model(images, noise.flip(1)))


def test_every_parameter_gets_a_gradient():
    model = build()
    model(*draw(model)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_positions_are_no_parameters_and_stay():
    model = build()
    buffers = dict(model.named_buffers())
    assert {"decoder_pos_embed", "encoder.pos_embed"} <= buffers.keys()
    assert not any("pos_embed" in name for name, _ in model.named_parameters())


def test_gradient_checkpointing_gives_the_same_loss_and_gradients():
    plain, saving = build(), build(gradient_checkpointing=True)
    saving.load_state_dict(plain.state_dict())
    images, noise = draw(plain)
    expected, loss = plain(images, noise), saving(images, noise)
    assert torch.equal(loss, expected)
    assert_gradients_equal(gradients(saving, loss), gradients(plain, expected), tolerance=1e-6)


def test_gradient_checkpointing_runs_the_blocks_again_in_the_backward_pass():
    model = build(gradient_checkpointing=True)
    runs = []
    for block in (model.encoder.blocks[5], model.decoder_blocks[1]):
        block.register_forward_pre_hook(lambda *_: runs.append(1))
    loss = model(*draw(model))
    assert len(runs) == 2
    loss.backward()
    assert len(runs) == 4


def test_forward_traces_to_one_graph():
    model = build()
    images, noise = draw(model)
    expected = model(images, noise)
    model.compile(fullgraph=True, dynamic=False, backend="eager")
    assert model(images, noise).item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.slow
def test_compiled_loss_and_gradients_are_the_same():
    model = build()
    images, noise = draw(model)
    loss = model(images, noise)
    expected = gradients(model, loss)
    model.compile(fullgraph=True, dynamic=False)
    compiled = model(images, noise)
    assert compiled.item() == pytest.approx(loss.item(), rel=1e-5)
    assert_gradients_equal(gradients(model, compiled), expected, tolerance=1e-3)


def test_loss_under_autocast_is_float32_and_near():
    model = build()
    images, noise = draw(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(images, noise)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(model(images, noise).item(), rel=0.03)


def test_a_masked_autoencoder_overfits_one_batch():
    torch.manual_seed(0)
    config = MAEConfig(size="tiny", image_size=32, patch_size=8, decoder=DECODER)
    model = MaskedAutoencoder(config)
    ramp = torch.arange(32) % 8 * 30  # in every patch: across in one image, down in the other
    images = torch.stack([ramp.expand(3, 32, 32), ramp[:, None].expand(3, 32, 32)]).byte()
    noise = torch.rand(2, 16)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95))
    losses = []
    for _ in range(35):
        loss = model(images, noise) / 24
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[0] > 0.9  # a normalised patch has variance 1: nothing is known yet
    assert losses[-1] < losses[0] / 10


@pytest.mark.parametrize("normalise_target", [True, False])
def test_reconstruct_pastes_visible_patches_and_stays_in_range(normalise_target):
    model = build(normalise_target=normalise_target, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
    images, noise = draw(model)
    made = model.reconstruct(images, noise)
    visible, masked = split_patches(noise, model.visible)
    torch.testing.assert_close(made.original, images.float() / 255, rtol=0, atol=1e-6)
    pictures = {name: getattr(made, name) for name in ("original", "masked", "reconstruction")}
    for picture in pictures.values():
        assert picture.shape == images.shape
        assert picture.dtype == torch.float32
        assert picture.min() >= 0
        assert picture.max() <= 1
        assert not picture.requires_grad
    patches = {name: patchify(picture, 8) for name, picture in pictures.items()}
    for index in range(3):
        original = patches["original"][index]
        for name in ("masked", "reconstruction"):
            assert torch.equal(patches[name][index, visible[index]], original[visible[index]])
        hidden = patches["reconstruction"][index, masked[index]]
        assert not torch.isclose(hidden, original[masked[index]]).all(-1).any()
        grey = patches["masked"][index, masked[index]].unflatten(-1, (-1, 3))
        torch.testing.assert_close(grey, torch.tensor(model.config.mean).expand_as(grey))


def test_reconstruction_shows_the_prediction_with_the_patch_statistics_put_back():
    model = build()
    images, noise = draw(model)
    images = images // 4 + 96  # low contrast, so that nothing is clipped
    _, prediction, mask = usual_order(model, images, noise)
    true = patchify(normalised(model, images), 8)
    deviation = (true.var(-1, keepdim=True) + 1e-6).sqrt()
    predicted = prediction * deviation + true.mean(-1, keepdim=True)
    pasted = unpatchify(torch.where(mask[..., None] > 0, predicted, true), 8)
    mean = torch.tensor(model.config.mean).view(3, 1, 1)
    expected = (pasted * torch.tensor(model.config.std).view(3, 1, 1) + mean).clamp(0, 1)
    made = model.reconstruct(images, noise).reconstruction
    torch.testing.assert_close(made, expected.detach(), rtol=0, atol=1e-4)


def test_images_and_noise_of_another_size_are_refused():
    model = build()
    images, noise = draw(model)
    large = torch.zeros(3, 3, 64, 64, dtype=torch.uint8)  # would lose three quarters in silence
    for run in (model, model.reconstruct):
        with pytest.raises(ValueError, match="64 x 64 pixels, expected 32 x 32"):
            run(large, noise)
    with pytest.raises(AssertionError):
        model(images, noise[:, :9])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": "enormous"}, "size 'enormous', expected one of tiny, small, base, large, huge"),
        ({"mask_ratio": 0.0}, r"mask_ratio 0\.0"),
        ({"mask_ratio": 1.0}, r"mask_ratio 1\.0"),
        ({"mask_ratio": math.nan}, "mask_ratio nan"),
        ({"mask_ratio": 0.999}, r"mask_ratio 0\.999 leaves 0 of 196"),
        ({"std": (0.2, 0.0, 0.2)}, r"std \(0\.2, 0\.0, 0\.2\)"),
        ({"patch_size": 15}, "patch_size 15 does not divide image_size 224"),
        ({"image_size": -224}, "image_size -224"),
    ],
)
def test_configs_that_cannot_be_built_are_refused_by_value(changes, message):
    with pytest.raises(ValueError, match=message):
        MAEConfig(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 0}, "depth 0"),
        ({"num_heads": 0}, "num_heads 0"),
        ({"num_heads": 7}, "num_heads 7 does not divide embed_dim 512"),
        ({"embed_dim": 510, "num_heads": 2}, "embed_dim 510"),
        ({"embed_dim": 0}, "embed_dim 0"),
        ({"predicted_share": 0}, "predicted_share 0, expected in"),
        ({"predicted_share": 1.01}, "predicted_share 1.01, expected in"),
    ],
)
def test_decoders_that_cannot_be_built_are_refused_by_value(changes, message):
    with pytest.raises(ValueError, match=message):
        DecoderConfig(**changes)
