"""Published tensor names, written down here once more, and what becomes of them."""

import pytest
import torch

from pretrain.models.mae import DecoderConfig, MAEConfig, MaskedAutoencoder
from pretrain.models.names import (
    from_hugging_face,
    is_hugging_face,
    split_decoder,
    to_autoencoder,
    to_published,
    without_prefix,
)

DEPTH, DECODER_DEPTH = 12, 2
PARTS = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")


def pair(name):
    return [f"{name}.weight", f"{name}.bias"]


def blocks(prefix, depth, parts):
    return [n for i in range(depth) for part in parts for n in pair(f"{prefix}.{i}.{part}")]


ENCODER = [
    "cls_token",
    "pos_embed",
    *pair("patch_embed.proj"),
    *blocks("blocks", DEPTH, PARTS),
    *pair("norm"),
]
DECODER = [
    "mask_token",
    "decoder_pos_embed",
    *pair("decoder_embed"),
    *blocks("decoder_blocks", DECODER_DEPTH, PARTS),
    *pair("decoder_norm"),
    *pair("decoder_pred"),
]
SPELLINGS = {
    "current": {
        "layers": "vit.layers",
        "decoder_layers": "decoder.decoder_layers",
        "query": "attention.q_proj",
        "key": "attention.k_proj",
        "value": "attention.v_proj",
        "out": "attention.o_proj",
        "fc1": "mlp.fc1",
        "fc2": "mlp.fc2",
    },
    "older": {
        "layers": "vit.encoder.layer",
        "decoder_layers": "decoder.decoder_layers",
        "query": "attention.attention.query",
        "key": "attention.attention.key",
        "value": "attention.attention.value",
        "out": "attention.output.dense",
        "fc1": "intermediate.dense",
        "fc2": "output.dense",
    },
}
# What transformers 5 writes: the older names, and one of its own.
SPELLINGS["written by transformers 5"] = SPELLINGS["older"] | {
    "decoder_layers": "decoder.decoder_encoder.layer"
}


def hugging_face_names(spelling):
    """Hugging Face name to (published name, None or which third of it)."""
    said = SPELLINGS[spelling]
    modules = {
        "vit.embeddings.patch_embeddings.projection": ("patch_embed.proj", None),
        "vit.layernorm": ("norm", None),
        "decoder.decoder_embed": ("decoder_embed", None),
        "decoder.decoder_norm": ("decoder_norm", None),
        "decoder.decoder_pred": ("decoder_pred", None),
    }
    for theirs, ours, depth in (
        (said["layers"], "blocks", DEPTH),
        (said["decoder_layers"], "decoder_blocks", DECODER_DEPTH),
    ):
        for index in range(depth):
            modules |= {
                f"{theirs}.{index}.layernorm_before": (f"{ours}.{index}.norm1", None),
                f"{theirs}.{index}.layernorm_after": (f"{ours}.{index}.norm2", None),
                f"{theirs}.{index}.{said['query']}": (f"{ours}.{index}.attn.qkv", 0),
                f"{theirs}.{index}.{said['key']}": (f"{ours}.{index}.attn.qkv", 1),
                f"{theirs}.{index}.{said['value']}": (f"{ours}.{index}.attn.qkv", 2),
                f"{theirs}.{index}.{said['out']}": (f"{ours}.{index}.attn.proj", None),
                f"{theirs}.{index}.{said['fc1']}": (f"{ours}.{index}.mlp.fc1", None),
                f"{theirs}.{index}.{said['fc2']}": (f"{ours}.{index}.mlp.fc2", None),
            }
    names = {
        "vit.embeddings.cls_token": ("cls_token", None),
        "vit.embeddings.position_embeddings": ("pos_embed", None),
        "decoder.mask_token": ("mask_token", None),
        "decoder.decoder_pos_embed": ("decoder_pos_embed", None),
    }
    for theirs, (ours, third) in modules.items():
        names[f"{theirs}.weight"] = (f"{ours}.weight", third)
        names[f"{theirs}.bias"] = (f"{ours}.bias", third)
    return names


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_hugging_face_names_become_the_published_ones(spelling):
    names = hugging_face_names(spelling)
    tensors = {theirs: torch.full((2,), float(i)) for i, theirs in enumerate(names)}
    assert is_hugging_face(tensors)
    renamed = from_hugging_face(tensors)
    assert renamed.keys() == {*ENCODER, *DECODER}
    for theirs, (ours, third) in names.items():
        value = renamed[ours] if third is None else renamed[ours].chunk(3)[third]
        assert torch.equal(value, tensors[theirs]), theirs


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_encoder_saved_alone_has_the_same_names_without_vit(spelling):
    names = [name for name in hugging_face_names(spelling) if name.startswith("vit.")]
    tensors = {name.removeprefix("vit."): torch.zeros(2) for name in names}
    assert is_hugging_face(tensors)
    assert from_hugging_face(tensors).keys() == set(ENCODER)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_query_key_and_value_are_joined_in_this_order_whatever_the_order_of_the_file(spelling):
    said = SPELLINGS[spelling]
    tensors = {
        f"{said['layers']}.3.{said[part]}.weight": torch.full((4, 4), value)
        for part, value in (("value", 3.0), ("query", 1.0), ("key", 2.0))
    }
    renamed = from_hugging_face(tensors)
    assert list(renamed) == ["blocks.3.attn.qkv.weight"]
    assert renamed["blocks.3.attn.qkv.weight"][:, 0].tolist() == [1.0] * 4 + [2.0] * 4 + [3.0] * 4


def test_a_tensor_that_hugging_face_does_not_have_keeps_its_name():
    assert list(from_hugging_face({"classifier.weight": torch.zeros(1)})) == ["classifier.weight"]


def test_published_names_are_not_taken_for_hugging_face_ones():
    assert not is_hugging_face(dict.fromkeys([*ENCODER, *DECODER], 0))


def test_published_names_are_those_of_our_autoencoder_and_back():
    config = MAEConfig(
        size="tiny",
        image_size=16,
        patch_size=8,
        decoder=DecoderConfig(embed_dim=16, depth=DECODER_DEPTH, num_heads=2),
    )
    own = MaskedAutoencoder(config).state_dict()
    published = to_published(own)
    assert published.keys() == {*ENCODER, *DECODER}
    back = to_autoencoder(published)
    assert back.keys() == own.keys()
    assert all(back[name] is own[name] for name in own)


def test_the_decoder_is_told_from_the_encoder_by_name():
    encoder, decoder = split_decoder({name: torch.zeros(1) for name in [*DECODER, *ENCODER]})
    assert encoder.keys() == set(ENCODER)
    assert decoder.keys() == set(DECODER)


def test_a_prefix_is_taken_off_the_start_of_a_name_only():
    tensors = {"module.norm.weight": torch.zeros(1), "a.module.b": torch.zeros(1)}
    assert list(without_prefix(tensors, "module.")) == ["norm.weight", "a.module.b"]
