"""The loop with real processes, optimiser and files; the model is a line."""

import json
import math
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState, GradientState
from programs import run
from torch import Tensor, nn

from pretrain.engine.checkpoint import CheckpointConfig, CheckpointError, newest
from pretrain.engine.launching import RuntimeConfig
from pretrain.engine.loop import BadImagesError, Loop, LoopConfig, NonFiniteError
from pretrain.engine.optim import OptimConfig, Schedule, build_optimizer
from pretrain.engine.runtime import Runtime
from pretrain.engine.signals import StopSignal
from pretrain.engine.tracking import Tracker, read_metrics

STEPS, SAMPLES = 12, 8


@dataclass
class Rows:
    """A micro-batch: inputs, targets, which targets count."""

    inputs: Tensor
    targets: Tensor
    valid: Tensor
    bad: list[tuple[str, str]] = field(default_factory=list)

    def to(self, device: torch.device) -> "Rows":
        return self


class SquaredError:
    tasks = ("first", "second")
    turns = ("",)

    def counts(self, batch: Rows) -> Tensor:
        return batch.valid.sum(0)

    def sums(self, model: nn.Module, batch: Rows, turn: str) -> Tensor:
        errors = (model(batch.inputs) - batch.targets).square()
        return torch.where(batch.valid, errors, 0.0).sum(0)


def data(step: int) -> Rows:
    generator = torch.Generator().manual_seed(step)
    inputs = torch.randn(SAMPLES, 3, generator=generator)
    targets = inputs[:, :2] * 2 + 1
    return Rows(inputs, targets, torch.rand(SAMPLES, 2, generator=generator) < 0.6)


def windows(first: int, parts: Sequence[int], spoil: Sequence[int] = ()) -> Iterator[list[Rows]]:
    for step in range(first, STEPS):
        rows = data(step)
        if step in spoil:
            rows.inputs[0, 0] = math.nan
        split = [
            torch.split(tensor, list(parts)) for tensor in (rows.inputs, rows.targets, rows.valid)
        ]
        yield [Rows(*part) for part in zip(*split, strict=True)]


def make_loop(folder: Path, *, micro_batches: int = 1, **overrides: Any) -> Loop:
    folder.mkdir(parents=True, exist_ok=True)
    GradientState._reset_state()  # a test makes several loops in one process
    AcceleratorState._reset_state(True)
    runtime = Runtime(RuntimeConfig(), micro_batches)
    torch.manual_seed(1)
    model = overrides.pop("model", None) or nn.Linear(3, 2)
    optim = OptimConfig(base_lr=0.05, weight_decay=0.0, ema_decay=overrides.pop("ema_decay", None))
    training = LoopConfig(
        epochs=1,
        global_batch_size=overrides.pop("global_batch_size", SAMPLES),
        max_skipped_in_a_row=overrides.pop("patience", 3),
    )
    return Loop(
        runtime=runtime,
        model=model,
        optimizer=build_optimizer(model, optim),
        objective=overrides.pop("objective", SquaredError()),
        schedule=Schedule(peak_lr=0.05, min_lr=0.0, warmup_steps=3, steps=STEPS),
        training=training,
        saving=overrides.pop("saving", CheckpointConfig(every_steps=4, every_minutes=None)),
        log_every_steps=overrides.pop("log_every_steps", 1),
        steps_per_epoch=STEPS,
        folder=folder,
        seed=0,
        optim=optim,
        defining={"seed": 0},
        images=overrides.pop("images", 1000),
        max_bad_share=overrides.pop("max_bad_share", 0.01),
        **overrides,
    )


def train(folder: Path, parts: Sequence[int] = (SAMPLES,), **overrides: Any) -> Loop:
    spoil = overrides.pop("spoil", ())
    loop = make_loop(folder, micro_batches=len(parts), **overrides)
    tracker = Tracker(folder, (), 0, STEPS, {})
    assert loop.run(windows(0, parts, spoil), tracker)
    tracker.close()
    return loop


def losses(folder: Path) -> list[float]:
    return [record["loss"] for record in read_metrics(folder)]


