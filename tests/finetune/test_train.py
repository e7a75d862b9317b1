"""Stage two from labelled images to a model, its table and its scores."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from labelled import labelled_images

from finetune.data.config import LabelledConfig
from finetune.load import load_model
from finetune.methods.cnn import DAN, TimmCNN
from finetune.methods.cotex import CoTEX
from finetune.methods.emma import EMMA
from finetune.models.cnn import TimmCNNConfig
from finetune.models.cotex import CoTEXConfig
from finetune.models.dan import DANConfig
from finetune.models.emma import EMMAOptions
from finetune.objectives.cotraining import CoTrainingConfig
from finetune.objectives.supervised import LossConfig
from finetune.predict import PredictConfig, predict_table
from finetune.score import ScoreConfig, score_table
from finetune.separation import OverlapError
from finetune.table import read_table
from finetune.train import FinetuneConfig, Finetuning, finetune
from finetune.training.config import (
    FinetuneOptimConfig,
    HeldOutConfig,
    SelectionConfig,
    TrainDataConfig,
)
from finetune.training.features import _next_good
from pretrain import load_encoder
from pretrain.data.synthetic import SyntheticConfig
from pretrain.data.transforms import AugmentationConfig
from pretrain.engine.checkpoint import CheckpointConfig, CheckpointError
from pretrain.engine.launching import RuntimeConfig
from pretrain.engine.loop import BadImagesError, LoopConfig
from pretrain.engine.runtime import Runtime
from pretrain.engine.signals import StopSignal
from pretrain.engine.tracking import LogConfig, read_metrics
from pretrain.errors import UserError
from pretrain.models.mae import DecoderConfig, MAEConfig, MaskedAutoencoder
from pretrain.save import save_encoder

SMALL = EMMAOptions(size="tiny", image_size=32, patch_size=16, hidden=16, va_hidden=8)
CONFIG = FinetuneConfig(
    pictures=4,
    report=False,
    method=EMMA(model=SMALL, losses=LossConfig(action_unit_weights="none")),
    data=TrainDataConfig(synthetic=SyntheticConfig(count=48, size=32, subjects=6), workers=0),
    validation=HeldOutConfig(count=20),
    training=LoopConfig(epochs=2, global_batch_size=16),
    optim=FinetuneOptimConfig(base_lr=5e-3, warmup_epochs=0.5),
    checkpoint=CheckpointConfig(every_steps=2),
    log=LogConfig(every_steps=1, trackers=()),
    runtime=RuntimeConfig(threads=1),
)


def config(folder: Path, **changes: object) -> FinetuneConfig:
    return replace(CONFIG, output_dir=str(folder), **changes)


def losses(folder: Path) -> list[float]:
    return [record["loss"] for record in read_metrics(folder)]


def test_a_run_leaves_a_model_its_table_and_its_scores(tmp_path: Path) -> None:
    assert finetune(config(tmp_path, report=True))
    names = {path.name for path in tmp_path.iterdir()} - {".lock"}
    assert names == {
        *("config.yaml", "run.json", "metrics.jsonl", "checkpoints", "pictures", "model"),
        *("predictions", "scores.json", "report.html", "evaluations.jsonl"),
    }
    model, labels, report = load_model(tmp_path)
    assert labels.expressions is not None
    assert labels.expressions.name == "aff_wild2_8"
    assert report.notes.trained_on == ("synthetic",)
    assert len(report.notes.training_groups or ()) == 6
    table = read_table(tmp_path / "predictions" / "validation.parquet")
    assert len(table) == 20
    assert table.about.drawn
    assert json.loads((tmp_path / "scores.json").read_text())["drawn"]
    assert not model.training


def test_losses_of_all_tasks_are_recorded(tmp_path: Path) -> None:
    assert finetune(config(tmp_path))
    record = read_metrics(tmp_path)[0]
    tasks = ("valence", "arousal", "expression", "action_units")
    assert record["loss"] == pytest.approx(sum(record[task] for task in tasks))
    assert 0 < record["valence"] < 2
    assert record["expression"] == pytest.approx(np.log(8), abs=0.7)
    assert record["action_units"] == pytest.approx(np.log(2), abs=0.3)


def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(tmp_path: Path) -> None:
    assert finetune(config(tmp_path / "whole"))
    assert finetune(config(tmp_path / "cut", checkpoint=CheckpointConfig(every_steps=1, keep=9)))
    for later in (4, 5, 6):
        (tmp_path / "cut" / "checkpoints" / f"step-{later:08}" / "COMMITTED").unlink()
    assert finetune(config(tmp_path / "cut", resume="auto"))
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    files = [tmp_path / name / "model" / "model.safetensors" for name in ("cut", "whole")]
    assert files[0].read_bytes() == files[1].read_bytes()
    tables = [tmp_path / name / "predictions" / "validation.parquet" for name in ("cut", "whole")]
    assert tables[0].read_bytes() == tables[1].read_bytes()


def test_micro_batches_do_not_change_what_is_no_concordance(tmp_path: Path) -> None:
    method = replace(
        CONFIG.method, losses=LossConfig(valence_arousal=0, action_unit_weights="none")
    )
    still = replace(SMALL, drop_path_rate=0.0)
    method = replace(method, model=still)
    assert finetune(config(tmp_path / "a", method=method))
    split = LoopConfig(epochs=2, global_batch_size=16, micro_batch_size=4)
    data = replace(CONFIG.data, workers=1)
    assert finetune(config(tmp_path / "b", method=method, training=split, data=data))
    assert losses(tmp_path / "b") == pytest.approx(losses(tmp_path / "a"), rel=1e-4)


def test_a_teacher_is_the_average_of_the_weights_at_every_step(tmp_path: Path) -> None:
    views = CoTEXConfig(expressions="aff_wild2_8", size="tiny", image_size=32, patch_size=16)
    method = CoTEX(views=views, cotraining=CoTrainingConfig(mask_ratio=0.5, teacher=True))
    with pytest.raises(ValueError, match=r"optim\.ema_decay null with cotraining\.teacher"):
        config(tmp_path, method=method)
    optim = replace(CONFIG.optim, ema_decay=0.5)
    asked = config(tmp_path, method=method, optim=optim)
    run = Finetuning(asked, Runtime(asked.runtime, averaged=True), 1, StopSignal())
    (teacher,) = run.model._teacher
    student = run.model.model
    expected = {name: value.clone() for name, value in student.named_parameters()}
    for (name, taught), (_, learnt) in zip(
        teacher.named_parameters(), student.named_parameters(), strict=True
    ):
        assert torch.equal(taught, learnt), name
    live = dict(student.named_parameters())
    update = run.loop.update

    def follow(window: object) -> None:
        step = run.loop.progress.step
        update(window)
        for name, value in expected.items():
            value.lerp_(live[name].detach(), 1 - min(0.5, (1 + step) / (10 + step)))
            torch.testing.assert_close(teacher.get_parameter(name), value)

    run.loop.update = follow
    assert run.to_the_end()
    handed_on, _, _ = load_model(tmp_path)
    for name, value in handed_on.named_parameters():
        assert torch.equal(value, teacher.get_parameter(name)), name


def test_one_batch_can_be_learnt_by_heart(tmp_path: Path) -> None:
    data = TrainDataConfig(
        synthetic=SyntheticConfig(count=16, size=32, subjects=16),
        workers=0,
        augmentation=AugmentationConfig(crop_scale=(1, 1), crop_ratio=(1, 1), flip=False),
    )
    model = replace(SMALL, drop_path_rate=0.0, va_input="features", hidden=64, va_hidden=64)
    assert finetune(
        config(
            tmp_path,
            data=data,
            training=LoopConfig(epochs=60, global_batch_size=16),
            optim=FinetuneOptimConfig(base_lr=2e-2, warmup_epochs=5, layer_decay=1.0),
            method=replace(CONFIG.method, model=model),
        )
    )
    found = losses(tmp_path)
    assert found[-1] < 0.25 * found[0]


def test_a_task_of_weight_zero_has_no_columns(tmp_path: Path) -> None:
    only = LossConfig(expression=0, action_units=0)
    assert finetune(config(tmp_path, method=replace(CONFIG.method, losses=only)))
    table = read_table(tmp_path / "predictions" / "validation.parquet")
    assert (table.expression, table.action_units) == (None, None)
    assert table.valence_arousal is not None


@pytest.fixture
def cnn(tmp_path: Path) -> Path:
    folder = tmp_path / "cnn"
    method = TimmCNN(network=TimmCNNConfig(name="resnet10t", image_size=32))
    assert finetune(config(folder, method=method))
    return folder


def test_the_cnn_of_emma_stays_as_it_was(tmp_path: Path, cnn: Path) -> None:
    assert finetune(config(tmp_path / "emma", method=replace(CONFIG.method, cnn=str(cnn))))
    emma, _, report = load_model(tmp_path / "emma")
    alone, labels, _ = load_model(cnn)
    assert labels.expressions is not None
    assert labels.expressions.name == "affectnet_8"
    inside = {
        name.removeprefix("cnn."): value
        for name, value in emma.state_dict().items()
        if name.startswith("cnn.")
    }
    assert inside.keys() == alone.state_dict().keys()
    for name, value in alone.state_dict().items():
        assert torch.equal(inside[name], value), name
    assert report.notes.trained_on == ("synthetic",)
    count = json.loads((tmp_path / "emma" / "run.json").read_text())["starts"][0]
    trainable = sum(p.numel() for n, p in emma.named_parameters() if not n.startswith("cnn."))
    assert count["trainable_parameters"] == trainable


def test_dan_is_trained_on_all_expressions_alike_and_opens_as_a_cnn(tmp_path: Path) -> None:
    data = replace(CONFIG.data, synthetic=SyntheticConfig(count=64, size=32, style="posed"))
    dan = DAN(network=DANConfig(image_size=32))
    one = LoopConfig(epochs=1, global_batch_size=16)
    assert finetune(config(tmp_path / "dan", method=dan, data=data, training=one))
    record = read_metrics(tmp_path / "dan")[0]
    assert {"expression", "affinity", "partition"} <= record.keys()
    with_cnn = replace(CONFIG.method, cnn=str(tmp_path / "dan"))
    assert finetune(config(tmp_path / "emma", method=with_cnn, training=one))


def encoder_of(folder: Path, **changes: object) -> str:
    shape = {"size": "tiny", "image_size": 32, "patch_size": 16} | changes
    model = MaskedAutoencoder(
        MAEConfig(decoder=DecoderConfig(embed_dim=16, depth=1, num_heads=2), **shape)
    )
    folder.mkdir(parents=True)
    save_encoder(model, folder)
    return str(folder)


def test_the_encoder_starts_with_pretrained_weights(tmp_path: Path) -> None:
    path = encoder_of(tmp_path / "encoder", mean=(0.5, 0.5, 0.5), norm_eps=1e-5)
    still = FinetuneOptimConfig(base_lr=1e-12, min_lr=0, warmup_epochs=0, weight_decay=0)
    method = replace(CONFIG.method, encoder=path)
    assert finetune(config(tmp_path / "run", method=method, optim=still))
    wanted, _ = load_encoder(path)
    found, _, report = load_model(tmp_path / "run")
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    torch.testing.assert_close(found.encoder(images), wanted(images), rtol=0, atol=1e-5)
    assert found.config.mean == (0.5, 0.5, 0.5)
    assert report.notes.trained_on is None  # nobody knows what that file has seen


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": "/no/such/encoder"}, "/no/such/encoder"),
        ({"encoder": "SMALL"}, "embed_dim 384, expected 192 as method.model.size tiny"),
        ({"cnn": "/no/such/cnn"}, "/no/such/cnn"),
        ({"cnn": "EMMA"}, "an EMMA|a EMMA"),
    ],
)
def test_weights_that_do_not_fit_are_one_line(
    tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    if changes == {"encoder": "SMALL"}:
        changes = {"encoder": encoder_of(tmp_path / "encoder", size="small")}
    if changes == {"cnn": "EMMA"}:
        assert finetune(config(tmp_path / "emma", validation=HeldOutConfig(split=None)))
        changes = {"cnn": str(tmp_path / "emma")}
    with pytest.raises(UserError, match=message) as caught:
        finetune(config(tmp_path / "run", method=replace(CONFIG.method, **changes)))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run" / "config.yaml").exists()


def manifest(root: Path, *, shared: bool = False) -> LabelledConfig:
    labelled_images(root, "train", range(6))
    labelled_images(root, "validation", range(5 if shared else 6, 9))
    return LabelledConfig(kind="manifest", root=str(root), split="train")


def on_manifest(folder: Path, root: Path, **changes: object) -> FinetuneConfig:
    data = TrainDataConfig(kind="manifest", root=str(root), workers=0)
    only = LossConfig(action_units=0)
    kept = {
        "data": data,
        "validation": HeldOutConfig(),
        "method": replace(CONFIG.method, losses=only),
    }
    return config(folder, **kept | changes)


def test_people_who_are_trained_on_and_scored_are_named(tmp_path: Path) -> None:
    manifest(tmp_path / "data", shared=True)
    wanted = on_manifest(tmp_path / "run", tmp_path / "data")
    with pytest.raises(OverlapError, match=r"person 5.*--allow_overlap true"):
        finetune(wanted)
    assert finetune(replace(wanted, allow_overlap=True))
    notes = json.loads((tmp_path / "run" / "scores.json").read_text())["notes"]
    assert any("overlap allowed" in note and "person 5" in note for note in notes)


def test_a_task_without_a_label_is_refused_by_name(tmp_path: Path) -> None:
    manifest(tmp_path / "data")
    everything = replace(CONFIG.method, losses=LossConfig())
    with pytest.raises(UserError, match=r"no label of action_units.*losses\.action_units 0"):
        finetune(on_manifest(tmp_path / "run", tmp_path / "data", method=everything))


def test_the_best_weights_are_chosen_on_rows_that_are_neither_trained_nor_scored_on(
    tmp_path: Path,
) -> None:
    selection = SelectionConfig(share=0.3, every_epochs=1)
    longer = LoopConfig(epochs=4, global_batch_size=16)
    assert finetune(config(tmp_path, selection=selection, training=longer))
    lines = (tmp_path / "evaluations.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert {record["split"] for record in records} == {"selection"}
    best = max(records, key=lambda record: (record["figure"], -record["step"]))
    kept = (tmp_path / "best" / f"step-{best['step']:08}" / "model.safetensors").read_bytes()
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == kept
    _, _, report = load_model(tmp_path)
    assert len(report.notes.training_groups or ()) == 4  # of six


def test_refit_trains_on_the_validation_rows_as_well(tmp_path: Path) -> None:
    manifest(tmp_path / "data")
    assert finetune(on_manifest(tmp_path / "run", tmp_path / "data", refit=True))
    _, _, report = load_model(tmp_path / "run")
    assert set(report.notes.training_groups or ()) == {f"person {n}" for n in range(9)}
    assert not (tmp_path / "run" / "scores.json").exists()
    assert json.loads((tmp_path / "run" / "run.json").read_text())["starts"][0]["images"] == 54


def test_other_labels_are_another_run(tmp_path: Path) -> None:
    manifest(tmp_path / "data")
    wanted = on_manifest(tmp_path / "run", tmp_path / "data")
    assert finetune(wanted)
    listed = tmp_path / "data" / "train.csv"
    listed.write_text(listed.read_text().replace("Neutral", "Sadness"))
    with pytest.raises(CheckpointError, match="labels"):
        finetune(replace(wanted, resume="auto"))


def test_layers_below_learn_slower(tmp_path: Path) -> None:
    made = Finetuning(config(tmp_path), Runtime(CONFIG.runtime), 1, StopSignal())
    names = {p: name for name, p in made.model.model.named_parameters()}
    scale = {
        names[p]: group["lr_scale"]
        for group in made.loop.backend.optimizer.param_groups
        for p in group["params"]
    }
    assert scale.keys() == {name for name, _ in made.model.model.named_parameters()}
    assert scale["encoder.patch_embed.proj.weight"] == pytest.approx(0.65**13)
    assert scale["encoder.blocks.11.attn.qkv.weight"] == pytest.approx(0.65)
    assert scale["va_head.0.weight"] == scale["head.2.bias"] == 1


def test_heads_train_on_what_the_frozen_networks_have_seen(tmp_path: Path, cnn: Path) -> None:
    path, cache = encoder_of(tmp_path / "encoder"), tmp_path / "cache"
    method = replace(CONFIG.method, encoder=path, cnn=str(cnn))
    wanted = config(tmp_path / "run", method=method, frozen_features=str(cache))
    assert finetune(wanted)
    (file,) = cache.iterdir()
    written = file.stat().st_mtime_ns
    again = replace(wanted, output_dir=str(tmp_path / "again"), seed=1)
    assert finetune(again)
    assert [entry.stat().st_mtime_ns for entry in cache.iterdir()] == [written]
    before, after = load_encoder(path)[0], load_model(tmp_path / "run")[0]
    for name, value in before.state_dict().items():
        assert torch.equal(after.encoder.state_dict()[name], value), name
    assert losses(tmp_path / "run")[-1] != losses(tmp_path / "run")[0]


def test_features_belong_to_images_in_their_order(tmp_path: Path) -> None:
    manifest(tmp_path / "data")
    only, path = LossConfig(action_units=0), encoder_of(tmp_path / "encoder")
    method = replace(CONFIG.method, losses=only, encoder=path)
    listed, cache = tmp_path / "data" / "train.csv", tmp_path / "cache"
    for name in ("one", "other"):
        wanted = on_manifest(tmp_path / name, tmp_path / "data", method=method)
        assert finetune(replace(wanted, frozen_features=str(cache)))
        lines = listed.read_text().splitlines(keepends=True)
        listed.write_text("".join([lines[0], *lines[:0:-1]]))
    assert len(list(cache.iterdir())) == 2


def test_features_follow_the_image_that_took_a_bad_ones_place() -> None:
    assert _next_good(6, {1, 2, 5}).tolist() == [0, 3, 3, 3, 4, 0]
    with pytest.raises(UserError, match="none of 2"):
        _next_good(2, {0, 1})


def test_a_choice_that_a_signal_cut_short_is_made_after_the_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choosing = SelectionConfig(share=0.3, every_epochs=1)
    longer = LoopConfig(epochs=3, global_batch_size=16)
    wanted = config(tmp_path / "whole", selection=choosing, training=longer)
    assert finetune(wanted)
    look, looks = Finetuning._look_at, []

    def interrupted(self, *arguments):  # type: ignore[no-untyped-def]
        looks.append(arguments)
        if len(looks) == 1:
            signal.raise_signal(signal.SIGTERM)
        return look(self, *arguments)

    cut = replace(wanted, output_dir=str(tmp_path / "cut"), resume="auto")
    monkeypatch.setattr(Finetuning, "_look_at", interrupted)
    assert not finetune(cut)
    assert finetune(cut)
    records = [(tmp_path / name / "evaluations.jsonl").read_text() for name in ("whole", "cut")]
    assert records[0] == records[1]
    models = [tmp_path / name / "model" / "model.safetensors" for name in ("whole", "cut")]
    assert models[0].read_bytes() == models[1].read_bytes()


def test_rows_that_cannot_be_scored_are_known_before_training(tmp_path: Path) -> None:
    manifest(tmp_path / "data")
    listed = tmp_path / "data" / "validation.csv"
    images = [line.split(",")[0] for line in listed.read_text().splitlines()[1:]]
    listed.write_text("image,subject,AU9\n" + "".join(f"{image},x,1\n" for image in images))
    with pytest.raises(UserError, match=r"kind manifest, split validation: .*label"):
        finetune(on_manifest(tmp_path / "run", tmp_path / "data"))
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_bad_images_of_frozen_features_are_counted_as_ever(tmp_path: Path) -> None:
    manifest(tmp_path / "data")
    for image in (tmp_path / "data" / "s0").iterdir():
        image.write_text("no image")
    only, path = LossConfig(action_units=0), encoder_of(tmp_path / "encoder")
    method = replace(CONFIG.method, losses=only, encoder=path)
    cache = str(tmp_path / "cache")
    wanted = on_manifest(tmp_path / "run", tmp_path / "data", method=method, frozen_features=cache)
    with pytest.raises(BadImagesError, match="images seen are bad"):
        finetune(wanted)


def test_scores_of_rows_that_weights_were_chosen_on_are_refused(tmp_path: Path) -> None:
    labelled_images(tmp_path / "data", "train", range(6))
    labelled_images(tmp_path / "data", "test", range(6, 9))
    chosen = on_manifest(
        tmp_path / "run",
        tmp_path / "data",
        validation=HeldOutConfig(split=None),
        selection=SelectionConfig(split="test"),
    )
    assert finetune(chosen)
    test = LabelledConfig(kind="manifest", root=str(tmp_path / "data"), split="test")
    table = str(tmp_path / "t.parquet")
    predict_table(PredictConfig(model=str(tmp_path / "run"), data=test, out=table, workers=0))
    with pytest.raises(UserError, match="choice of weights was fitted on 3 of the 3 subjects"):
        score_table(ScoreConfig(table=table, data=test))


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (
            TimmCNN(network=TimmCNNConfig(name="vit_tiny_patch16_224", image_size=32)),
            "image_size 32",
        ),
        (DAN(network=DANConfig(image_size=32)), "micro_batch_size 1 for a model with batch norms"),
    ],
)
def test_networks_that_cannot_take_the_images_are_one_line(
    tmp_path: Path, method: object, message: str
) -> None:
    single = LoopConfig(epochs=1, global_batch_size=16, micro_batch_size=1)
    with pytest.raises(UserError, match=message) as caught:
        finetune(config(tmp_path, method=method, training=single))
    assert "\n" not in str(caught.value)


def test_a_trained_emma_goes_on_and_its_people_stay_known(tmp_path: Path) -> None:
    assert finetune(config(tmp_path / "first"))
    first, _, report = load_model(tmp_path / "first")
    method = replace(CONFIG.method, init_from=str(tmp_path / "first"))
    built = method.build()
    assert built.groups == report.notes.training_groups
    assert all(
        torch.equal(built.model.state_dict()[name], value)
        for name, value in first.state_dict().items()
    )
    others = replace(CONFIG.data, split="validation")
    with pytest.raises(OverlapError, match="weights to start from have seen labels of"):
        finetune(
            config(
                tmp_path / "leaky",
                method=method,
                data=others,
                validation=HeldOutConfig(split="train", count=20),
            )
        )
    assert finetune(config(tmp_path / "second", method=method))
    assert losses(tmp_path / "second")[0] < losses(tmp_path / "first")[0]
    wide = replace(method, model=replace(SMALL, hidden=32))
    with pytest.raises(UserError, match=r"trained with method\.model\.hidden 16, expected 32"):
        wide.build()
    with pytest.raises(ValueError, match="encoder with init_from, expected one of the two"):
        replace(method, encoder="anything")
