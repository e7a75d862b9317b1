"""Names and shapes of released checkpoints, written out from what was published.

Every function gives shapes by name. ``filled`` makes tensors of them.
"""

import torch


def _norm(name, width):
    return {
        **{
            f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")
        },
        f"{name}.num_batches_tracked": (),
    }


def _affine(name, *shape):
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _residual_block(name, inputs, outputs, halves):
    found = {f"{name}.conv1.weight": (outputs, inputs, 3, 3), **_norm(f"{name}.bn1", outputs)}
    found |= {f"{name}.conv2.weight": (outputs, outputs, 3, 3), **_norm(f"{name}.bn2", outputs)}
    if halves:
        found |= {f"{name}.downsample.0.weight": (outputs, inputs, 1, 1)}
        found |= _norm(f"{name}.downsample.1", outputs)
    return found


def dan(classes=8):
    """DAN: 275 tensors. The trunk is a Sequential, whose ReLU and pooling are numbers 2 and 3."""
    found = {"features.0.weight": (64, 3, 7, 7), **_norm("features.1", 64)}
    for stage, (inputs, outputs) in enumerate([(64, 64), (64, 128), (128, 256), (256, 512)]):
        name = f"features.{4 + stage}"
        found |= _residual_block(f"{name}.0", inputs, outputs, halves=stage > 0)
        found |= _residual_block(f"{name}.1", outputs, outputs, halves=False)
    for head in range(4):
        spatial, channel = f"cat_head{head}.sa", f"cat_head{head}.ca.attention"
        found |= _affine(f"{spatial}.conv1x1.0", 256, 512, 1, 1) | _norm(
            f"{spatial}.conv1x1.1", 256
        )
        for kernel in [(3, 3), (1, 3), (3, 1)]:
            name = f"{spatial}.conv_{kernel[0]}x{kernel[1]}"
            found |= _affine(f"{name}.0", 512, 256, *kernel) | _norm(f"{name}.1", 512)
        found |= _affine(f"{channel}.0", 32, 512) | _norm(f"{channel}.1", 32)
        found |= _affine(f"{channel}.3", 512, 32)
    return found | _affine("fc", classes, 512) | _norm("bn", classes)


def vit(width=768, depth=12, grid=14, patch=16):
    """A ViT under ``vit.``, without its head."""
    found = {"cls_token": (1, 1, width), "pos_embed": (1, 1 + grid**2, width)}
    found |= _affine("patch_embed.proj", width, 3, patch, patch)
    for block in range(depth):
        name = f"blocks.{block}"
        found |= _affine(f"{name}.norm1", width) | _affine(f"{name}.norm2", width)
        found |= _affine(f"{name}.attn.qkv", 3 * width, width)
        found |= _affine(f"{name}.attn.proj", width, width)
        found |= _affine(f"{name}.mlp.fc1", 4 * width, width)
        found |= _affine(f"{name}.mlp.fc2", width, 4 * width)
    found |= _affine("norm", width)
    return {f"vit.{name}": shape for name, shape in found.items()}


def emma(width=768, **sizes):
    """EMMA: 433 tensors; 8 expressions and 12 action units, valence and arousal from 28 scores."""
    found = vit(width, **sizes) | _affine("vit.head.0", 512, width) | _affine("vit.head.2", 20, 512)
    found |= {f"cnn.{name}": shape for name, shape in dan().items()}
    return found | _affine("va_head.0", 256, 28) | _affine("va_head.2", 2, 256)


def cotex(width=768, classes=6, **sizes):
    """One view of CoTEX: 152 tensors."""
    return vit(width, **sizes) | _affine("vit.head", classes, width)


def filled(shapes, seed=0):
    """Random tensors under which nothing explodes and no sigmoid or softmax saturates."""
    generator = torch.Generator().manual_seed(seed)

    def tensor(name, shape):
        if name.endswith("num_batches_tracked"):
            return torch.randint(1, 999, shape, generator=generator)
        if name.endswith("running_var"):
            return torch.rand(shape, generator=generator) + 0.5
        values = torch.randn(shape, generator=generator)
        if len(shape) > 1:
            return values / shape[1:].numel() ** 0.5
        if ".sa.conv_" in name and ".1." in name:
            return values * 0.003  # of each of 512 channels, which are added up
        return values * 0.1 + (1 if name.endswith("weight") else 0)

    return {name: tensor(name, torch.Size(shape)) for name, shape in shapes.items()}


def constant(shapes):
    """Tensors of a value each, its own, at the price of one number each."""
    return {
        name: (
            torch.tensor(place)
            if name.endswith("num_batches_tracked")
            else torch.tensor(place / 512.0).expand(shape)  # exact in every precision used
        )
        for place, (name, shape) in enumerate(shapes.items(), start=1)
    }
