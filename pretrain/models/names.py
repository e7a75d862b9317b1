"""Tensor names of published checkpoints, turned into those of our models. Pure renaming.

Our encoder has timm's names. Our masked autoencoder has the published MAE names, with the encoder's
under ``encoder.``; files keep the published, flat names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

Tensors = dict[str, Tensor]

#: Names that belong to the decoder in the published, flat layout.
_DECODER = re.compile(r"(decoder_|mask_token$)")

#: Hugging Face ViTMAE, in the order they are applied: the current and the older spelling, and that
#: of transformers 5's files (``decoder_encoder.layer``). ViTMAEModel files have no ``vit.``.
_HUGGING_FACE = [
    (r"^(?:vit\.)?embeddings\.cls_token$", "cls_token"),
    (r"^(?:vit\.)?embeddings\.position_embeddings$", "pos_embed"),
    (r"^(?:vit\.)?embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^(?:vit\.)?layernorm\.", "norm."),
    (r"^(?:vit\.)?(?:encoder\.layer|layers)\.", "blocks."),
    (r"^decoder\.decoder_(?:layers|encoder\.layer)\.", "decoder_blocks."),
    (r"^decoder\.(decoder_|mask_token)", r"\1"),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.attention\.(output\.dense|o_proj)\.", ".attn.proj."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"\.attention\.(?:attention\.)?(?:query|q_proj)\.", ".attn.q."),
    (r"\.attention\.(?:attention\.)?(?:key|k_proj)\.", ".attn.k."),
    (r"\.attention\.(?:attention\.)?(?:value|v_proj)\.", ".attn.v."),
]


def is_hugging_face(names: Mapping[str, object]) -> bool:
    """Whether these are the names of a Hugging Face ViTMAE."""
    return any(name.startswith(("vit.embeddings.", "embeddings.")) for name in names)


def from_hugging_face(tensors: Mapping[str, Tensor]) -> Tensors:
    """Hugging Face ViTMAE names to the published MAE ones; q, k and v become one tensor."""
    renamed: Tensors = {}
    for name, value in tensors.items():
        for pattern, replacement in _HUGGING_FACE:
            name = re.sub(pattern, replacement, name)
        renamed[name] = value
    for name in [name for name in renamed if ".attn.q." in name]:
        parts = [renamed.pop(name.replace(".attn.q.", f".attn.{part}."), None) for part in "qkv"]
        present = [part for part in parts if part is not None]
        renamed[name.replace(".attn.q.", ".attn.qkv.")] = torch.cat(present)
    return renamed


def without_prefix(tensors: Mapping[str, Tensor], prefix: str) -> Tensors:
    """Takes a prefix (``module.`` of a data-parallel save, say) off the names that have it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items()}


def to_autoencoder(tensors: Mapping[str, Tensor]) -> Tensors:
    """Published, flat names to those of our masked autoencoder."""
    return {
        name if _DECODER.match(name) else f"encoder.{name}": value
        for name, value in tensors.items()
    }


def to_published(tensors: Mapping[str, Tensor]) -> Tensors:
    """Names of our masked autoencoder to the published, flat ones."""
    return without_prefix(tensors, "encoder.")


def split_decoder(tensors: Mapping[str, Tensor]) -> tuple[Tensors, Tensors]:
    """Published, flat names into (encoder, decoder)."""
    encoder = {name: value for name, value in tensors.items() if not _DECODER.match(name)}
    decoder = {name: value for name, value in tensors.items() if _DECODER.match(name)}
    return encoder, decoder