def test_a_step_is_the_gradient_of_sums_over_counts(tmp_path: Path) -> None:
    """Restated with one backward over all rows and torch's own AdamW."""
    torch.manual_seed(1)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.0)
    expected = []
    for step in range(STEPS):
        warmed = 0.05 * (step + 1) / 3
        cosine = 0.05 * 0.5 * (1 + math.cos(math.pi * (step - 3) / (STEPS - 3)))
        optimizer.param_groups[0]["lr"] = warmed if step < 3 else cosine
        rows = data(step)
        errors = (model(rows.inputs) - rows.targets).square()
        loss = sum(errors[rows.valid[:, task], task].mean() for task in (0, 1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    loop = train(tmp_path)
    assert losses(tmp_path) == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(loop.module.weight, model.weight)


@pytest.mark.parametrize("parts", [(4, 4), (1, 5, 2), (1,) * 8])
def test_the_update_does_not_depend_on_the_split_into_micro_batches(
    tmp_path: Path, parts: Sequence[int]
) -> None:
    whole = train(tmp_path / "whole").module.state_dict()
    split = train(tmp_path / "split", parts).module.state_dict()
    torch.testing.assert_close(split, whole)
    assert losses(tmp_path / "split") == pytest.approx(losses(tmp_path / "whole"), rel=1e-5)


class AlternatingError(SquaredError):
    turns = ("weight", "bias")

    def sums(self, model: nn.Module, batch: Rows, turn: str) -> Tensor:
        assert turn in self.turns
        return super().sums(model, batch, turn)


@pytest.mark.parametrize("parts", [(8,), (3, 5)])
def test_parts_learn_in_turn_each_from_what_the_last_has_made(
    tmp_path: Path, parts: Sequence[int]
) -> None:
    torch.manual_seed(1)
    model = nn.Linear(3, 2)
    options = {"betas": (0.9, 0.95), "weight_decay": 0.0}
    optimizers = [torch.optim.AdamW([p], **options) for p in (model.weight, model.bias)]
    loop = make_loop(tmp_path, micro_batches=len(parts), objective=AlternatingError())
    source = windows(0, parts)
    for step in range(3):
        rows = data(step)
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = 0.05 * (step + 1) / 3
            errors = (model(rows.inputs) - rows.targets).square()
            model.zero_grad()
            sum(errors[rows.valid[:, task], task].mean() for task in (0, 1)).backward()
            optimizer.step()
        loop.update(next(source))
        loop.progress.step += 1
    torch.testing.assert_close(loop.module.weight, model.weight)
    torch.testing.assert_close(loop.module.bias, model.bias)


def test_a_non_finite_step_changes_nothing_and_is_counted(tmp_path: Path) -> None:
    with_nan = train(tmp_path, spoil=[5], ema_decay=0.5)
    records = read_metrics(tmp_path)
    assert [record["skipped"] for record in records] == [0] * 5 + [1] * 7
    assert math.isnan(records[5]["loss"])
    assert all(math.isfinite(record["loss"]) for record in records[6:])
    assert all(torch.isfinite(value).all() for value in with_nan.module.state_dict().values())
    # Adam's own count leaves the skipped step out, too.
    assert with_nan.backend.optimizer.state[with_nan.module.weight]["step"] == STEPS - 1


def test_a_skipped_step_leaves_no_trace_in_batch_norms(tmp_path: Path) -> None:
    norm = nn.BatchNorm1d(3)
    train(tmp_path / "spoilt", spoil=[5], model=nn.Sequential(norm, nn.Linear(3, 2)))
    mean = torch.zeros(3)
    for step in range(STEPS):
        if step != 5:
            mean = 0.9 * mean + 0.1 * data(step).inputs.mean(0)
    torch.testing.assert_close(norm.running_mean, mean)
    assert norm.num_batches_tracked == STEPS - 1
    assert torch.isfinite(norm.running_var).all()


def test_the_average_is_young_at_first_and_has_the_statistics_of_its_weights(
    tmp_path: Path,
) -> None:
    norm = nn.BatchNorm1d(3)
    model = nn.Sequential(norm, nn.Linear(3, 2))
    loop = make_loop(tmp_path, model=model, ema_decay=0.3)
    states = [{n: v.clone() for n, v in model.state_dict().items() if "num" not in n}]

    def watched() -> Iterator[list[Rows]]:
        for window in windows(0, (SAMPLES,), [5]):
            yield window
            states.append({name: model.state_dict()[name].clone() for name in states[0]})

    assert loop.run(watched(), Tracker(tmp_path, (), 0, STEPS, {}))
    states.append({name: model.state_dict()[name] for name in states[0]})
    expected = states[0]
    for step in range(STEPS):
        if step != 5:  # it is skipped
            stays = min(0.3, (1 + step) / (10 + step))
            expected = {
                n: stays * v + (1 - stays) * states[step + 1][n] for n, v in expected.items()
            }
    assert loop.average is not None
    torch.testing.assert_close(loop.average.weights, expected)
    other = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2))
    loop.average.copy_to(other)
    torch.testing.assert_close(other[0].running_var, expected["0.running_var"])


