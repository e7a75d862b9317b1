"""Recognisers in training: losses of tasks, margin, and what tasks teach each other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from greys import Grey, faces, targets
from labelled import labelled_images

from finetune.batches import LabelledBatch
from finetune.clips import ClipConfig, LabelledClips
from finetune.data.annotations import Annotations
from finetune.data.config import LabelledConfig
from finetune.data.images import LabelledImages
from finetune.data.opening import read_collection
from finetune.data.sound.sounds import DrawnVoices, SoundConfig
from finetune.labels import EXPRESSION_SPACES
from finetune.load import load_model
from finetune.loading.notes import ModelNotes
from finetune.methods.multitask import AVCNNRNN, CNNRNN, MultiTask
from finetune.models.audio_visual import AVCNNRNNConfig
from finetune.models.cnn_rnn import CNNRNNConfig
from finetune.models.multitask import MultiTaskConfig
from finetune.objectives.coupling import CouplingConfig, co_annotated, matched_units
from finetune.objectives.margin import MarginConfig
from finetune.objectives.recognition import Recognition
from finetune.objectives.supervised import LossConfig
from finetune.predict import PredictConfig, predict_table
from finetune.predicting.answers import predict
from finetune.save import save_model
from finetune.table import read_table
from finetune.train import FinetuneConfig, Finetuning, finetune
from finetune.training.config import FinetuneOptimConfig, HeldOutConfig, TrainDataConfig
from pretrain.data.colour import ColourConfig
from pretrain.data.synthetic import SyntheticConfig
from pretrain.data.transforms import AugmentationConfig, apply_crop, central_square
from pretrain.engine.checkpoint import CheckpointConfig
from pretrain.engine.launching import RuntimeConfig
from pretrain.engine.loop import LoopConfig
from pretrain.engine.runtime import Runtime
from pretrain.engine.signals import StopSignal
from pretrain.engine.tracking import LogConfig, read_metrics
from pretrain.errors import UserError
from pretrain.models.mae import DecoderConfig, MAEConfig, MaskedAutoencoder
from pretrain.save import save_encoder

NET = MultiTaskConfig(trunk="plain_cnn", image_size=16)
NO_WEIGHTS = LossConfig(action_unit_weights="none")
METHOD = MultiTask(network=NET, losses=NO_WEIGHTS)
RUN = FinetuneConfig(
    pictures=4,
    report=False,
    data=TrainDataConfig(synthetic=SyntheticConfig(count=32, size=32, subjects=6), workers=0),
    validation=HeldOutConfig(count=12),
    training=LoopConfig(epochs=2, global_batch_size=16),
    optim=FinetuneOptimConfig(base_lr=5e-3, warmup_epochs=0.5),
    log=LogConfig(every_steps=1, trackers=()),
    runtime=RuntimeConfig(threads=1),
)
COSINE = replace(NET, expression_head="cosine", cosine_scale=10.0)


def trained(method: MultiTask = METHOD) -> tuple[Recognition, LabelledBatch]:
    """A recogniser under its losses, in evaluation mode (dropout would differ), and a batch."""
    torch.manual_seed(0)
    model = method.build().model
    objective, _ = method.objective(model, targets())
    data = faces()
    batch = data[0, np.arange(len(data))]
    valid = batch.labels.action_units_valid.clone()
    valid[::2] = False
    return objective.eval(), replace(batch, labels=replace(batch.labels, action_units_valid=valid))


def test_the_margin_is_there_in_training_alone() -> None:
    plain, batch = trained(replace(METHOD, network=COSINE))
    method = replace(METHOD, network=COSINE, margin=MarginConfig(angle=0.5, warmup_epochs=2))
    arc, _ = trained(method)
    torch.testing.assert_close(arc(batch), plain(batch))  # in epoch 0 the angle is 0
    later = replace(batch, epoch=2)
    place = arc.tasks.index("expression")
    assert arc(later)[place] > plain(later)[place]
    answer = arc.model(batch.images)
    assert torch.equal(answer.expression_logits, plain.model(batch.images).expression_logits)
    cosines = answer.expression_logits / 10
    valid = batch.labels.expression_valid
    angles = cosines[valid].acos()
    angles[torch.arange(len(angles)), batch.labels.expression[valid]] += 0.5
    expected = F.cross_entropy(10 * angles.cos(), batch.labels.expression[valid], reduction="sum")
    assert arc(later)[place].item() == pytest.approx(expected.item(), rel=1e-5)


def test_tasks_teach_only_images_that_lack_the_other_label() -> None:
    coupling = CouplingConfig(distribution_matching=2.0, co_annotation=3.0)
    objective, batch = trained(replace(METHOD, coupling=coupling))
    labels = batch.labels
    assert objective.tasks[-2:] == ("distribution_matching", "co_annotation")
    without = ~labels.action_units_valid.any(1)
    some = ~without & ~labels.expression_valid
    assert 0 < without.sum() < len(without)
    assert some.any()
    assert objective.counts(batch)[-2:].tolist() == [12 * without.sum(), some.sum()]
    answer = objective.model(batch.images)
    units, mass = matched_units(answer.expression_logits, objective.shares)
    expected = sum(
        mass[row]
        * F.binary_cross_entropy_with_logits(
            answer.action_unit_logits[row], units[row], reduction="sum"
        )
        for row in torch.where(without)[0]
    )
    neutral = EXPRESSION_SPACES["aff_wild2_8"].index("Neutral")
    expressions, _ = co_annotated(
        labels.action_units, labels.action_units_valid, objective.shares, neutral
    )
    taught = sum(
        F.cross_entropy(answer.expression_logits[row], expressions[row])
        for row in torch.where(some)[0]
    )
    found = objective(batch)[-2:]
    torch.testing.assert_close(found, torch.stack([2 * expected, 3 * taught]))


def test_nobody_teaches_the_empty_slots_of_clips() -> None:
    coupling = CouplingConfig(distribution_matching=1, co_annotation=1)
    method = replace(MEMORY, coupling=coupling)
    torch.manual_seed(0)
    objective, _ = method.objective(method.build().model, targets())
    known = Annotations(
        [f"{row}.png" for row in range(12)],
        targets(),
        videos=["a"] * 12,
        frames=np.arange(1, 13),
    )
    clips = LabelledClips(
        LabelledImages(Grey(), known),
        ClipConfig(frames=8),
        described="greys",
        seed=0,
        image_size=16,
        augmentation=AugmentationConfig(),
    )
    batch = clips[0, np.array([1])]  # four frames, all with labels of AUs, and four empty slots
    place = objective.tasks.index("distribution_matching")
    assert objective.counts(batch)[place] == 0
    assert objective.eval()(batch)[place] == 0


def test_squared_errors_take_the_place_of_concordance() -> None:
    objective, batch = trained(
        replace(METHOD, losses=replace(NO_WEIGHTS, valence_arousal_loss="mse", valence_arousal=0.5))
    )
    valid, truth = batch.labels.valence_arousal_valid, batch.labels.valence_arousal
    errors = (objective.model(batch.images).valence_arousal - truth).square() * valid
    torch.testing.assert_close(objective(batch)[:2], 0.5 * errors.sum(0))
    assert objective.counts(batch)[:2].tolist() == valid.sum(0).tolist()


@pytest.mark.parametrize(
    "method",
    [
        METHOD,
        replace(METHOD, network=replace(NET, trunk="vgg_face", image_size=32)),
        replace(METHOD, network=COSINE, margin=MarginConfig(angle=0.3, warmup_epochs=1)),
        replace(METHOD, coupling=CouplingConfig(distribution_matching=1, co_annotation=1)),
    ],
    ids=["plain", "vgg", "arcface", "coupled"],
)
def test_a_recogniser_trains_and_comes_back(tmp_path: Path, method: MultiTask) -> None:
    assert finetune(replace(RUN, output_dir=str(tmp_path), method=method))
    model, labels, _ = load_model(tmp_path)
    assert labels == method.labels
    assert model.config == method.network
    table = read_table(tmp_path / "predictions" / "validation.parquet")
    assert table.expression_space == EXPRESSION_SPACES["aff_wild2_8"]
    assert all(np.isfinite(record["loss"]) for record in read_metrics(tmp_path))


def test_a_second_stage_starts_where_the_first_ended(tmp_path: Path) -> None:
    assert finetune(replace(RUN, output_dir=str(tmp_path), method=METHOD))
    seven = replace(NET, expressions="aff_wild2_7")
    built = replace(METHOD, network=seven, init_from=str(tmp_path)).build()
    first = load_model(tmp_path)[0].state_dict()
    second = built.model.state_dict()
    kept = {name for name in first if not name.startswith("expressions.")}
    assert all(torch.equal(first[name], second[name]) for name in kept)
    assert second["expressions.weight"].shape == (7, 512)
    assert built.seen == ("synthetic",)
    alphabet = replace(NET, expressions="alphabetical_8")  # as many columns, in another order
    third = replace(METHOD, network=alphabet, init_from=str(tmp_path)).build().model.state_dict()
    assert not torch.equal(third["expressions.weight"], first["expressions.weight"])
    assert torch.equal(third["action_units.weight"], first["action_units.weight"])
    fourth = replace(METHOD, network=COSINE, init_from=str(tmp_path)).build().model.state_dict()
    assert torch.equal(fourth["action_units.bias"], first["action_units.bias"])
    with pytest.raises(UserError, match=r"normalised with mean \[0\.5"):
        replace(METHOD, network=replace(NET, mean=(0.1,) * 3), init_from=str(tmp_path)).build()
    with pytest.raises(UserError, match="tensors"):
        replace(METHOD, network=replace(NET, trunk="resnet10t"), init_from=str(tmp_path)).build()


VIDEOS = replace(RUN.data, synthetic=replace(RUN.data.synthetic, count=64, frames_per_video=16))
MEMORY = CNNRNN(
    network=CNNRNNConfig(trunk="plain_cnn", image_size=16, hidden=8),
    losses=NO_WEIGHTS,
    clip_frames=8,
)


def on_videos(folder: Path, **changes: object) -> FinetuneConfig:
    usual: dict[str, object] = {
        "method": MEMORY,
        "data": VIDEOS,
        "validation": HeldOutConfig(count=40),
        "training": LoopConfig(epochs=2, global_batch_size=4),
    }
    return replace(RUN, output_dir=str(folder), **usual | changes)


def test_a_model_of_videos_trains_on_clips_and_answers_every_frame(tmp_path: Path) -> None:
    assert finetune(on_videos(tmp_path / "run"))
    model, _, _ = load_model(tmp_path / "run")
    assert model.config == MEMORY.network
    table = read_table(tmp_path / "run" / "predictions" / "validation.parquet")
    assert len(table) == 40
    assert table.present.all()
    data = LabelledConfig(
        synthetic=replace(VIDEOS.synthetic, count=40, subjects=6), split="validation"
    )
    place = tmp_path / "again.parquet"
    asked = PredictConfig(model=str(tmp_path / "run"), data=data, out=str(place), batch_size=7)
    predict_table(replace(asked, runtime=RuntimeConfig(threads=1)))
    np.testing.assert_allclose(read_table(place).expression, table.expression, atol=1e-5)
    faces = read_collection(data).open_images()
    last = [row for row, video in enumerate(table.videos) if video == table.videos[0]]
    pixels = np.stack([faces.image(row) for row in last])
    with torch.no_grad():
        squares = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        small = torch.stack(
            [
                apply_crop(image.permute(1, 2, 0).numpy(), central_square(1.0), 16)
                for image in squares
            ]
        )
        answer = model.answer_sequence(model.features(small)).expression_logits.softmax(1)
    np.testing.assert_allclose(table.expression[last], answer, atol=1e-5)


def test_memory_learns_from_what_a_frozen_encoder_sees(tmp_path: Path) -> None:
    shape = {"size": "tiny", "image_size": 32, "patch_size": 16}
    autoencoder = MaskedAutoencoder(
        MAEConfig(
            decoder=DecoderConfig(embed_dim=16, depth=1, num_heads=2), mean=(0.5,) * 3, **shape
        )
    )
    save_encoder(autoencoder, tmp_path / "encoder")
    network = CNNRNNConfig(trunk="vit_tiny", image_size=32, hidden=8)
    method = replace(MEMORY, encoder=str(tmp_path / "encoder"), network=network)
    frozen = str(tmp_path / "cache")
    asked = on_videos(tmp_path / "run", method=method, frozen_features=frozen)
    assert finetune(asked)
    (file,) = (tmp_path / "cache").iterdir()
    assert finetune(replace(asked, seed=1, output_dir=str(tmp_path / "again")))
    assert list((tmp_path / "cache").iterdir()) == [file]
    model, _, _ = load_model(tmp_path / "run")
    assert model.config.mean == (0.5,) * 3
    kept = model.trunk.encoder.state_dict()
    assert all(torch.equal(kept[n], v) for n, v in autoencoder.encoder.state_dict().items())
    fresh = method.build().model.memory.state_dict()
    assert not torch.equal(model.memory.state_dict()["weight_hh_l0"], fresh["weight_hh_l0"])
    with pytest.raises(ValueError, match="frozen_features with method CNNRNN, expected EMMA"):
        on_videos(tmp_path, frozen_features=frozen)


def test_clips_of_features_are_those_of_the_images(tmp_path: Path) -> None:
    assert finetune(replace(RUN, output_dir=str(tmp_path / "first"), method=METHOD))
    method = replace(MEMORY, init_from=str(tmp_path / "first"))
    asked = on_videos(tmp_path / "run", method=method, frozen_features=str(tmp_path / "cache"))
    run = Finetuning(asked, Runtime(asked.runtime), 1, StopSignal())
    seen = run.dataset[0, np.array([1, 0])]
    images = LabelledClips(
        run.rows.training,
        method.clips,
        described="",
        seed=asked.seed,
        image_size=16,
        augmentation=AugmentationConfig(crop_scale=(1, 1), crop_ratio=(1, 1), flip=False),
    )[0, np.array([1, 0])]
    assert torch.equal(seen.present, images.present)
    model = run.model.model.eval()
    with torch.no_grad():
        expected = model.features(images.images[images.present.flatten()])
        torch.testing.assert_close(seen.images[seen.present.flatten()], expected)
        one = model.answer_seen(seen.images, seen.present).expression_logits
        two = model.answer_clips(images.images, images.present).expression_logits
    there = seen.present.flatten()
    torch.testing.assert_close(one[there], two[there])


@pytest.mark.parametrize(
    "changes", [{"hidden": 12}, {"layers": 1}, {"temporal": "transformer", "window": 8}]
)
def test_another_memory_starts_fresh_on_the_same_trunk(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    torch.manual_seed(0)
    first = replace(MEMORY, network=replace(MEMORY.network, layers=2)).build().model
    save_model(first, tmp_path, ModelNotes())
    network = replace(MEMORY.network, **{"layers": 2, **changes})
    model = replace(MEMORY, network=network, init_from=str(tmp_path)).build().model
    for name, value in first.trunk.state_dict().items():
        assert torch.equal(model.trunk.state_dict()[name], value), name


def test_a_transformer_answers_no_longer_windows_than_it_was_trained_on() -> None:
    network = replace(MEMORY.network, temporal="transformer", window=9)
    with pytest.raises(ValueError, match="window 9 with clip_frames 8, expected no more"):
        replace(MEMORY, network=network)


LISTENING = AVCNNRNN(
    network=AVCNNRNNConfig(trunk="plain_cnn", image_size=16, hidden=8),
    losses=NO_WEIGHTS,
    clip_frames=8,
)


def test_a_model_that_listens_hears_the_videos_that_it_is_asked_about(tmp_path: Path) -> None:
    drawn = replace(VIDEOS.synthetic, voice_share=0.5, silent_share=0.2)
    data = replace(VIDEOS, synthetic=drawn, sound=SoundConfig(folder="drawn"))
    assert finetune(replace(on_videos(tmp_path / "run"), data=data, method=LISTENING))
    table = read_table(tmp_path / "run" / "predictions" / "validation.parquet")
    asked = LabelledConfig(synthetic=replace(drawn, count=40), split="validation")
    found = {}
    for name, sound in {
        "heard": SoundConfig(folder="drawn"),
        "silent": SoundConfig(),
        "shuffled": SoundConfig(folder="drawn", shuffled=True),
    }.items():
        place = tmp_path / f"{name}.parquet"
        config = PredictConfig(
            model=str(tmp_path / "run"),
            data=replace(asked, sound=sound),
            out=str(place),
            batch_size=7,
            runtime=RuntimeConfig(threads=1),
        )
        predict_table(config)
        found[name] = read_table(place).valence_arousal
    np.testing.assert_allclose(found["heard"], table.valence_arousal, atol=1e-5)
    assert not np.allclose(found["heard"], found["silent"], atol=1e-6)
    assert not np.allclose(found["heard"], found["shuffled"], atol=1e-6)


def test_a_model_hears_the_form_of_sound_that_it_was_trained_on(tmp_path: Path) -> None:
    drawn = replace(VIDEOS.synthetic, voice_share=0.5)
    data = replace(VIDEOS, synthetic=drawn, sound=SoundConfig(folder="drawn", preset="paper"))
    with pytest.raises(UserError, match="preset paper with a model that hears default, expected"):
        finetune(replace(on_videos(tmp_path), data=data, method=LISTENING))
    model = LISTENING.network.build()
    images = read_collection(LabelledConfig(synthetic=drawn, split="train")).open_images()
    sounds = DrawnVoices(images.source, data.sound)
    with pytest.raises(UserError, match="preset paper with a model that hears default, expected"):
        predict(
            model,
            images,
            runtime=Runtime(RuntimeConfig(threads=1)),
            batch_size=8,
            workers=0,
            sounds=sounds,
        )


def test_sound_goes_with_a_model_that_listens(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="folder null with method AVCNNRNN, expected a folder"):
        finetune(replace(on_videos(tmp_path), method=LISTENING))
    data = replace(VIDEOS, sound=SoundConfig(folder="drawn"))
    with pytest.raises(UserError, match="folder drawn with method CNNRNN, expected null"):
        finetune(replace(on_videos(tmp_path), data=data))


def test_a_resumed_run_of_clips_is_the_uninterrupted_one(tmp_path: Path) -> None:
    often = CheckpointConfig(every_steps=1, keep=9)
    assert finetune(on_videos(tmp_path / "whole", checkpoint=often))
    assert finetune(on_videos(tmp_path / "cut", checkpoint=often))
    steps = sorted((tmp_path / "cut" / "checkpoints").glob("step-*"))
    for later in steps[2:]:
        (later / "COMMITTED").unlink()
    assert finetune(on_videos(tmp_path / "cut", checkpoint=often, resume="auto"))
    files = [tmp_path / name / "model" / "model.safetensors" for name in ("cut", "whole")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_memory_can_be_put_on_a_trunk_that_was_trained_without(tmp_path: Path) -> None:
    assert finetune(replace(RUN, output_dir=str(tmp_path), method=METHOD))
    first = load_model(tmp_path)[0].state_dict()
    second = replace(MEMORY, init_from=str(tmp_path)).build().model.state_dict()
    trunk = [name for name in first if name.startswith("trunk.")]
    assert all(torch.equal(first[name], second[name]) for name in trunk)


def test_models_of_videos_refuse_stills(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="stills"):
        finetune(replace(on_videos(tmp_path), data=RUN.data))
    labelled_images(tmp_path / "data", "validation", range(3))
    stills = HeldOutConfig(kind="manifest", root=str(tmp_path / "data"))
    with pytest.raises(UserError, match="kind manifest, split validation: the list: stills"):
        finetune(on_videos(tmp_path / "run", validation=stills))
    with pytest.raises(ValueError, match=r"runtime\.compile true with a method of clips"):
        on_videos(tmp_path, runtime=RuntimeConfig(compile=True))
    colour = replace(VIDEOS, colour=ColourConfig(probability=0.2))
    with pytest.raises(UserError, match=r"data\.colour\.probability 0\.2 with a method of clips"):
        finetune(replace(on_videos(tmp_path), data=colour))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"margin": MarginConfig(angle=0.5)},
            "margin.angle 0.5 with network.expression_head linear",
        ),
        (
            {"coupling": CouplingConfig(co_annotation=1), "losses": LossConfig(expression=0)},
            "coupling with losses.expression",
        ),
    ],
)
def test_what_would_have_no_effect_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(METHOD, **changes)


def test_a_size_that_the_trunk_cannot_take_is_one_line() -> None:
    method = replace(METHOD, network=replace(NET, image_size=20))
    with pytest.raises(UserError, match=r"method\.network: image_size 20, expected a multiple"):
        method.build()
