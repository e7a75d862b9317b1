"""Program: ``python -m finetune.bench``: how fast steps of stage two, and predictions, are."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from finetune.methods.cotex import CoTEX
from finetune.methods.emma import EMMA
from finetune.methods.method import Method
from finetune.models.cotex import CoTEXConfig
from finetune.models.emma import EMMAOptions
from finetune.objectives.cotraining import CoTrainingConfig
from finetune.train import FinetuneConfig, Finetuning
from finetune.training.config import HeldOutConfig, TrainDataConfig
from pretrain.benching.flops import PEAK, TRAINING, encoder_flops, matrix_product
from pretrain.benching.report import Row, Section, machine, write
from pretrain.benching.steps import DTYPES, step_of
from pretrain.benching.timing import Timing, TurnsConfig, Work, in_turn
from pretrain.data.synthetic import SyntheticConfig
from pretrain.engine.config import parse_config
from pretrain.engine.launching import RuntimeConfig
from pretrain.engine.loop import LoopConfig
from pretrain.engine.runtime import Runtime
from pretrain.engine.signals import StopSignal
from pretrain.engine.tracking import LogConfig
from pretrain.errors import exit_code
from pretrain.files import make_folder
from pretrain.models.masking import visible_count

PROGRAM = "python -m finetune.bench"

#: What the others are compared with.
_WHOLE = "one view of the whole face"


@dataclass(frozen=True, kw_only=True)
class BenchConfig(TurnsConfig):
    """Measures steps of fine-tuning and co-training, and predictions, in turn, on drawn faces.

    Attributes:
        model: the ViT of all of them, and EMMA's heads.
        mask_ratio: of the masked views, inside (0, 1).
        runtime: precision, threads, compiled or not.
        out: folder for bench.md, bench.json and bench.png.
    """

    model: EMMAOptions = field(default_factory=EMMAOptions)
    mask_ratio: float = 0.75
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    out: str = "runs/bench_finetune"

    def __post_init__(self) -> None:
        """Refuses numbers that measure nothing, and masks that leave nothing."""
        super().__post_init__()
        if not 0 < self.mask_ratio < 1:
            raise ValueError(f"mask_ratio {self.mask_ratio}, expected inside (0, 1)")
        if self.model.va_input not in ("scores", "features"):
            raise ValueError(
                f"model.va_input {self.model.va_input!r}, expected scores or features: no CNN is"
                " measured"
            )
        visible_count(self.model.shape.num_patches, self.mask_ratio)


def bench(config: BenchConfig, command: str) -> str:
    """Measures steps and predictions, and writes what was found.

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
    device, shape = runtime.device, config.model.shape
    about = machine(device, torch.get_num_threads())
    product, operations = matrix_product(device, DTYPES[config.runtime.precision])
    whole = encoder_flops(shape, shape.num_patches)
    masked = encoder_flops(shape, visible_count(shape.num_patches, config.mask_ratio))
    seen = {name: views * (masked if hidden else whole) for name, (_, views, hidden) in _SYSTEMS}
    with tempfile.TemporaryDirectory(prefix="faceprior-bench-") as scratch:
        runs = {
            name: Finetuning(
                _run(Path(scratch) / str(place), config, _method(config, *system)),
                runtime,
                1,
                StopSignal(),
            )
            for place, (name, system) in enumerate(_SYSTEMS)
        }
        works = {PEAK: product} | {name: step_of(run) for name, run in runs.items()}
        answers = {name: _prediction(run, config) for name, run in runs.items() if name in _ASKED}
        steps = in_turn(works, config, device)
        predictions = in_turn({PEAK: product} | answers, config, device)
    what = f"ViT-{config.model.size}/{shape.patch_size} at {shape.image_size} px, batch"
    what += f" {config.batch_size}, {config.runtime.precision}"
    training = {name: TRAINING * flops for name, flops in seen.items()}
    sections = [
        _section(
            f"Step, masks of {config.mask_ratio:g}, {what}", steps, training, operations, config
        ),
        _section(f"Prediction, {what}", predictions, seen, operations, config),
    ]
    return write(out, sections, about, command)


#: By name: (method, views, whether they are masked). Operations of heads are not counted.
_SYSTEMS: tuple[tuple[str, tuple[str, int, bool]], ...] = (
    (_WHOLE, ("CoTEX", 1, False)),
    ("ours, EMMA without a CNN", ("EMMA", 1, False)),
    ("ours, EMMA, two masked views", ("EMMA", 2, True)),
    ("ours, CoTEX, two masked views, one encoder", ("shared", 2, True)),
    ("ours, CoTEX, two masked views", ("CoTEX", 2, True)),
    ("two whole views", ("CoTEX", 2, False)),
)

#: Systems that differ when they predict: every view sees the whole face.
_ASKED = (_WHOLE, "ours, EMMA without a CNN", "two whole views")


def _method(config: BenchConfig, name: str, views: int, masked: bool) -> Method:
    cotraining = CoTrainingConfig(mask_ratio=config.mask_ratio if masked else 0.0)
    model = config.model
    if name == "EMMA":
        return EMMA(model=model, views=views if masked else 0, cotraining=cotraining)
    network = CoTEXConfig(
        size=model.size,
        image_size=model.image_size,
        patch_size=model.patch_size,
        drop_path_rate=model.drop_path_rate,
        expressions=model.expressions,
        views=views,
        shared=name == "shared",
    )
    return CoTEX(views=network, cotraining=cotraining)


def _run(folder: Path, config: BenchConfig, method: Method) -> FinetuneConfig:
    """A run on twice as many drawn faces as a step takes: not all are labelled."""
    size = max(32, min(512, config.model.image_size))
    drawn = SyntheticConfig(count=2 * config.batch_size + 32, size=size, style="posed")
    return FinetuneConfig(
        output_dir=str(folder),
        method=method,
        data=TrainDataConfig(synthetic=drawn, workers=0),
        validation=HeldOutConfig(split=None),
        training=LoopConfig(global_batch_size=config.batch_size, epochs=1e6),
        runtime=config.runtime,
        log=LogConfig(trackers=()),
    )


def _prediction(run: Finetuning, config: BenchConfig) -> Work:
    """What :mod:`finetune.predict` asks of a model, a batch."""
    shape = (config.batch_size, 3, config.model.image_size, config.model.image_size)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, device=run.runtime.device)
    model = run.model.model

    def answer() -> None:
        model.eval()
        with torch.inference_mode(), run.runtime.accelerator.autocast():
            model(images)
        model.train()

    return answer


def _section(
    title: str,
    times: Mapping[str, Timing],
    flops: Mapping[str, float],
    operations: float,
    config: BenchConfig,
) -> Section:
    peak, reference = times[PEAK].rate(operations), times[_WHOLE]
    rows = [
        Row(
            name,
            rate := timing.rate(config.batch_size),
            timing.spread,
            ratio=reference.median / timing.median,
            share=rate * flops[name] / peak,
        )
        for name, timing in times.items()
        if name != PEAK
    ]
    return Section(f"{title}, peak {peak / 1e12:.3g} TFLOP/s", _WHOLE, rows)


def _work() -> None:
    command = f"{PROGRAM} {shlex.join(sys.argv[1:])}".rstrip()
    print(bench(parse_config(BenchConfig, None, PROGRAM), command))


def main() -> int:
    """Measures and prints the table, or says in one line why not."""
    return exit_code(_work)


if __name__ == "__main__":
    sys.exit(main())
