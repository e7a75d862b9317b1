"""The encoder against timm's, and its positions and patches against plain numpy."""

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.models.vision_transformer import VisionTransformer

from pretrain.models.vit import SIZES, ViT, ViTShape, patchify, sincos_positions, unpatchify

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def shape_of(**changes):
    sizes = {"embed_dim": 32, "depth": 2, "num_heads": 4, "image_size": 32, "patch_size": 8}
    return ViTShape(**sizes | changes)


def build(seed=0, **changes):
    """A small encoder whose every parameter differs from its initial value."""
    torch.manual_seed(seed)
    model = ViT(shape_of(**changes), MEAN, STD)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def timm_of(shape):
    return VisionTransformer(
        img_size=shape.image_size,
        patch_size=shape.patch_size,
        embed_dim=shape.embed_dim,
        depth=shape.depth,
        num_heads=shape.num_heads,
        num_classes=0,
    ).eval()


def draw(batch=2, side=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8, generator=generator)


def normalised(images):
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    return (images.float() / 255 - mean) / std


def positions_by_meshgrid(width, grid):
    """He et al.'s positions as they are usually coded: a meshgrid with the column first."""

    def line(size, coordinates):
        omega = 1.0 / 10000 ** (np.arange(size // 2) / (size / 2.0))
        angles = np.einsum("m,d->md", coordinates.reshape(-1), omega)
        return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)

    columns, rows = np.meshgrid(np.arange(grid, dtype=float), np.arange(grid, dtype=float))
    patches = np.concatenate([line(width // 2, columns), line(width // 2, rows)], axis=1)
    return np.concatenate([np.zeros([1, width]), patches])


@pytest.mark.parametrize("size", ["tiny", "small", "base", "large", "huge"])
def test_names_and_shapes_are_those_of_timms_model_of_the_same_size(size):
    patch_size = 14 if size == "huge" else 16
    embed_dim, depth, num_heads = SIZES[size]
    shape = ViTShape(
        embed_dim=embed_dim,
        depth=depth,
        num_heads=num_heads,
        image_size=224,
        patch_size=patch_size,
    )
    with torch.device("meta"):  # names and shapes need no memory
        theirs = timm.create_model(f"vit_{size}_patch{patch_size}_224", num_classes=0)
        ours = ViT(shape, MEAN, STD)
    expected = {name: tuple(value.shape) for name, value in theirs.state_dict().items()}
    assert {name: tuple(value.shape) for name, value in ours.state_dict().items()} == expected
    assert {block.attn.num_heads for block in theirs.blocks} == {num_heads}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"image_size": 48, "patch_size": 16},
        {"image_size": 35, "patch_size": 7},
        {"embed_dim": 48, "num_heads": 3, "depth": 3},
    ],
)
def test_output_is_timms_on_normalised_images(changes):
    model = build(**changes)
    theirs = timm_of(model.shape)
    theirs.load_state_dict(model.state_dict())
    images = draw(side=model.shape.image_size)
    with torch.no_grad():
        expected = theirs.forward_features(normalised(images))
        features = model(images)
    assert features.shape == (2, 1 + model.shape.num_patches, model.shape.embed_dim)
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


def test_epsilon_of_the_layer_norms_is_used_everywhere():
    model = ViT(shape_of(norm_eps=0.5), MEAN, STD)
    found = {m.eps for m in model.modules() if isinstance(m, torch.nn.LayerNorm)}
    assert found == {0.5}


def test_normalise_applies_the_models_mean_and_std():
    images = draw()
    torch.testing.assert_close(build().normalise(images), normalised(images))


def test_seeing_every_patch_in_any_order_gives_the_same_tokens():
    model, images = build(), draw()
    order = torch.stack([torch.randperm(16), torch.randperm(16)])
    with torch.no_grad():
        whole, some = model(images), model(images, order)
    torch.testing.assert_close(some[:, 0], whole[:, 0], rtol=1e-4, atol=1e-5)
    expected = torch.stack([whole[i, 1:][order[i]] for i in range(2)])
    torch.testing.assert_close(some[:, 1:], expected, rtol=1e-4, atol=1e-5)


def test_visible_patches_carry_their_own_positions_and_pixels():
    model, images = build(depth=1), draw()
    visible = torch.tensor([[5, 0, 9], [15, 3, 4]])
    embedded = model.patch_embed.proj(normalised(images)).flatten(2).transpose(1, 2)
    embedded = embedded + model.pos_embed[:, 1:]
    tokens = torch.stack([embedded[i, visible[i]] for i in range(2)])
    tokens = torch.cat([model.cls_token.expand(2, -1, -1), tokens], dim=1)
    expected = model.norm(model.blocks[0](tokens))
    torch.testing.assert_close(model(images, visible), expected, rtol=1e-4, atol=1e-5)


def test_masked_pixels_do_not_reach_the_tokens():
    model, images = build(), draw()
    visible = torch.tensor([[0, 5]]).expand(2, -1)
    changed = patchify(images, 8)
    changed[:, [1, 2, 3, 4, *range(6, 16)]] = 7
    changed = unpatchify(changed, 8)
    assert torch.equal(model(images, visible), model(changed, visible))


@pytest.mark.parametrize(("width", "grid"), [(192, 14), (768, 14), (512, 14), (1280, 16), (8, 3)])
def test_positions_are_those_of_the_usual_meshgrid_code(width, grid):
    positions = sincos_positions(width, grid)
    assert positions.shape == (1, 1 + grid**2, width)
    assert positions.dtype == torch.float32
    np.testing.assert_allclose(positions[0], positions_by_meshgrid(width, grid), atol=1e-6)


def test_the_first_half_of_the_positions_encodes_the_column():
    positions = sincos_positions(16, 4)[0, 1:].view(4, 4, 16)
    assert torch.equal(positions[0, :, :8], positions[3, :, :8])
    assert torch.equal(positions[:, 0, 8:], positions[:, 3, 8:])
    assert not torch.equal(positions[0, 1, :8], positions[0, 2, :8])
    assert not positions[0, 1].equal(positions[1, 0])


def test_positions_are_saved_but_not_trained():
    model = build()
    assert "pos_embed" in model.state_dict()
    assert "pos_embed" not in dict(model.named_parameters())


def test_a_patch_lists_row_then_column_then_channel():
    images = torch.arange(2 * 3 * 6 * 6).view(2, 3, 6, 6)
    patches = patchify(images, 3)
    assert patches.shape == (2, 4, 27)
    for index, (top, left) in enumerate([(0, 0), (0, 3), (3, 0), (3, 3)]):
        expected = [
            images[1, channel, top + p, left + q].item()
            for p in range(3)
            for q in range(3)
            for channel in range(3)
        ]
        assert patches[1, index].tolist() == expected


@given(patch=st.integers(1, 8), grid=st.integers(1, 5), batch=st.integers(1, 3))
@settings(deadline=None, max_examples=30)
def test_unpatchify_inverts_patchify(patch, grid, batch):
    images = draw(batch=batch, side=patch * grid)
    patches = patchify(images, patch)
    assert patches.shape == (batch, grid**2, 3 * patch**2)
    assert patches.dtype == torch.uint8
    assert torch.equal(unpatchify(patches, patch), images)


def test_initial_weights_are_xavier_uniform_over_flat_patches():
    torch.manual_seed(0)
    model = ViT(shape_of(embed_dim=192, num_heads=3), MEAN, STD)
    bound = (6 / (192 + 3 * 8 * 8)) ** 0.5
    weight = model.patch_embed.proj.weight
    assert weight.abs().max() <= bound
    assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
    bound = (6 / (192 + 3 * 192)) ** 0.5
    assert model.blocks[0].attn.qkv.weight.abs().max() <= bound
    assert model.blocks[0].attn.qkv.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
    assert model.cls_token.std().item() == pytest.approx(0.02, rel=0.2)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name


def test_drop_path_grows_to_its_rate_and_rests_in_evaluation():
    model = ViT(shape_of(depth=3), MEAN, STD, drop_path_rate=0.2)
    rates = [getattr(block.drop_path1, "drop_prob", 0.0) for block in model.blocks]
    assert rates == pytest.approx([0, 0.1, 0.2])
    model.eval()
    assert torch.equal(model(draw()), model(draw()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch_size": 5}, "patch_size 5 does not divide image_size 32"),
        ({"patch_size": 0}, "patch_size 0"),
        ({"image_size": -32}, "image_size -32"),
        ({"image_size": 0}, "image_size 0"),
        ({"num_heads": 5}, "num_heads 5 does not divide embed_dim 32"),
        ({"num_heads": 0}, "num_heads 0"),
        ({"embed_dim": 30, "num_heads": 3}, "embed_dim 30"),
        ({"embed_dim": 0}, "embed_dim 0"),
    ],
)
def test_shapes_that_cannot_be_built_are_refused_by_value(changes, message):
    with pytest.raises(ValueError, match=message):
        shape_of(**changes)


@pytest.mark.parametrize("side", [16, 64])
def test_images_of_another_size_are_refused(side):
    with pytest.raises(ValueError, match=f"{side} x {side} pixels, expected 32 x 32"):
        build()(draw(side=side), torch.zeros(2, 1, dtype=torch.int64))