def test_the_mean_between_log_points_leaves_skipped_steps_out(tmp_path: Path) -> None:
    train(tmp_path / "each", spoil=[5])
    train(tmp_path / "rare", spoil=[5], log_every_steps=4)
    each = losses(tmp_path / "each")
    expected = [sum(each[:4]) / 4, (each[4] + each[6] + each[7]) / 3, sum(each[8:]) / 4]
    assert losses(tmp_path / "rare") == pytest.approx(expected)


def test_too_many_non_finite_steps_in_a_row_end_the_run(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError, match="step 8: 3 steps in a row"):
        train(tmp_path, spoil=[5, 6, 7])
    train(tmp_path / "apart", spoil=[1, 2, 4, 5, 7, 8])  # never three in a row


@pytest.mark.parametrize("killed_at", [5, 8, 11])
@pytest.mark.parametrize("log_every_steps", [1, 3])
def test_a_resumed_run_is_bitwise_the_same(
    tmp_path: Path, killed_at: int, log_every_steps: int
) -> None:
    options = {"log_every_steps": log_every_steps, "ema_decay": 0.9}
    whole = train(tmp_path / "whole", **options)

    folder = tmp_path / "killed"
    first = make_loop(folder, **options)
    tracker = Tracker(folder, (), 0, STEPS, {})
    with pytest.raises(StopIteration):  # the data end, as if the process had
        first.run((w for w, _ in zip(windows(0, (8,)), range(killed_at), strict=False)), tracker)
    checkpoint, _ = newest(folder / "checkpoints")
    assert checkpoint is not None
    second = make_loop(folder, **options)
    second.restore(checkpoint)
    start = second.progress.step
    assert start == killed_at // 4 * 4
    tracker = Tracker(folder, (), start, STEPS, {})
    second.run(windows(start, (8,)), tracker)

    kept = ("step", "loss", "grad_norm", "lr")
    for a, b in zip(read_metrics(tmp_path / "whole"), read_metrics(folder), strict=True):
        assert [a[key] for key in kept] == [b[key] for key in kept]
    for name, value in whole.module.state_dict().items():
        assert torch.equal(value, second.module.state_dict()[name])
        assert whole.average is not None
        assert second.average is not None
        assert torch.equal(whole.average.weights[name], second.average.weights[name])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_stop_signal_saves_and_leaves(tmp_path: Path, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    loop = make_loop(tmp_path, saving=CheckpointConfig(every_minutes=None))

    def hook(step: int) -> None:
        if step == 5:
            os.kill(os.getpid(), number)

    with StopSignal() as stop:
        assert loop.run(windows(0, (8,)), None, [(1, hook)], stop) is False
    checkpoint, _ = newest(tmp_path / "checkpoints")
    assert checkpoint is not None
    assert checkpoint.state["progress"]["step"] == 5
    assert signal.getsignal(number) == before


def test_a_run_without_a_single_good_step_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError, match="step 12: 12 steps in a row"):
        train(tmp_path, spoil=range(STEPS), patience=100)
    train(tmp_path / "one", spoil=range(1, STEPS), patience=100)


def test_checkpoints_by_time_and_at_the_end(tmp_path: Path) -> None:
    make_loop(tmp_path, saving=CheckpointConfig(every_minutes=1e-9, keep=99)).run(
        windows(0, (8,)), None
    )
    assert len(list((tmp_path / "checkpoints").iterdir())) == STEPS
    make_loop(tmp_path / "end", saving=CheckpointConfig(every_minutes=None)).run(
        windows(0, (8,)), None
    )
    assert [p.name for p in (tmp_path / "end" / "checkpoints").iterdir()] == ["step-00000012"]


def test_a_failing_save_ends_the_run_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    with pytest.raises(CheckpointError, match="cannot write the checkpoint"):
        make_loop(tmp_path).run(windows(0, (8,)), None)


