"""The masked autoencoder, computed in the order that wastes nothing.

Shapes: B batch, N patches, V visible, M masked, P patch size, D encoder width, E decoder width.

The tensors it computes are those of the usual order (embed all, drop, encode, unshuffle, decode,
predict all, mask the loss); a test restates that order and compares. What is left out: embedding
masked patches, unshuffling (attention does not see the order of its tokens), and predicting visible
patches, which the loss ignores. Source: He et al. 2022.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pretrain.models.masking import split_patches, take, visible_count
from pretrain.models.reconstruction import (
    pixel_target,
    pixels_from_prediction,
    reconstruction_loss,
)
from pretrain.models.vit import (
    SIZES,
    ViT,
    ViTShape,
    initialise,
    run_blocks,
    sincos_positions,
    transformer_blocks,
    unpatchify,
)


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """The light transformer that predicts the masked pixels and is thrown away afterwards.

    Attributes:
        embed_dim: token width E.
        depth: number of blocks.
        num_heads: attention heads a block.
        predicted_share: of the masked patches, drawn anew for every image, that the decoder sees
            mask tokens of and predicts in training, in (0, 1]. Pictures predict all of them.
            Source: Fu et al. 2024 (CrossMAE), there by a decoder of cross-attention alone.
    """

    embed_dim: int = 512
    depth: int = 8
    num_heads: int = 16
    predicted_share: float = 1.0

    def __post_init__(self) -> None:
        """Refuses widths that the heads or the positions cannot divide."""
        if self.depth < 1:
            raise ValueError(f"depth {self.depth}, expected at least 1")
        if self.num_heads < 1 or self.embed_dim % self.num_heads:
            raise ValueError(
                f"num_heads {self.num_heads} does not divide embed_dim {self.embed_dim}"
            )
        if self.embed_dim < 1 or self.embed_dim % 4:
            raise ValueError(f"embed_dim {self.embed_dim}, expected a multiple of 4")
        if not 0 < self.predicted_share <= 1:
            raise ValueError(f"predicted_share {self.predicted_share}, expected in (0, 1]")


@dataclass(frozen=True, kw_only=True)
class MAEConfig:
    """A masked autoencoder.

    Attributes:
        size: encoder size: tiny, small, base, large or huge.
        image_size: pixels a side of the square input.
        patch_size: pixels a side of a patch; divides image_size.
        mask_ratio: share of the patches that is removed, inside (0, 1).
        decoder: the decoder.
        normalise_target: predict each patch relative to its own mean and deviation.
        mean: mean of the red, green and blue channel in [0, 1] (ImageNet's by default).
        std: standard deviation of the channels in [0, 1].
        norm_eps: epsilon of the layer norms.
        gradient_checkpointing: recompute the blocks in the backward pass: less memory, more time.
    """

    size: str = "base"
    image_size: int = 224
    patch_size: int = 16
    mask_ratio: float = 0.75
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    normalise_target: bool = True
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    norm_eps: float = 1e-6
    gradient_checkpointing: bool = field(default=False, metadata={"operational": True})

    def __post_init__(self) -> None:
        """Refuses sizes and ratios that cannot be built."""
        if self.size not in SIZES:
            raise ValueError(f"size '{self.size}', expected one of {', '.join(SIZES)}")
        if not 0 < self.mask_ratio < 1:
            raise ValueError(f"mask_ratio {self.mask_ratio}, expected inside (0, 1)")
        if self.norm_eps <= 0:
            raise ValueError(f"norm_eps {self.norm_eps}, expected > 0")
        if min(self.std) <= 0:
            raise ValueError(f"std {self.std}, expected three positive numbers")
        _ = self.visible_count

    @property
    def encoder_shape(self) -> ViTShape:
        """Sizes of the encoder."""
        return ViTShape.of_size(
            self.size,
            image_size=self.image_size,
            patch_size=self.patch_size,
            norm_eps=self.norm_eps,
        )

    @property
    def visible_count(self) -> int:
        """V."""
        return visible_count(self.encoder_shape.num_patches, self.mask_ratio)

    @property
    def predicted_count(self) -> int:
        """Masked patches of an image that training predicts, at least 1."""
        masked = self.encoder_shape.num_patches - self.visible_count
        return max(1, round(masked * self.decoder.predicted_share))


@dataclass(frozen=True)
class Reconstruction:
    """What a person looks at: float32 images [B, 3, H, W] in [0, 1].

    Attributes:
        original: the input.
        masked: the input with the masked patches in grey.
        reconstruction: the visible patches of the input, the masked ones as predicted.
    """

    original: Tensor
    masked: Tensor
    reconstruction: Tensor


class MaskedAutoencoder(nn.Module):
    """Encoder on the visible patches, decoder on all, loss on the masked ones.

    Parameter names are those of the published checkpoints, the encoder's under ``encoder.``.
    """

    decoder_pos_embed: Tensor

    def __init__(self, config: MAEConfig) -> None:
        super().__init__()
        shape, decoder = config.encoder_shape, config.decoder
        width = decoder.embed_dim
        self.config = config
        self.visible = config.visible_count
        self.encoder = ViT(shape, config.mean, config.std, recompute=config.gradient_checkpointing)
        self.decoder_embed = nn.Linear(shape.embed_dim, width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.decoder_blocks = transformer_blocks(
            width, decoder.depth, decoder.num_heads, config.norm_eps
        )
        self.decoder_norm = nn.LayerNorm(width, eps=config.norm_eps)
        self.decoder_pred = nn.Linear(width, 3 * shape.patch_size**2)
        self.register_buffer("decoder_pos_embed", sincos_positions(width, shape.grid))
        for part in (self.decoder_embed, self.decoder_blocks, self.decoder_norm, self.decoder_pred):
            part.apply(initialise)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(self, images: Tensor, noise: Tensor) -> Tensor:
        """The loss, summed over the predicted patches of the batch.

        Args:
            images: [B, 3, H, W] uint8 (0..255).
            noise: [B, N] uniform in [0, 1), decides which patches are masked.

        Returns:
            A float32 scalar: the mean squared error of a patch, summed over the predicted ones:
            all B*M masked patches, or of each image those with the least noise.
        """
        patches = self.encoder.cut(images)  # [B, N, P*P*3] uint8
        assert noise.shape == patches.shape[:2]
        visible, masked = split_patches(noise, self.visible)
        masked = masked[:, : self.config.predicted_count]  # in order of noise: a random choice
        prediction = self.predict(patches, visible, masked)
        target = pixel_target(self.normalised(take(patches, masked)), self.config.normalise_target)
        return reconstruction_loss(prediction, target)

    def predict(self, patches: Tensor, visible: Tensor, masked: Tensor) -> Tensor:
        """Predicts masked patches [B, M, P*P*3], all or some, from visible of [B, N, P*P*3]."""
        tokens = self.decoder_embed(self.encoder.encode_patches(patches, visible))  # [B, 1+V, E]
        positions = self.decoder_pos_embed
        hidden = self.mask_token + take(positions[:, 1:], masked)  # [B, M, E]
        seen = tokens[:, 1:] + take(positions[:, 1:], visible)  # [B, V, E]
        cls = tokens[:, :1] + positions[:, :1]
        tokens = torch.cat([cls, seen, hidden.to(seen.dtype)], dim=1)  # [B, 1+V+M, E]
        tokens = run_blocks(self.decoder_blocks, tokens, self.config.gradient_checkpointing)
        hidden = tokens[:, 1 + visible.shape[1] :]
        return self.decoder_pred(self.decoder_norm(hidden))  # type: ignore[no-any-return]

    def normalised(self, patches: Tensor) -> Tensor:
        """uint8 patches [.., P*P*3] as float32 pixels with the encoder's mean and std."""
        repeats = self.config.patch_size**2
        mean, std = (
            self.encoder.mean.flatten().repeat(repeats),
            self.encoder.std.flatten().repeat(repeats),
        )
        return (patches.float() / 255 - mean) / std

    @torch.no_grad()
    def reconstruct(self, images: Tensor, noise: Tensor) -> Reconstruction:
        """Pictures of what the model makes of images [B, 3, H, W] (uint8); noise as in forward."""
        patches = self.encoder.cut(images)
        visible, masked = split_patches(noise, self.visible)
        true = self.normalised(patches)
        predicted = pixels_from_prediction(
            self.predict(patches, visible, masked).float(),
            take(true, masked),
            self.config.normalise_target,
        )
        index = masked.unsqueeze(-1).expand_as(predicted)
        return Reconstruction(
            original=self._picture(true),
            masked=self._picture(true.scatter(1, index, torch.zeros_like(predicted))),
            reconstruction=self._picture(true.scatter(1, index, predicted)),
        )

    def _picture(self, patches: Tensor) -> Tensor:
        images = unpatchify(patches, self.config.patch_size)
        return (images * self.encoder.std + self.encoder.mean).clamp(0, 1)
