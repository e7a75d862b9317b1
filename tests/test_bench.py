"""The bench: what it counts, how it takes turns, and that it runs. No time is asserted."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from programs import run
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pretrain.benching.flops import TRAINING, encoder_flops, mae_flops, matrix_product
from pretrain.benching.peers import PlainMAE, peer_step
from pretrain.benching.report import Row, Section, table
from pretrain.benching.steps import fast_model
from pretrain.benching.timing import Timing, TurnsConfig, in_turn
from pretrain.engine.config import parse_config
from pretrain.models.mae import DecoderConfig, MAEConfig, MaskedAutoencoder
from pretrain.train import PretrainConfig

CPU = torch.device("cpu")
SMALL = MAEConfig(
    size="tiny",
    image_size=32,
    patch_size=8,
    decoder=DecoderConfig(embed_dim=32, depth=2, num_heads=2),
)


@pytest.mark.parametrize("config", [SMALL, fast_model(SMALL)], ids=["all", "fast"])
def test_the_operations_are_those_that_torch_counts(config: MAEConfig) -> None:
    model = MaskedAutoencoder(config)
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    # The counter does not see into the fused attention of a CPU.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(images, torch.rand(2, 16))
    assert counter.get_total_flops() == pytest.approx(2 * mae_flops(config) / TRAINING, rel=1e-6)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.encoder(images)
    expected = 2 * encoder_flops(config.encoder_shape, 16)
    assert counter.get_total_flops() == pytest.approx(expected, rel=1e-6)


def test_the_operations_of_the_published_model_are_the_published_ones() -> None:
    assert mae_flops(MAEConfig()) == pytest.approx(58.7e9, rel=0.02)  # ViT-B, decoder 512 x 8


def test_the_fast_decoder_is_that_of_its_config() -> None:
    config = parse_config(PretrainConfig, ["--config", "configs/pretrain/fast.yaml"], "program")
    assert config.model == fast_model(replace(config.model, decoder=DecoderConfig()))
    assert mae_flops(config.model) < mae_flops(MAEConfig()) / 1.6


def test_a_matrix_product_is_what_it_is_counted_as() -> None:
    work, operations = matrix_product(CPU, torch.float32)
    with FlopCounterMode(display=False) as counter:
        work()
    assert counter.get_total_flops() == operations


def test_works_take_turns() -> None:
    called = list[str]()
    works = {"a": lambda: called.append("a"), "b": lambda: called.append("b")}
    times = in_turn(works, TurnsConfig(rounds=3, seconds=0), CPU)
    assert len(times["a"].rounds) == 3
    assert called[-6:] == ["a", "b"] * 3


def test_a_median_and_half_the_range() -> None:
    timing = Timing((2.0, 1.0, 4.0))
    assert (timing.median, timing.spread, timing.rate(8)) == (2.0, 0.75, 4.0)


def test_a_plain_restatement_learns_and_reads_its_loss() -> None:
    torch.manual_seed(0)
    step = peer_step("plain", SMALL, torch.randn(4, 3, 32, 32), torch.float32, compiled=False)
    losses = [step() for _ in range(12)]
    assert losses[-1] < losses[0]
    assert PlainMAE(SMALL)(torch.randn(2, 3, 32, 32)).shape == ()


def test_one_round_has_no_spread() -> None:
    assert Timing((2.0,)).spread is None


def test_a_table_shows_what_is_known_and_no_empty_column() -> None:
    rows = [Row("ours, eager", 1234.4, 0.01, ratio=1.5), Row("plain, eager", 823.0, 0.0, ratio=1)]
    about = {"date": "today", "device": "CPU", "torch": "2"}
    lines = table([Section("Step", "plain", rows)], about, "bench").splitlines()
    assert lines[2] == "| Step | images/s | x plain |"
    assert lines[4:] == [
        "| ours, eager | 1,234 ± 1% | 1.50 |",
        "| plain, eager | 823 ± 0% | 1.00 |",
    ]


def test_everything_is_measured_and_written(tmp_path: Path) -> None:
    small = ("--model.size", "tiny", "--model.image_size", 32, "--model.patch_size", 8)
    decoder = ("--model.decoder.embed_dim", 32, "--model.decoder.depth", 1)
    few = ("--batch_size", 4, "--images", 16, "--rounds", 2, "--seconds", 0, "--steps", 1)
    options = ("--compiled", "false", "--runtime.threads", 1, "--out", tmp_path)
    code, output, errors = run("-m", "pretrain.bench", *small, *decoder, *few, *options)
    assert code == 0, errors
    assert output.strip() == (tmp_path / "bench.md").read_text().strip()
    record = json.loads((tmp_path / "bench.json").read_text())
    names = [[row["name"] for row in section["rows"]] for section in record["sections"]]
    assert names[0] == ["ours, eager", "ours fast, eager", "plain, eager"]
    forms = ["ours from JPEG folder", "ours from JPEG shards", "ours from raw shards"]
    assert names[1][-3:] == names[2] == forms
    assert all(row["memory"] > 0 for row in record["sections"][0]["rows"])
    assert (tmp_path / "bench.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--parts", '["steps"]'), "parts 'steps', expected some of step, input, training"),
        (("--peers", '["mine"]'), "peers 'mine', expected some of plain, hf"),
        (("--images", 8), "images 8, expected at least batch_size 32"),
        (("--rounds", 0), "rounds 0, expected at least 1"),
        (("--model.gradient_checkpointing", "true"), "expected neither: peers have no such option"),
        (("--out", "/dev/null/bench"), "out /dev/null/bench: Not a directory, expected a folder"),
    ],
)
def test_what_measures_nothing_is_refused(options: tuple[object, ...], message: str) -> None:
    code, _, errors = run("-m", "pretrain.bench", *options)
    assert code != 0
    assert message in errors
    assert len(errors.strip().splitlines()) == 1