def test_bad_images_are_named_once_and_survive_a_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def with_bad() -> Iterator[list[Rows]]:
        for window in windows(0, (8,)):
            window[0].bad.append(("broken.jpg", "truncated"))
            yield window

    loop = make_loop(tmp_path)
    loop.run(with_bad(), None)
    assert capsys.readouterr().err.count("broken.jpg") == 1
    checkpoint, _ = newest(tmp_path / "checkpoints")
    assert checkpoint is not None
    assert checkpoint.state["bad"] == {"broken.jpg": "truncated"}


def with_bad(first: int, names: dict[int, Sequence[str]]) -> Iterator[list[Rows]]:
    """Windows from a step on; of each step, the images that were replaced in it."""
    for step, window in enumerate(windows(first, (4, 4)), first):
        for position, name in enumerate(names.get(step, ())):
            window[position % 2].bad.append((name, "truncated"))
        yield window


def many(count: int) -> list[str]:
    return [f"{index}.jpg" for index in range(count)]


@pytest.mark.parametrize(
    ("images", "share", "accepted"),
    [
        (400, 0.01, 4),  # of all images, where there are few
        (5000, 0.01, 10),  # of a thousand, where few have been seen
        (5000, 0.0, 0),
        (400, 0.25, 100),
    ],
)
def test_more_bad_images_than_accepted_end_the_run(
    tmp_path: Path, images: int, share: float, accepted: int
) -> None:
    limits = {"images": images, "max_bad_share": share, "micro_batches": 2}
    make_loop(tmp_path / "a", **limits).run(with_bad(0, {3: many(accepted)}), None)
    loop = make_loop(tmp_path / "b", **limits)
    with pytest.raises(BadImagesError, match=f"^{accepted + 1} of "):
        loop.run(with_bad(0, {3: many(accepted + 1)}), None)
    assert loop.progress.step == 4


def test_the_accepted_number_grows_with_the_images_seen(tmp_path: Path) -> None:
    limits = {"images": 5000, "global_batch_size": 500, "micro_batches": 2}
    make_loop(tmp_path / "late", **limits).run(with_bad(0, {7: many(40)}), None)  # 1 % of 4000
    with pytest.raises(BadImagesError, match=r"^40 of 3500 images seen are bad \(1.1 %\)"):
        make_loop(tmp_path / "early", **limits).run(with_bad(0, {6: many(40)}), None)
    # Later passes show no new images: 12 steps of 500 are no more than the 5000 there are.
    with pytest.raises(BadImagesError, match=r"^51 of 5000 "):
        make_loop(tmp_path / "passes", **limits).run(with_bad(0, {11: many(51)}), None)
    make_loop(tmp_path / "enough", **limits).run(with_bad(0, {11: many(50)}), None)


def test_a_share_of_one_accepts_every_image(tmp_path: Path) -> None:
    """Also those that were tried in place of a bad one, which are more than the steps took."""
    limits = {"images": 5000, "max_bad_share": 1.0, "micro_batches": 2}
    make_loop(tmp_path, **limits).run(with_bad(0, {0: many(4999)}), None)


def test_the_same_bad_image_counts_once(tmp_path: Path) -> None:
    again = {step: many(4) * 3 for step in range(STEPS)}
    make_loop(tmp_path, images=400, micro_batches=2).run(with_bad(0, again), None)


def test_the_error_names_the_first_bad_images_in_one_line(tmp_path: Path) -> None:
    loop = make_loop(tmp_path, images=400, micro_batches=2, global_batch_size=200)
    with pytest.raises(BadImagesError) as caught:
        loop.run(with_bad(0, {0: ["a.jpg"], 1: many(11)}), None)
    # Both micro-batches of a step are read in order: the even ones, then the odd ones.
    assert str(caught.value) == (
        "12 of 400 images seen are bad (3.0 %), expected at most 1 % (data.max_bad_share):"
        " a.jpg (truncated), 0.jpg (truncated), 2.jpg (truncated), 4.jpg (truncated),"
        " 6.jpg (truncated), ..."
    )
    loop = make_loop(tmp_path, images=100, micro_batches=2)
    with pytest.raises(
        BadImagesError, match=r"^2 of 96 .*: 0.jpg \(truncated\), 1.jpg \(truncated\)$"
    ):
        loop.run(with_bad(0, {STEPS - 1: many(2)}), None)


