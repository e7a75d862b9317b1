"""The Vision Transformer encoder: timm's blocks and names, fixed positions, visible patches.

Shapes: B batch, C channels, H height, W width, P patch size, N patches, V visible, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from einops import rearrange
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pretrain.models.masking import take

#: embed_dim, depth, num_heads of the usual sizes (Dosovitskiy et al. 2021, table 1; tiny and small:
#: Touvron et al. 2021, table 1).
SIZES = {
    "tiny": (192, 12, 3),
    "small": (384, 12, 6),
    "base": (768, 12, 12),
    "large": (1024, 24, 16),
    "huge": (1280, 32, 16),
}


@dataclass(frozen=True, kw_only=True)
class ViTShape:
    """What a ViT is made of, independent of its weights.

    Attributes:
        embed_dim: token width D.
        depth: number of blocks.
        num_heads: attention heads a block.
        image_size: pixels a side of the square input.
        patch_size: pixels a side of a patch.
        norm_eps: epsilon of the layer norms.
    """

    embed_dim: int
    depth: int
    num_heads: int
    image_size: int
    patch_size: int
    norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        """Refuses shapes that cannot be built."""
        for name in ("patch_size", "image_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}, expected at least 1")
        if self.image_size % self.patch_size:
            raise ValueError(
                f"patch_size {self.patch_size} does not divide image_size {self.image_size}"
            )
        if self.num_heads < 1 or self.embed_dim % self.num_heads:
            raise ValueError(
                f"num_heads {self.num_heads} does not divide embed_dim {self.embed_dim}"
            )
        if self.embed_dim < 1 or self.embed_dim % 4:
            raise ValueError(
                f"embed_dim {self.embed_dim}, expected a multiple of 4 (2-D sin-cos positions)"
            )

    @classmethod
    def of_size(cls, size: str, *, image_size: int, patch_size: int, norm_eps: float) -> ViTShape:
        """The shape of a size in :data:`SIZES`."""
        embed_dim, depth, num_heads = SIZES[size]
        return cls(
            embed_dim=embed_dim,
            depth=depth,
            num_heads=num_heads,
            image_size=image_size,
            patch_size=patch_size,
            norm_eps=norm_eps,
        )

    @property
    def grid(self) -> int:
        """Patches a side."""
        return self.image_size // self.patch_size

    @property
    def num_patches(self) -> int:
        """N."""
        return self.grid**2


def patchify(images: Tensor, patch_size: int) -> Tensor:
    """Cuts images [B, C, H, W] into flat patches [B, N, P*P*C], row by row, channels last."""
    return rearrange(images, "b c (h p) (w q) -> b (h w) (p q c)", p=patch_size, q=patch_size)


def unpatchify(patches: Tensor, patch_size: int) -> Tensor:
    """Puts the patches [B, N, P*P*C] of square images back together: [B, C, H, W]."""
    grid = round(patches.shape[1] ** 0.5)
    return rearrange(
        patches, "b (h w) (p q c) -> b c (h p) (w q)", h=grid, p=patch_size, q=patch_size
    )


def sincos_positions(embed_dim: int, grid: int) -> Tensor:
    """Fixed 2-D sin-cos positions [1, 1 + N, D], zeros for the class token.

    The first half of the width encodes the column, the second the row; each half holds the sines,
    then the cosines, of the position times 10000^(-i / (D/4)).
    Source: He et al. 2022, appendix A.1; Vaswani et al. 2017, section 3.5.
    """
    frequencies = 10000.0 ** -(torch.arange(embed_dim // 4, dtype=torch.float64) / (embed_dim // 4))
    angles = torch.outer(torch.arange(grid, dtype=torch.float64), frequencies)
    line = torch.cat([angles.sin(), angles.cos()], dim=1)  # [grid, D/2]
    columns = line.unsqueeze(0).expand(grid, grid, -1)
    rows = line.unsqueeze(1).expand(grid, grid, -1)
    patches = torch.cat([columns, rows], dim=-1).reshape(grid * grid, embed_dim)
    return torch.cat([torch.zeros(1, embed_dim, dtype=torch.float64), patches]).float().unsqueeze(0)


def transformer_blocks(
    width: int, depth: int, heads: int, norm_eps: float, drop_path_rate: float = 0.0
) -> nn.ModuleList:
    """Pre-norm blocks of timm (MLP ratio 4, qkv bias), drop path growing linearly with depth."""
    rates = [drop_path_rate * block / max(depth - 1, 1) for block in range(depth)]
    norm = partial(nn.LayerNorm, eps=norm_eps)
    return nn.ModuleList(
        Block(width, heads, mlp_ratio=4.0, qkv_bias=True, drop_path=rate, norm_layer=norm)
        for rate in rates
    )


def run_blocks(blocks: nn.ModuleList, tokens: Tensor, recompute: bool) -> Tensor:
    """Runs the blocks; ``recompute`` keeps only their inputs for the backward pass."""
    for block in blocks:
        if recompute and torch.is_grad_enabled():
            tokens = checkpoint(block, tokens, use_reentrant=False)
        else:
            tokens = block(tokens)
    return tokens


def initialise(module: nn.Module) -> None:
    """Xavier-uniform linears, zero biases, unit layer norms (He et al. 2022, appendix A.1)."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.LayerNorm):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)


