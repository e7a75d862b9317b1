"""What others do in a step, on the same shapes: a plain restatement, and Hugging Face's ViTMAE.

Both take normalised float images, as their input pipelines make them, read the loss every step, as
their training loops do, compute the norm of the gradient, as ours does, and use AdamW as it comes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from pretrain.errors import UserError
from pretrain.models.mae import MAEConfig
from pretrain.models.vit import patchify

#: Names of the peers.
PEERS = ("plain", "hf")


class PlainMAE(nn.Module):
    """The masked autoencoder in the order of the paper's text.

    Embed all patches, keep the visible ones, encode, put mask tokens between them, decode, predict
    all patches, and leave out the visible ones in the loss. Source: He et al. 2022, section 3.

    Args:
        config: its sizes.
    """

    def __init__(self, config: MAEConfig) -> None:
        super().__init__()
        shape, decoder = config.encoder_shape, config.decoder
        width, patch = decoder.embed_dim, shape.patch_size
        self.patch, self.seen = patch, config.visible_count
        self.embed = nn.Conv2d(3, shape.embed_dim, patch, patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, shape.embed_dim))
        self.positions = nn.Parameter(
            torch.zeros(1, 1 + shape.num_patches, shape.embed_dim), requires_grad=False
        )
        self.blocks = _blocks(shape.embed_dim, shape.depth, shape.num_heads)
        self.norm = nn.LayerNorm(shape.embed_dim)
        self.decoder_embed = nn.Linear(shape.embed_dim, width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.decoder_positions = nn.Parameter(
            torch.zeros(1, 1 + shape.num_patches, width), requires_grad=False
        )
        self.decoder_blocks = _blocks(width, decoder.depth, decoder.num_heads)
        self.decoder_norm = nn.LayerNorm(width)
        self.predict = nn.Linear(width, 3 * patch**2)

    def forward(self, images: Tensor) -> Tensor:
        """The loss of images [B, 3, H, W]."""
        tokens = self.embed(images).flatten(2).transpose(1, 2) + self.positions[:, 1:]
        rows, patches, width = tokens.shape
        order = torch.rand(rows, patches, device=images.device).argsort(1)
        back = order.argsort(1)
        kept = order[:, : self.seen, None].expand(-1, -1, width)
        tokens = tokens.gather(1, kept)
        cls = (self.cls_token + self.positions[:, :1]).expand(rows, -1, -1)
        tokens = self.decoder_embed(self.norm(self.blocks(torch.cat([cls, tokens], 1))))
        hidden = self.mask_token.expand(rows, patches - self.seen, -1)
        whole = torch.cat([tokens[:, 1:], hidden], 1)
        whole = whole.gather(1, back[..., None].expand(-1, -1, whole.shape[2]))
        whole = torch.cat([tokens[:, :1], whole], 1) + self.decoder_positions
        predicted = self.predict(self.decoder_norm(self.decoder_blocks(whole)))[:, 1:]
        target = patchify(images, self.patch)
        deviation = (target.var(-1, keepdim=True) + 1e-6).sqrt()
        target = (target - target.mean(-1, keepdim=True)) / deviation
        masked = torch.ones(rows, patches, device=images.device)
        masked[:, : self.seen] = 0
        masked = masked.gather(1, back)
        error = (predicted - target).square().mean(-1)
        return (error * masked).sum() / masked.sum()  # type: ignore[no-any-return]


def _blocks(width: int, depth: int, heads: int) -> nn.Sequential:
    return nn.Sequential(*(Block(width, heads, qkv_bias=True) for _ in range(depth)))


def build_peer(name: str, config: MAEConfig) -> nn.Module:
    """One of :data:`PEERS`, with fresh weights; called with images, it gives the loss.

    Raises:
        UserError: what it needs is not installed.
    """
    if name == "plain":
        return PlainMAE(config)
    try:
        from transformers import ViTMAEConfig, ViTMAEForPreTraining  # an extra
    except ImportError:
        raise UserError(
            "peers hf: transformers is not installed, expected pip install transformers"
        ) from None
    shape, decoder = config.encoder_shape, config.decoder
    return ViTMAEForPreTraining(  # type: ignore[no-any-return]
        ViTMAEConfig(
            hidden_size=shape.embed_dim,
            num_hidden_layers=shape.depth,
            num_attention_heads=shape.num_heads,
            intermediate_size=4 * shape.embed_dim,
            image_size=shape.image_size,
            patch_size=shape.patch_size,
            decoder_hidden_size=decoder.embed_dim,
            decoder_num_hidden_layers=decoder.depth,
            decoder_num_attention_heads=decoder.num_heads,
            decoder_intermediate_size=4 * decoder.embed_dim,
            mask_ratio=config.mask_ratio,
            norm_pix_loss=True,
        )
    )


def peer_step(
    name: str, config: MAEConfig, images: Tensor, dtype: torch.dtype, *, compiled: bool
) -> Callable[[], float]:
    """A training step of a peer.

    Args:
        name: which.
        config: its sizes.
        images: [B, 3, H, W] float32, normalised, on the device.
        dtype: of its autocast; float32: none.
        compiled: whether the model is compiled.
    """
    model = build_peer(name, config).to(images.device).train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    forward = torch.compile(model) if compiled else model

    def step() -> float:
        with torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32):
            found = forward(images)
        loss: Tensor = found if isinstance(found, Tensor) else found.loss
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step