@pytest.mark.parametrize(("every", "stops"), [(1, 2), (4, 4), (5, 5), (100, STEPS)])
def test_bad_images_are_counted_at_log_points_and_at_the_end(
    tmp_path: Path, every: int, stops: int
) -> None:
    loop = make_loop(tmp_path, images=100, micro_batches=2, log_every_steps=every)
    with pytest.raises(BadImagesError):
        loop.run(with_bad(0, {1: many(2)}), None)
    assert loop.progress.step == stops


def test_bad_images_of_before_a_resume_count_too(tmp_path: Path) -> None:
    bad = {1: many(3), 6: ["x.jpg", "y.jpg"]}
    with pytest.raises(BadImagesError, match=r"^5 of 56 "):
        make_loop(tmp_path, images=400, micro_batches=2).run(with_bad(0, bad), None)

    def resumed(**limits: Any) -> Loop:
        checkpoint, torn = newest(tmp_path / "checkpoints")
        assert checkpoint is not None
        assert not torn
        loop = make_loop(tmp_path, images=400, micro_batches=2, **limits)
        loop.restore(checkpoint)
        assert loop.progress.step == 4
        return loop

    with pytest.raises(BadImagesError, match=r"^5 of 56 .*: 0.jpg"):
        resumed().run(with_bad(4, bad), None)
    # A higher limit goes on from the same checkpoint; what was met before counts once.
    assert resumed(max_bad_share=0.0125).run(with_bad(4, bad | {8: many(3)}), None)
    last, _ = newest(tmp_path / "checkpoints")
    assert last is not None
    assert last.state["bad"].keys() == {*many(3), "x.jpg", "y.jpg"}


@pytest.mark.distributed
def test_processes_count_bad_images_together_and_decide_alike(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(
        "import os, sys\n"
        "from pathlib import Path\n"
        f"sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(__file__).parents[1])!r}]\n"
        "from test_loop import BadImagesError, make_loop, many, with_bad\n"
        "rank = int(os.environ['RANK'])\n"
        "def tried(name, bad):\n"
        "    folder = Path(sys.argv[1]) / name\n"
        "    loop = make_loop(folder, images=100, max_bad_share=0.03, micro_batches=2)\n"
        "    try:\n"
        "        loop.run(with_bad(0, {1: bad}), None)\n"
        "        said = 'went on'\n"
        "    except BadImagesError as error:\n"
        "        said = str(error)\n"
        "    (folder / f'{rank}.txt').write_text(said)\n"
        "    return loop\n"
        "tried('same', many(3))\n"  # a sum of 6, but three images
        "loop = tried('different', [f'{rank}-{name}' for name in many(2)])\n"
        "loop.runtime.close()\n"
    )
    torchrun = ("-m", "torch.distributed.run", "--nproc_per_node", "2")
    torchrun += ("--rdzv_backend", "c10d", "--rdzv_endpoint", "localhost:0")
    code, _, errors = run(*torchrun, script, tmp_path, ACCELERATE_USE_CPU="true")
    assert code == 0, errors
    assert [(tmp_path / "same" / f"{rank}.txt").read_text() for rank in (0, 1)] == ["went on"] * 2
    first, second = [(tmp_path / "different" / f"{rank}.txt").read_text() for rank in (0, 1)]
    assert first == second
    assert first.startswith("4 of 16 images seen are bad (25.0 %), expected at most 3 % ")
    assert [name in first for name in ("0-0", "0-1", "1-0", "1-1")] == [True] * 4


def test_metrics_are_one_json_object_a_line(tmp_path: Path) -> None:
    train(tmp_path, log_every_steps=4)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [4, 8, 12]
    record = json.loads(lines[-1])
    assert record["first"] + record["second"] == pytest.approx(record["loss"])
    assert record["epoch"] == 1.0
    assert 0 <= record["waiting"] <= 1


def test_micro_batches_must_tile_the_step() -> None:
    assert LoopConfig(global_batch_size=64, micro_batch_size=8).micro_batches(2) == 4
    assert LoopConfig(global_batch_size=64).micro_batches(4) == 1
    with pytest.raises(ValueError, match="64 is not divisible by 3 processes"):
        LoopConfig(global_batch_size=64).micro_batches(3)
    with pytest.raises(ValueError, match="micro_batch_size 7 does not divide the 32 images"):
        LoopConfig(global_batch_size=64, micro_batch_size=7).micro_batches(2)
