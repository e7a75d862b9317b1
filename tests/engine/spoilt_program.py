"""A loop of several processes, one of which gets a NaN in one step: python spoilt_program.py KIND.

The main process prints what came of it as JSON.
"""

import json
import sys
import tempfile
from pathlib import Path

import torch
from test_loop import SAMPLES, STEPS, Rows, SquaredError, data
from torch import nn

from pretrain.engine.checkpoint import CheckpointConfig
from pretrain.engine.launching import RuntimeConfig
from pretrain.engine.loop import Loop, LoopConfig
from pretrain.engine.optim import OptimConfig, Schedule, build_optimizer
from pretrain.engine.runtime import Runtime

SPOILT = 5


def share(step: int, rank: int, world_size: int) -> Rows:
    rows = data(step)
    if step == SPOILT and rank == 1:
        rows.inputs[rank * SAMPLES // world_size, 0] = torch.nan
    own = slice(rank * SAMPLES // world_size, (rank + 1) * SAMPLES // world_size)
    return Rows(rows.inputs[own], rows.targets[own], rows.valid[own])


def main(kind: str) -> None:
    runtime = Runtime(RuntimeConfig(distributed=kind, threads=1))
    torch.manual_seed(1 + runtime.rank)  # the main process's weights are those that count
    model, optim = nn.Linear(3, 2), OptimConfig(base_lr=0.05, weight_decay=0.0)
    with tempfile.TemporaryDirectory() as folder:
        loop = Loop(
            runtime=runtime,
            model=model,
            optimizer=build_optimizer(model, optim),
            objective=SquaredError(),
            schedule=Schedule(peak_lr=0.05, min_lr=0.0, warmup_steps=3, steps=STEPS),
            training=LoopConfig(epochs=1, global_batch_size=SAMPLES),
            saving=CheckpointConfig(every_minutes=None),
            log_every_steps=1,
            steps_per_epoch=STEPS,
            folder=Path(folder),
            seed=0,
            optim=optim,
            defining={},
            images=1000,
            max_bad_share=0.01,
        )
        windows = ([share(step, runtime.rank, runtime.world_size)] for step in range(STEPS))
        assert loop.run(windows, None)
        weights, states = loop.backend.weights(), loop.backend.optimizer_tensors()
    if runtime.is_main:
        found = {
            "kind": runtime.distributed,
            "processes": runtime.world_size,
            "skipped": loop.progress.skipped.item(),
            "steps": states["step/weight"].item(),
            "weights": {name: value.tolist() for name, value in weights.items()},
        }
        print(json.dumps(found))
    runtime.close()


if __name__ == "__main__":
    main(sys.argv[1])
