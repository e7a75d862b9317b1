"""Features: readings of a ViT against direct computation, pixels and HOG against hand values."""

import numpy as np
import pytest
import torch

from pretrain.models.vit import ViT, ViTShape
from pretrain.probing.features import (
    BATCH,
    encode,
    hog_features,
    pixel_features,
    pooled_features,
    token_features,
)

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def vit(width=32, image_size=32, patch_size=8):
    torch.manual_seed(3)
    shape = ViTShape(
        embed_dim=width, depth=1, num_heads=2, image_size=image_size, patch_size=patch_size
    )
    return ViT(shape, MEAN, STD).eval()


def images(count=3, side=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)


@torch.no_grad()
def test_mean_and_map_are_those_of_the_patch_tokens():
    model, some = vit(), images()
    tokens = model(some)
    read = token_features(model, some)
    assert set(read) == {"mean", "map"}
    torch.testing.assert_close(read["mean"], sum(tokens[:, n] for n in range(1, 17)) / 16)
    placed = read["map"].view(3, 32, 4, 4)  # [B, D, rows, columns]
    for row in range(4):
        for column in range(4):
            torch.testing.assert_close(placed[:, :, row, column], tokens[:, 1 + 4 * row + column])


class Tokens(torch.nn.Module):
    """Tokens of any width without their computation."""

    def __init__(self, width, grid):
        super().__init__()
        self.shape = ViTShape(
            embed_dim=width, depth=1, num_heads=4, image_size=8 * grid, patch_size=8
        )

    def forward(self, batch):
        generator = torch.Generator().manual_seed(1)
        shape = (len(batch), 1 + self.shape.num_patches, self.shape.embed_dim)
        return torch.randn(shape, generator=generator)


def test_a_large_map_is_pooled_to_areas():
    model, some = Tokens(4096, 4), images(1)  # 16 384 / 4096: 2 x 2
    tokens = model(some)[:, 1:].view(1, 4, 4, 4096)
    placed = token_features(model, some)["map"].view(1, 4096, 2, 2)
    torch.testing.assert_close(placed[:, :, 0, 1], tokens[:, :2, 2:].mean((1, 2)))
    torch.testing.assert_close(placed[:, :, 1, 0], tokens[:, 2:, :2].mean((1, 2)))


@pytest.mark.parametrize(("width", "side"), [(192, 9), (768, 4), (1024, 4), (1280, 3)])
def test_maps_of_the_usual_widths(width, side):
    assert token_features(Tokens(width, 14), images(2))["map"].shape == (2, side * side * width)


def test_batches_keep_the_order_of_the_images():
    some = images(BATCH + 5, side=4)

    def read(batch):
        assert len(batch) <= BATCH
        return {"sum": batch.double().sum((1, 2, 3))[:, None], "twice": batch[:, 0, 0, :2] * 2.0}

    found = encode(read, some, torch.device("cpu"))
    np.testing.assert_array_equal(found["sum"][:, 0], some.long().sum((1, 2, 3)).numpy())
    np.testing.assert_array_equal(found["twice"], some[:, 0, 0, :2].numpy() * 2.0)
    assert {values.dtype for values in found.values()} == {np.dtype("float32")}


def test_encoding_keeps_no_gradients_and_changes_nothing():
    model, some = vit(), images()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = encode(lambda batch: token_features(model, batch), some, torch.device("cpu"))
    again = encode(lambda batch: token_features(model, batch), some, torch.device("cpu"))
    assert all((first[name] == again[name]).all() for name in first)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_pooled_features_see_normalised_images():
    class Model(torch.nn.Module):
        def forward_features(self, x):
            return x

        def forward_head(self, x, pre_logits=False):
            assert pre_logits
            return x.mean((2, 3))

    some = images()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    expected = (some.double().mean((2, 3)) / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
    found = pooled_features(Model(), some, mean, std)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


def test_pixels_by_hand():
    some = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    some[0, 1, 0, 1] = 255  # one of the four pixels of the first area
    some[1, 2, 62:, 62:] = 51
    found = pixel_features(some).reshape(2, 3, 32, 32)
    assert found[0, 1, 0, 0] == pytest.approx(0.25)
    assert found[1, 2, 31, 31] == pytest.approx(0.2)
    assert np.count_nonzero(found) == 2


def test_small_images_are_their_pixels():
    some = images(2, side=16)
    np.testing.assert_allclose(
        pixel_features(some), some.flatten(1).numpy() / np.float32(255), rtol=1e-6
    )


@pytest.mark.parametrize("side", [32, 64, 100, 112, 224])
def test_hog_has_eight_cells_a_side(side):
    found = hog_features(images(2, side))
    assert found.shape == (2, 7 * 7 * 2 * 2 * 9)  # blocks of 2 x 2 cells, 9 orientations
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


def test_hog_of_a_uniform_image_is_zero():
    assert not hog_features(torch.full((1, 3, 64, 64), 130, dtype=torch.uint8)).any()


def test_hog_of_an_edge_points_across_it():
    upright = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    upright[..., 32:] = 255  # a vertical edge: the gradient points along the columns
    lying = upright.transpose(2, 3).contiguous()
    found = [hog_features(image).reshape(7, 7, 2, 2, 9) for image in (upright, lying)]
    # Bins of 20 degrees from 0: along the columns is in the first, along the rows in the fifth.
    for values, bin_ in zip(found, (0, 4), strict=True):
        assert set(np.nonzero(values)[-1]) == {bin_}
    # Only the blocks that touch the edge between the fourth and the fifth cell hold anything.
    assert set(np.nonzero(found[0])[1]) == {2, 3, 4}
    assert set(np.nonzero(found[1])[0]) == {2, 3, 4}
    # A block across the edge holds it in all four cells alike: normalised, a half each.
    np.testing.assert_allclose(found[0][0, 3, :, :, 0], 0.5, rtol=1e-4)


def test_hog_weighs_colours_as_the_eye_does():
    """0.7154 x 20 of green are as much as 0.0721 x 198 of blue."""
    some = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    some[:, 1, :, 32:] = 20
    some[:, 2, 32:, :] = 198
    found = hog_features(some).reshape(7, 7, 4, 9)[3, 3].sum(0)  # the block on both edges
    assert found[0] == pytest.approx(found[4], rel=0.01)
    assert found[0] > 0.5
