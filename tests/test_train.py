"""Stage one from images on a disk to an encoder that timm opens."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import yaml
from PIL import Image

from pretrain.data.config import DataConfig
from pretrain.data.synthetic import SyntheticConfig
from pretrain.engine.checkpoint import CheckpointConfig, CheckpointError
from pretrain.engine.launching import RuntimeConfig
from pretrain.engine.loop import LoopConfig
from pretrain.engine.optim import OptimConfig
from pretrain.engine.run_folder import RunFolderError
from pretrain.engine.tracking import LogConfig, read_metrics
from pretrain.errors import UserError
from pretrain.load import load_encoder, load_mae
from pretrain.models.mae import DecoderConfig, MAEConfig
from pretrain.train import PretrainConfig, pretrain

CONFIG = PretrainConfig(
    pictures=4,
    model=MAEConfig(
        size="tiny",
        image_size=32,
        patch_size=8,
        decoder=DecoderConfig(embed_dim=32, depth=1, num_heads=2),
    ),
    data=DataConfig(synthetic=SyntheticConfig(count=40, size=32), workers=0),
    training=LoopConfig(epochs=2, global_batch_size=16),
    optim=OptimConfig(base_lr=5e-3, warmup_epochs=0.5),
    checkpoint=CheckpointConfig(every_steps=2),
    log=LogConfig(every_steps=1, trackers=()),
    runtime=RuntimeConfig(threads=1),
)


def config(folder: Path, **changes: object) -> PretrainConfig:
    return replace(CONFIG, output_dir=str(folder), **changes)


def folder_of_images(root: Path, count: int = 20) -> Path:
    root.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(count):
        pixels = rng.integers(0, 255, (40, 36, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{index:03}.png")
    return root


def test_a_run_writes_what_it_promises(tmp_path: Path) -> None:
    assert pretrain(config(tmp_path, log=LogConfig(every_steps=1, pictures_every_epochs=1)))
    names = {path.name for path in tmp_path.iterdir()} - {".lock"}
    assert names == {
        *("config.yaml", "run.json", "metrics.jsonl", "tensorboard", "checkpoints"),
        *("pictures", "encoder", "mae.safetensors"),
    }
    pictures = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert pictures == {
        *(
            "samples.png",
            "curves.png",
            "reconstruction-00000002.png",
            "reconstruction-00000004.png",
        ),
    }
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["model"]["size"] == "tiny"
    start = json.loads((tmp_path / "run.json").read_text())["starts"][0]
    assert (start["images"], start["steps"], start["steps_per_epoch"]) == (40, 4, 2)
    assert start["peak_lr"] == pytest.approx(5e-3 * 16 / 256)
    assert start["end"]["complete"] is True

    images = torch.randint(0, 255, (2, 3, 32, 32), dtype=torch.uint8)
    encoder, _ = load_encoder(tmp_path)
    mae, _ = load_mae(tmp_path)
    other = timm.create_model(f"local-dir:{tmp_path / 'encoder'}", pretrained=True).eval()
    with torch.no_grad():
        tokens = encoder(images)
        torch.testing.assert_close(mae.encoder(images), tokens)
        torch.testing.assert_close(
            other.forward_features(encoder.normalise(images)), tokens, rtol=1e-4, atol=1e-4
        )


def test_the_loss_falls_and_depends_on_the_seed(tmp_path: Path) -> None:
    longer = LoopConfig(epochs=6, global_batch_size=16)
    assert pretrain(config(tmp_path / "a", training=longer))
    losses = [record["loss"] for record in read_metrics(tmp_path / "a")]
    assert losses[-1] < 0.95 * losses[0]
    assert pretrain(config(tmp_path / "b", training=longer, seed=1))
    assert losses != [record["loss"] for record in read_metrics(tmp_path / "b")]


def test_micro_batches_and_workers_do_not_change_the_run(tmp_path: Path) -> None:
    assert pretrain(config(tmp_path / "a"))
    split = LoopConfig(epochs=2, global_batch_size=16, micro_batch_size=4)
    data = replace(CONFIG.data, workers=2)
    assert pretrain(config(tmp_path / "b", training=split, data=data))
    a, b = read_metrics(tmp_path / "a"), read_metrics(tmp_path / "b")
    assert [r["loss"] for r in b] == pytest.approx([r["loss"] for r in a], rel=1e-4)


def test_a_finished_run_can_be_resumed_and_adds_nothing(tmp_path: Path) -> None:
    assert pretrain(config(tmp_path))
    before = (tmp_path / "mae.safetensors").read_bytes()
    metrics = (tmp_path / "metrics.jsonl").read_text()
    assert pretrain(config(tmp_path, resume="auto"))
    assert (tmp_path / "mae.safetensors").read_bytes() == before
    assert (tmp_path / "metrics.jsonl").read_text() == metrics


def test_what_may_change_on_resume_and_what_may_not(tmp_path: Path) -> None:
    assert pretrain(config(tmp_path))
    may = {
        "checkpoint": CheckpointConfig(every_steps=1),
        "data": replace(CONFIG.data, workers=1),
        "training": replace(CONFIG.training, micro_batch_size=8),
        "log": LogConfig(every_steps=3, trackers=()),
    }
    assert pretrain(config(tmp_path, resume="auto", **may))
    smaller = replace(CONFIG.data, synthetic=SyntheticConfig(count=32, size=32))
    refused = {
        "seed": {"seed": 1},
        "model.mask_ratio": {"model": replace(CONFIG.model, mask_ratio=0.5)},
        "optim.base_lr": {"optim": replace(CONFIG.optim, base_lr=1e-4)},
        "training.global_batch_size": {"training": replace(CONFIG.training, global_batch_size=8)},
        "images": {"data": smaller},
    }
    for name, changes in refused.items():
        with pytest.raises(CheckpointError, match=name):
            pretrain(config(tmp_path, resume="auto", **changes))


def test_a_moved_folder_of_images_is_the_same_data(tmp_path: Path) -> None:
    first = folder_of_images(tmp_path / "images")
    data = DataConfig(source=str(first), workers=0)
    assert pretrain(config(tmp_path / "run", data=data))
    moved = first.rename(tmp_path / "elsewhere")
    data = replace(data, source=str(moved))
    assert pretrain(config(tmp_path / "run", data=data, resume="auto"))
    (moved / "000.png").rename(moved / "renamed.png")
    with pytest.raises(CheckpointError, match="images"):
        pretrain(config(tmp_path / "run", data=data, resume="auto"))


def test_broken_images_are_replaced_counted_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = folder_of_images(tmp_path / "images")
    (root / "empty.jpg").write_bytes(b"")
    (root / "text.png").write_text("not an image")
    whole = (root / "003.png").read_bytes()
    (root / "003.png").write_bytes(whole[: len(whole) // 2])
    data = DataConfig(source=str(root), workers=1, max_bad_share=0.2)
    longer = LoopConfig(epochs=4, global_batch_size=11)
    assert pretrain(config(tmp_path / "run", data=data, training=longer))
    said = capsys.readouterr().err
    assert "3 bad image(s) were left out" in said
    end = json.loads((tmp_path / "run" / "run.json").read_text())["starts"][0]["end"]
    assert {Path(name).name for name in end["bad_images"]} == {"empty.jpg", "text.png", "003.png"}
    for name in end["bad_images"]:
        assert said.count(name) == 1


def test_the_averaged_weights_are_what_is_handed_on(tmp_path: Path) -> None:
    optim = replace(CONFIG.optim, ema_decay=0.5)
    assert pretrain(config(tmp_path / "averaged", optim=optim))
    assert pretrain(config(tmp_path / "plain"))
    averaged, _ = load_mae(tmp_path / "averaged")
    plain, _ = load_mae(tmp_path / "plain")
    assert not torch.equal(averaged.decoder_pred.weight, plain.decoder_pred.weight)


def test_init_from_starts_with_the_weights_of_another_run(tmp_path: Path) -> None:
    assert pretrain(config(tmp_path / "first"))
    still = replace(CONFIG.optim, base_lr=1e-12)
    again = config(tmp_path / "second", init_from=str(tmp_path / "first"), optim=still)
    assert pretrain(again)
    first, _ = load_mae(tmp_path / "first")
    second, _ = load_mae(tmp_path / "second")
    for name, value in first.state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], value, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": DataConfig(source="/no/such/folder")}, "/no/such/folder: no such folder"),
        ({"training": LoopConfig(global_batch_size=64)}, "40 images, expected at least one step"),
        ({"optim": OptimConfig(warmup_epochs=60)}, "optim.warmup_epochs 60"),
        ({"training": LoopConfig(epochs=1, global_batch_size=15, micro_batch_size=4)}, "15"),
        ({"init_from": "/no/such/file.pth"}, "/no/such/file.pth"),
        ({"resume": "/no/such/checkpoint"}, "/no/such/checkpoint"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as caught:
        pretrain(config(tmp_path / "run", **changes))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_holds_another_run_is_left_alone(tmp_path: Path) -> None:
    assert pretrain(config(tmp_path))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(RunFolderError, match="holds another run"):
        pretrain(config(tmp_path))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