class _PatchEmbedding(nn.Module):
    """The projection, under timm's name; :meth:`ViT.embed` applies its weights patch by patch."""

    def __init__(self, width: int, patch_size: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch_size, stride=patch_size)


class ViT(nn.Module):
    """Vision Transformer with timm's parameter names, a class token and fixed positions.

    Positions are a buffer named ``pos_embed``; :func:`timm.create_model` reads the same tensor as
    its parameter. Source: Dosovitskiy et al. 2021; He et al. 2022.

    Args:
        shape: sizes of the model.
        mean: mean of the channels in [0, 1], subtracted from the input.
        std: standard deviation of the channels in [0, 1], divides the input.
        drop_path_rate: probability that the last block is skipped for a sample, in training.
        recompute: gradient checkpointing.
    """

    pos_embed: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        shape: ViTShape,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        *,
        drop_path_rate: float = 0.0,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        width, patch = shape.embed_dim, shape.patch_size
        self.shape, self.recompute = shape, recompute
        self.patch_embed = _PatchEmbedding(width, patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks = transformer_blocks(
            width, shape.depth, shape.num_heads, shape.norm_eps, drop_path_rate
        )
        self.norm = nn.LayerNorm(width, eps=shape.norm_eps)
        self.register_buffer("pos_embed", sincos_positions(width, shape.grid))
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)
        self.apply(initialise)
        # As a linear layer over flat patches, not as a convolution (He et al. 2022, appendix A.1).
        nn.init.xavier_uniform_(self.patch_embed.proj.weight.view(width, -1))
        nn.init.zeros_(self.patch_embed.proj.bias)  # type: ignore[arg-type]
        nn.init.normal_(self.cls_token, std=0.02)

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 images [B, 3, H, W], 0..255, to float32 with the model's mean and std."""
        return (images.float() / 255 - self.mean) / self.std

    def forward(self, images: Tensor, visible: Tensor | None = None) -> Tensor:
        """Encodes images, or only some of their patches.

        Args:
            images: [B, 3, H, W] uint8 (0..255).
            visible: [B, V] indices of the patches to see; None sees all.

        Returns:
            Tokens after the final norm, the class token first: [B, 1 + V, D].
        """
        return self.encode_patches(self.cut(images), visible)

    def cut(self, images: Tensor) -> Tensor:
        """Images [B, 3, H, W] as patches [B, N, P*P*3]; refuses another size than the model's."""
        side = self.shape.image_size
        if images.shape[-2:] != (side, side):  # a larger one would pass, and lose its lower patches
            raise ValueError(
                f"images of {images.shape[-2]} x {images.shape[-1]} pixels,"
                f" expected {side} x {side}"
            )
        return patchify(images, self.shape.patch_size)

    def encode_patches(self, patches: Tensor, visible: Tensor | None = None) -> Tensor:
        """:meth:`forward` on patches [B, N, P*P*3] (uint8) that are already cut.

        Only the visible patches are normalised and embedded. It gives the same numbers as embedding
        all of them and dropping the masked ones afterwards, since a patch is embedded by itself.
        """
        positions = self.pos_embed[:, 1:]
        if visible is not None:
            patches, positions = take(patches, visible), take(positions, visible)
        tokens = self.embed(patches) + positions  # [B, V, D]
        cls = (self.cls_token + self.pos_embed[:, :1]).expand(len(tokens), -1, -1)
        tokens = torch.cat([cls.to(tokens.dtype), tokens], dim=1)
        return self.norm(run_blocks(self.blocks, tokens, self.recompute))  # type: ignore[no-any-return]

    def embed(self, patches: Tensor) -> Tensor:
        """Linear embedding of uint8 patches [B, V, P*P*3]: the convolution, patch by patch."""
        pixels = rearrange(patches, "b v (s c) -> b v c s", c=3)
        pixels = (pixels.float() / 255 - self.mean.view(3, 1)) / self.std.view(3, 1)
        weight = self.patch_embed.proj.weight.flatten(1)  # [D, 3*P*P], channels first
        return F.linear(pixels.flatten(2), weight, self.patch_embed.proj.bias)
