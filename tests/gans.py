"""A small GAN, and a run of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from greys import WHOLE, Grey, targets

from finetune.batches import LabelledBatch, LabelledFaces
from finetune.generating.watching import WatchConfig
from finetune.methods.gan import GAN
from finetune.models.gan import GANConfig
from finetune.objectives.adversarial import Adversarial
from finetune.objectives.supervised import LossConfig
from finetune.train import FinetuneConfig, finetune
from finetune.training.config import FinetuneOptimConfig, HeldOutConfig, TrainDataConfig
from pretrain.data.colour import ColourConfig
from pretrain.data.synthetic import SyntheticConfig
from pretrain.engine.launching import RuntimeConfig
from pretrain.engine.loop import LoopConfig
from pretrain.engine.tracking import LogConfig
from pretrain.models.mae import DecoderConfig, MAEConfig, MaskedAutoencoder
from pretrain.save import save_encoder

NETWORKS = GANConfig(image_size=32, width=4, latent=8)
METHOD = GAN(networks=NETWORKS, losses=LossConfig(action_unit_weights="none"))


def game(method: GAN = METHOD) -> tuple[Adversarial, LabelledBatch]:
    torch.manual_seed(0)
    model = method.build().model
    objective, _ = method.objective(model, targets())
    faces = LabelledFaces(
        Grey(),
        targets(),
        described="greys",
        seed=3,
        image_size=32,
        augmentation=WHOLE,
        colour=ColourConfig(),
    )
    return objective, faces[0, np.arange(12)]


RUN = FinetuneConfig(
    pictures=8,
    report=False,
    method=replace(METHOD, networks=replace(NETWORKS, conditional=True)),
    data=TrainDataConfig(synthetic=SyntheticConfig(count=48, size=32, subjects=6), workers=0),
    validation=HeldOutConfig(count=12),
    training=LoopConfig(epochs=2, global_batch_size=16),
    optim=FinetuneOptimConfig(base_lr=4e-4, betas=(0.5, 0.999), warmup_epochs=0, ema_decay=0.9),
    log=LogConfig(every_steps=1, trackers=()),
    runtime=RuntimeConfig(threads=1),
)


def save_tiny_encoder(folder: Path) -> str:
    """Untrained: what it sees tells images apart nonetheless."""
    shape = {"size": "tiny", "image_size": 32, "patch_size": 8}
    torch.manual_seed(0)
    autoencoder = MaskedAutoencoder(
        MAEConfig(decoder=DecoderConfig(embed_dim=16, depth=1, num_heads=2), **shape)
    )
    save_encoder(autoencoder, folder)
    return str(folder)


def train_gan(folder: Path, encoder: str) -> Path:
    """The run, watched by an encoder."""
    watch = WatchConfig(encoder=encoder, images=24, every_epochs=1)
    assert finetune(replace(RUN, output_dir=str(folder), method=replace(RUN.method, watch=watch)))
    return folder
