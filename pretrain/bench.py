"""Program: ``python -m pretrain.bench``: how fast stage one is, beside peers and the machine."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from pretrain.benching.flops import PEAK, mae_flops, matrix_product
from pretrain.benching.peers import PEERS
from pretrain.benching.pipeline import BATCH, USUAL, stages, write_forms
from pretrain.benching.report import Row, Section, machine, write
from pretrain.benching.steps import DTYPES, FAST, OURS, all_steps, fast_model, memory_of_steps
from pretrain.benching.timing import Timing, TurnsConfig, in_turn
from pretrain.benching.training import train_from
from pretrain.engine.config import parse_config
from pretrain.engine.launching import RuntimeConfig
from pretrain.engine.runtime import Runtime
from pretrain.errors import exit_code
from pretrain.files import make_folder
from pretrain.models.mae import MAEConfig

PROGRAM = "python -m pretrain.bench"

#: What can be measured.
PARTS = ("step", "input", "training")


@dataclass(frozen=True, kw_only=True)
class BenchConfig(TurnsConfig):
    """Measures training steps and the input pipeline in turn, and whole runs one after the other.

    Attributes:
        parts: of step (a training step, with the given and with the fast decoder, beside peers and
            the peak of matrix products), input (each
            stage of the input pipeline on one core, beside the usual one), training (whole runs
            from each form of the images).
        peers: of plain (a restatement in the paper's order) and hf (Hugging Face's ViTMAE; needs
            transformers).
        compiled: measure compiled steps as well.
        memory: measure the memory of a step as well, each in a process of its own.
        model: the masked autoencoder.
        images: drawn faces that are written for input and training.
        steps: of each whole run, and as many before them that do not count.
        runtime: precision, threads.
        out: folder for bench.md, bench.json and bench.png.
    """

    parts: tuple[str, ...] = PARTS
    peers: tuple[str, ...] = PEERS[:1]
    compiled: bool = True
    memory: bool = True
    model: MAEConfig = field(default_factory=MAEConfig)
    images: int = 512
    steps: int = 20
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    out: str = "runs/bench"

    def __post_init__(self) -> None:
        """Refuses unknown parts and peers, and numbers that measure nothing."""
        super().__post_init__()
        for name, known in (("parts", PARTS), ("peers", PEERS)):
            for value in getattr(self, name):
                if value not in known:
                    raise ValueError(f"{name} {value!r}, expected some of {', '.join(known)}")
        if not self.parts:
            raise ValueError(f"parts (), expected some of {', '.join(PARTS)}")
        for name in ("images", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}, expected at least 1")
        if {"input", "training"} & set(self.parts) and self.images < self.batch_size:
            raise ValueError(
                f"images {self.images}, expected at least batch_size {self.batch_size}"
            )
        model = self.model
        if (
            model.gradient_checkpointing
            or not model.normalise_target
            or model.decoder.predicted_share < 1
        ):
            raise ValueError(
                "model: got gradient_checkpointing true, normalise_target false or a"
                " predicted_share below 1, expected neither: peers have no such option"
            )
        if self.runtime.precision == "fp16":
            raise ValueError("runtime.precision fp16, expected fp32 or bf16: peers scale no loss")
        if self.runtime.compile:
            raise ValueError("runtime.compile true, expected compiled true: both are measured")


def bench(config: BenchConfig, command: str) -> str:
    """Measures what was asked for, and writes it.

    Args:
        config: what.
        command: how, for the record.

    Returns:
        The table.

    Raises:
        UserError: something the user can mend; its message is one line.
    """
    out = make_folder(config.out)
    runtime = Runtime(config.runtime)
    about = machine(runtime.device, torch.get_num_threads())
    sections = list[Section]()
    with tempfile.TemporaryDirectory(prefix="faceprior-bench-") as scratch:
        folder = Path(scratch)
        if "step" in config.parts:
            sections.append(_steps(config, folder, runtime.device))
        if {"input", "training"} & set(config.parts):
            _say("writing drawn faces")
            places = write_forms(folder / "images", config.images, config.model.image_size)
        if "input" in config.parts:
            sections.append(_input(config, places))
        if "training" in config.parts:
            sections.append(_training(config, places, folder))
    return write(out, sections, about, command)


def _steps(config: BenchConfig, folder: Path, device: torch.device) -> Section:
    model, dtype = config.model, DTYPES[config.runtime.precision]
    memory: Mapping[str, float] = {}
    if config.memory:
        _say("memory of a step")
        memory = memory_of_steps(folder, model, config.batch_size, config.runtime, config.peers)
    _say("building the steps")
    product, operations = matrix_product(device, dtype)
    works = {PEAK: product} | all_steps(
        folder, model, config.batch_size, config.runtime, config.peers, config.compiled
    )
    _say(f"timing {', '.join(works)}")
    times = in_turn(works, config, device)
    peak = times.pop(PEAK).rate(operations)
    flops, fast_flops = mae_flops(model), mae_flops(fast_model(model))
    fastest = max(
        (name for name in times if not name.startswith(OURS) and name.endswith("eager")),
        key=lambda name: times[name].rate(1),
        default="",
    )
    rows = [
        Row(
            name,
            rate := timing.rate(config.batch_size),
            timing.spread,
            ratio=rate / times[fastest].rate(config.batch_size) if fastest else None,
            share=rate * (fast_flops if name.startswith(FAST) else flops) / peak,
            memory=memory.get(name.partition(",")[0]) if name.endswith("eager") else None,
        )
        for name, timing in times.items()
    ]
    title = (
        f"Training step, ViT-{model.size}/{model.patch_size} at {model.image_size} px, batch"
        f" {config.batch_size}, {config.runtime.precision}, {flops / 1e9:.3g} GFLOP an image"
        f" ({fast_flops / 1e9:.3g} fast), peak"
        f" {peak / 1e12:.3g} TFLOP/s"
    )
    return Section(title, fastest, rows)


def _input(config: BenchConfig, places: Mapping[str, Path]) -> Section:
    _say("timing the input pipeline on one core")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        works = stages(places, config.model, seed=0)
        times = in_turn(works, config, torch.device("cpu"))
    finally:
        torch.set_num_threads(threads)
    return Section(
        f"Input, one core, 256 px JPEGs to {config.model.image_size} px",
        "usual",
        [_input_row(name, timing, times[USUAL]) for name, timing in times.items()],
    )


def _input_row(name: str, timing: Timing, usual: Timing) -> Row:
    whole = name == USUAL or name.startswith("ours")  # a stage alone does less than the usual whole
    ratio = usual.median / timing.median if whole else None
    return Row(name, timing.rate(BATCH), timing.spread, ratio=ratio)


def _training(config: BenchConfig, places: Mapping[str, Path], folder: Path) -> Section:
    _say(f"training from {', '.join(places)}")
    runs = train_from(
        places, folder / "runs", config.model, config.batch_size, config.runtime, config.steps
    )
    rows = [
        Row(f"ours from {form}", run.images_per_second, None, waiting=run.waiting)
        for form, run in runs.items()
    ]
    model = config.model
    title = f"Whole run, ViT-{model.size}/{model.patch_size} at {model.image_size} px"
    return Section(title, "", rows)


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _work() -> None:
    command = f"{PROGRAM} {shlex.join(sys.argv[1:])}".rstrip()
    print(bench(parse_config(BenchConfig, None, PROGRAM), command))


def main() -> int:
    """Measures and prints the table, or says in one line why not."""
    return exit_code(_work)


if __name__ == "__main__":
    sys.exit(main())
