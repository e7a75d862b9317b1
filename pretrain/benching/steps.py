"""Training steps as the loop takes them, and the memory that they need."""

from __future__ import annotations

import math
import multiprocessing
import resource
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pretrain.benching.peers import peer_step
from pretrain.benching.timing import Work
from pretrain.data.config import DataConfig
from pretrain.data.synthetic import SyntheticConfig
from pretrain.engine.launching import RuntimeConfig
from pretrain.engine.loop import LoopConfig
from pretrain.engine.runtime import Runtime
from pretrain.engine.signals import StopSignal
from pretrain.engine.tracking import LogConfig
from pretrain.models.mae import MAEConfig
from pretrain.run import Run
from pretrain.train import PretrainConfig, Pretraining

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

OURS = "ours"

#: Ours with the decoder of ``configs/pretrain/fast.yaml``.
FAST = "ours fast"


def fast_model(model: MAEConfig) -> MAEConfig:
    """The model with half of its decoder's blocks, which predict a third of the masked patches."""
    decoder = model.decoder
    halved = replace(decoder, depth=math.ceil(decoder.depth / 2), predicted_share=1 / 3)
    return replace(model, decoder=halved)


def _our_step(folder: Path, model: MAEConfig, batch_size: int, runtime: RuntimeConfig) -> Work:
    """A step of stage one, of a run on as many drawn faces as it takes."""
    drawn = SyntheticConfig(count=batch_size, size=max(32, min(512, model.image_size)))
    config = PretrainConfig(
        output_dir=str(folder),
        pictures=1,
        model=model,
        data=DataConfig(synthetic=drawn, workers=0),
        training=LoopConfig(global_batch_size=batch_size, epochs=1e6),
        runtime=runtime,
        log=LogConfig(trackers=()),
    )
    return step_of(Pretraining(config, Runtime(runtime), 1, StopSignal()))


def step_of(run: Run[Any]) -> Work:
    """The step that a run's loop takes, on the images of its first one."""
    dataset, device = run.dataset, run.runtime.device
    window = [dataset[run.order.share(0, 0, 1, 1)[0]].to(device)]
    return lambda: run.loop.update(window)


def all_steps(
    folder: Path,
    model: MAEConfig,
    batch_size: int,
    runtime: RuntimeConfig,
    peers: tuple[str, ...],
    compiled: bool,
) -> dict[str, Work]:
    """Our step, with two decoders, and those of peers, eager and, where wanted, compiled."""
    found = dict[str, Work]()
    for compile_ in (False, True) if compiled else (False,):
        way = "compiled" if compile_ else "eager"
        for name in (OURS, FAST, *peers):
            found[f"{name}, {way}"] = _step(
                name, folder / f"{name}-{way}", model, batch_size, runtime, compile_
            )
    return found


def _step(
    name: str,
    folder: Path,
    model: MAEConfig,
    batch_size: int,
    runtime: RuntimeConfig,
    compiled: bool,
) -> Work:
    runtime = replace(runtime, compile=compiled)
    if name in (OURS, FAST):
        whole = model if name == OURS else fast_model(model)
        return _our_step(folder, whole, batch_size, runtime)
    device = Runtime(runtime).device
    images = torch.randn(batch_size, 3, model.image_size, model.image_size, device=device)
    return peer_step(name, model, images, DTYPES[runtime.precision], compiled=compiled)


def memory_of_steps(
    folder: Path,
    model: MAEConfig,
    batch_size: int,
    runtime: RuntimeConfig,
    peers: tuple[str, ...],
) -> dict[str, float]:
    """GiB that a process holds at most while it takes eager steps; each in a process of its own.

    On a GPU its memory, else that of the process, less what it holds before the model is built.
    """
    context = multiprocessing.get_context("spawn")
    found = {}
    for name in (OURS, FAST, *peers):
        arguments = (name, folder / f"{name}-memory", model, batch_size, runtime, False)
        with context.Pool(1) as pool:
            found[name] = pool.apply(_memory, arguments)
    return found


def _memory(name: str, *arguments: Any) -> float:
    if name == "hf":
        from transformers import ViTMAEForPreTraining  # noqa: F401 - a library is no part of a step
    before = _held()
    step = _step(name, *arguments)
    for _ in range(2):
        step()
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**30
    return _held() - before


def _held() -> float:
    """GiB that the process has held at most; Linux's other count starts with its parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(lines["VmHWM"].split()[0]) / 2**20
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
