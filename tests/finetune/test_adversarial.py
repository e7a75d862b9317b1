"""The game: what each phase touches, what is paid for what, and what the generator is told."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from greys import WHOLE, Grey, targets
from PIL import Image
from programs import run

from finetune.batches import LabelledBatch, LabelledFaces, LabelTensors
from finetune.data.config import LabelledConfig
from finetune.data.opening import read_collection
from finetune.generate import GenerateConfig, generate
from finetune.generating.drawing import tell
from finetune.generating.quality import frechet, nearest, quality
from finetune.generating.sheets import draw_sheets
from finetune.generating.watching import Watch, WatchConfig
from finetune.load import load_model
from finetune.methods.gan import GAN
from finetune.methods.multitask import MultiTask
from finetune.models import gan
from finetune.models.gan import GANConfig, as_drawn
from finetune.models.multitask import MultiTaskConfig
from finetune.objectives.adversarial import Adversarial, AdversarialConfig, condition_of
from finetune.objectives.supervised import LossConfig, Supervised
from finetune.quality import QualityConfig, compare
from finetune.score import ScoreConfig, score_table
from finetune.separation import OverlapError
from finetune.table import read_table
from finetune.train import FinetuneConfig, finetune
from finetune.training.config import FinetuneOptimConfig, HeldOutConfig, TrainDataConfig
from pretrain.data.colour import ColourConfig
from pretrain.data.synthetic import SyntheticConfig, SyntheticFaces
from pretrain.engine.launching import RuntimeConfig
from pretrain.engine.loop import LoopConfig
from pretrain.engine.tracking import LogConfig, read_metrics
from pretrain.errors import UserError
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


def touched(objective: Adversarial, batch: LabelledBatch, tasks: tuple[str, ...]) -> set[str]:
    """The networks whose weights have a gradient from some tasks."""
    objective.zero_grad(set_to_none=True)
    places = [objective.tasks.index(task) for task in tasks]
    objective(batch)[places].sum().backward()
    return {
        name.split(".")[1]
        for name, weight in objective.named_parameters()
        if weight.grad is not None and weight.grad.any()
    }


@pytest.mark.parametrize("discriminator", ["residual", "spectral", "small"])
@pytest.mark.parametrize("loss", ["hinge", "non_saturating"])
def test_each_phase_touches_its_own_network(discriminator: str, loss: str) -> None:
    networks = replace(NETWORKS, discriminator=discriminator, conditional=True)
    adversarial = AdversarialConfig(loss=loss, feature_matching=1, r1=1)
    objective, batch = game(replace(METHOD, networks=networks, adversarial=adversarial))
    told = ("drawn_valence", "drawn_expression", "drawn_action_units")
    for tasks in (("generator",), ("feature_matching",), told):
        assert touched(objective, batch, tasks) == {"generator"}, tasks
    sure = (("real",), ("drawn",)) if loss == "non_saturating" else ()  # hinges end
    for tasks in (*sure, ("r1",), ("valence", "expression", "action_units")):
        assert touched(objective, batch, tasks) == {"discriminator"}, tasks


@pytest.mark.parametrize("discriminator", ["residual", "spectral", "small"])
def test_a_turn_is_one_networks_and_moves_no_others_weights_or_statistics(
    discriminator: str,
) -> None:
    networks = replace(NETWORKS, discriminator=discriminator, conditional=True)
    adversarial = AdversarialConfig(feature_matching=1, r1=1)
    objective, batch = game(replace(METHOD, networks=networks, adversarial=adversarial))
    paid = torch.zeros(len(objective.tasks))
    assert objective.turns == ("model.discriminator.", "model.generator.")
    for turn in objective.turns:
        before = {name: buffer.clone() for name, buffer in objective.named_buffers()}
        objective.zero_grad(set_to_none=True)
        torch.manual_seed(7)
        objective(batch, turn).sum().backward()
        for name, weight in objective.named_parameters():
            assert weight.grad is not None, name  # DDP waits for all
            assert name.startswith(turn) or not weight.grad.any(), name
        moved = {n for n, b in objective.named_buffers() if not torch.equal(b, before[n])}
        assert all(name.startswith(turn) for name in moved)
    objective.eval()  # no dropout
    for turn in (*objective.turns, ""):
        torch.manual_seed(7)
        paid += objective(batch, turn).detach() * (1 if turn else -1)
    torch.testing.assert_close(paid, torch.zeros_like(paid), rtol=0, atol=1e-3)


def test_the_second_look_leaves_the_statistics() -> None:
    networks = replace(NETWORKS, discriminator="small")
    objective, batch = game(replace(METHOD, networks=networks))
    tracked = next(
        buffer
        for name, buffer in objective.model.discriminator.named_buffers()
        if name.endswith("num_batches_tracked")
    )
    objective(batch)
    assert tracked == 2  # of the real images and of the drawn ones, not of the generator's phase


def test_losses_are_those_of_the_papers() -> None:
    for loss in ("hinge", "non_saturating"):
        adversarial = AdversarialConfig(loss=loss, weight=2.0, r1=3.0, feature_matching=0.5)
        objective, batch = game(replace(METHOD, adversarial=adversarial))
        objective.eval()
        torch.manual_seed(7)
        found = dict(zip(objective.tasks, objective(batch), strict=True))
        torch.manual_seed(7)
        noise = 2 * torch.rand(12, 8) - 1
        network = objective.model.discriminator
        real = as_drawn(batch.images).requires_grad_()
        drawn = objective.model.generator(noise)
        _, r, real_features = network(real)
        _, d, drawn_features = network(drawn)
        if loss == "hinge":
            expected = [F.relu(1 - r).sum(), F.relu(1 + d).sum(), -d.sum()]
        else:
            ones, zeros = torch.ones(12), torch.zeros(12)
            bce = F.binary_cross_entropy_with_logits
            expected = [
                bce(r, ones, reduction="sum"),
                bce(d, zeros, reduction="sum"),
                bce(d, ones, reduction="sum"),
            ]
        for name, value in zip(("real", "drawn", "generator"), expected, strict=True):
            torch.testing.assert_close(found[name], 2 * value, rtol=1e-4, atol=1e-4)
        (slope,) = torch.autograd.grad(r.sum(), real)
        torch.testing.assert_close(found["r1"], 1.5 * slope.square().sum(), rtol=1e-3, atol=1e-6)
        apart = (real_features.mean(0) - drawn_features.mean(0)).square().mean()
        torch.testing.assert_close(found["feature_matching"], 6 * apart, rtol=1e-3, atol=1e-6)


def test_counts_are_images_for_the_game_and_labels_for_the_rest() -> None:
    objective, batch = game(replace(METHOD, networks=replace(NETWORKS, conditional=True)))
    counts = dict(zip(objective.tasks, objective.counts(batch).tolist(), strict=True))
    assert counts["real"] == counts["drawn"] == counts["generator"] == 12
    assert counts["expression"] == counts["drawn_expression"] == targets().expression_valid.sum()


def test_a_condition_says_what_is_known_and_nothing_else() -> None:
    _, batch = game()
    told = condition_of(batch.labels, 8)
    assert told.shape == (12, NETWORKS.condition_width)
    values, valid = told.split(22, 1)
    known = targets()
    for row in range(12):
        assert valid[row, :8].tolist() == [float(known.expression_valid[row])] * 8
        one_hot = np.eye(8)[known.expression[row]] * known.expression_valid[row]
        assert values[row, :8].tolist() == one_hot.tolist()
        assert values[row, 8].item() == (1 if row % 2 else -1)
        assert valid[row, 20].item() == float(known.valence_arousal_valid[row, 0])
    assert not values[valid == 0].any()


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


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    shape = {"size": "tiny", "image_size": 32, "patch_size": 8}
    torch.manual_seed(0)
    autoencoder = MaskedAutoencoder(
        MAEConfig(decoder=DecoderConfig(embed_dim=16, depth=1, num_heads=2), **shape)
    )
    folder = tmp_path_factory.mktemp("mae") / "encoder"
    save_encoder(autoencoder, folder)
    return str(folder)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, encoder: str) -> Path:
    folder = tmp_path_factory.mktemp("gan") / "run"
    watch = WatchConfig(encoder=encoder, images=24, every_epochs=1)
    assert finetune(replace(RUN, output_dir=str(folder), method=replace(RUN.method, watch=watch)))
    return folder


def test_a_run_answers_and_shows_what_it_draws(trained: Path) -> None:
    table = read_table(trained / "predictions" / "validation.parquet")
    assert len(table) == 12
    assert table.present.all()
    record = read_metrics(trained)[-1]
    assert {"real", "drawn", "generator", "drawn_expression", "expression"} <= record.keys()
    pictures = {path.name for path in (trained / "pictures").iterdir()}
    assert {"drawn-00000003.png", "drawn-00000006.png", "nearest.png", "quality.png"} <= pictures
    sheets = {"expressions.png", "valence_arousal.png", "action_units.png", "interpolation.png"}
    assert sheets <= pictures


def test_what_is_drawn_is_measured_on_the_way_beside_real_against_real(trained: Path) -> None:
    lines = (trained / "evaluations.jsonl").read_text().splitlines()
    looks = [entry for entry in map(json.loads, lines) if entry["split"] == "drawn"]
    assert [entry["epoch"] for entry in looks] == [1, 2]
    for entry in looks:
        assert entry["frechet"] > 3 * entry["real_frechet"] > 0  # it was hardly trained
        assert 0 <= entry["memorised"] <= 1
        assert entry["real_spread"] > 20


def test_a_generator_that_draws_one_face_is_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = read_collection(LabelledConfig(synthetic=RUN.data.synthetic)).open_images()
    objective, _ = game(RUN.method)
    model = objective.model
    for stop in (False, True):
        watch = Watch(WatchConfig(stop=stop), faces, 32, torch.device("cpu"), seed=0)
        for weight in model.generator.parameters():
            weight.data.normal_()
        found = watch.look(model, "epoch 1", tmp_path)
        assert found["real_spread"] == pytest.approx(
            float(np.stack([faces.image(row) for row in range(48)]).std(0).mean()), rel=0.1
        )
        assert "same for any noise" not in capsys.readouterr().err
        model.generator.spread.weight.data.zero_()  # the noise no longer counts
        if stop:
            with pytest.raises(
                UserError, match=r"same for any noise: spread 0\.0 of 255, expected"
            ):
                watch.look(model, "epoch 1", tmp_path)
        else:
            assert watch.look(model, "epoch 1", tmp_path)["spread"] == pytest.approx(0, abs=1e-3)
            assert "same for any noise" in capsys.readouterr().err


def test_without_a_game_it_is_the_supervised_network(tmp_path: Path) -> None:
    alone = replace(METHOD, adversarial=AdversarialConfig(weight=0))
    objective, batch = game(alone)
    objective.eval()
    expected = Supervised(objective.model, alone.losses)
    assert objective.tasks == expected.tasks
    torch.testing.assert_close(objective(batch), expected(batch))
    torch.testing.assert_close(objective.counts(batch), expected.counts(batch))
    assert not any(weight.requires_grad for weight in objective.model.generator.parameters())
    assert finetune(replace(RUN, output_dir=str(tmp_path), method=alone))
    assert not list((tmp_path / "pictures").glob("drawn-*"))


def test_sheets_tell_one_label_a_column(trained: Path, tmp_path: Path) -> None:
    model, _, _ = load_model(trained)
    assert isinstance(model, gan.GAN)
    for tasks, names in (
        (None, ["interpolation", "expressions", "valence_arousal", "action_units"]),
        (("expression",), ["interpolation", "expressions"]),
    ):
        assert [file.stem for file in draw_sheets(model, tasks, tmp_path)] == names
    width = {file.stem: Image.open(file).width for file in tmp_path.iterdir()}
    per_face = (width["action_units"] - width["interpolation"]) / (13 - 9)  # none and 12 units
    assert width["interpolation"] - width["expressions"] == per_face * (9 - 8)
    assert width["valence_arousal"] - width["interpolation"] == per_face * (10 - 9)
    told = tell(model, 2, action_units=np.eye(12, dtype=np.int64)[[0, 5]])
    values, valid = condition_of(LabelTensors.of(told), 8).split(22, 1)
    assert values[0, 8:20].tolist() == [1.0] + [-1.0] * 11
    assert values[1, 8:20].argmax() == 5
    assert valid[0].tolist() == [0.0] * 8 + [1.0] * 12 + [0.0] * 2


def test_unlabelled_images_are_real(tmp_path: Path) -> None:
    data = replace(RUN.data, share=0.5, unlabelled="rest")
    assert finetune(replace(RUN, output_dir=str(tmp_path), data=data))


def test_the_generator_learns_at_its_own_rate(tmp_path: Path) -> None:
    from finetune.train import Finetuning
    from pretrain.engine.runtime import Runtime
    from pretrain.engine.signals import StopSignal

    method = replace(METHOD, networks=replace(NETWORKS, generator_rate=2.0))
    config = replace(RUN, output_dir=str(tmp_path), method=method)
    made = Finetuning(config, Runtime(config.runtime, averaged=True), 1, StopSignal())
    scales = {}
    names = {weight: name for name, weight in made.model.named_parameters()}
    for group in made.build_optimizer().param_groups:
        for weight in group["params"]:
            scales[names.pop(weight)] = group["lr_scale"]
    assert not names
    assert {scale for name, scale in scales.items() if ".generator." in name} == {2.0}
    assert {scale for name, scale in scales.items() if ".discriminator." in name} == {1.0}


def test_drawn_faces_come_with_a_manifest_that_can_be_trained_on(
    trained: Path, tmp_path: Path
) -> None:
    config = GenerateConfig(model=str(trained), out=str(tmp_path / "a"), count=20, batch_size=7)
    manifest = generate(replace(config, runtime=RuntimeConfig(threads=1)))
    rows = list(csv.DictReader(manifest.open()))
    assert len(rows) == 20
    assert [row["expression"] for row in rows[:3]] == ["Neutral", "Anger", "Disgust"]
    assert {row["valence"] for row in rows} == {""}
    pictures = [np.asarray(Image.open(tmp_path / "a" / row["image"])) for row in rows]
    assert {picture.shape for picture in pictures} == {(32, 32, 3)}
    assert len({picture.tobytes() for picture in pictures}) == 20
    generate(replace(config, out=str(tmp_path / "b"), batch_size=20))
    again = [np.asarray(Image.open(tmp_path / "b" / row["image"])) for row in rows]
    assert max(np.abs(a.astype(int) - b).max() for a, b in zip(pictures, again, strict=True)) <= 1
    told = replace(config, out=str(tmp_path / "c"), expression="Happiness", action_units=("AU6",))
    rows = list(csv.DictReader(generate(replace(told, valence=0.5, arousal=0.25)).open()))
    assert {(row["expression"], row["valence"], row["AU6"], row["AU1"]) for row in rows} == {
        ("Happiness", "0.5", "1", "0")
    }


def test_faces_are_drawn_for_the_labels_of_a_collection(trained: Path, tmp_path: Path) -> None:
    root = tmp_path / "collection"
    root.mkdir()
    rows = ["a.jpg,Sadness,,,,", "b.jpg,,-0.5,0.25,,", "c.jpg,,,,,", "d.jpg,,,,1,0"]
    head = "image,expression,valence,arousal,AU1,AU12\n"
    (root / "train.csv").write_text(head + "\n".join(rows) + "\n")
    labels = LabelledConfig(kind="manifest", root=str(root), split="train")
    config = GenerateConfig(model=str(trained), out=str(tmp_path / "out"), count=5)
    read = ("--as_data", "true", "--data.kind", "manifest", "--data.root", root)
    code, _, errors = run(
        *("-m", "finetune.generate", "--model", trained, "--out", tmp_path / "out"),
        *("--count", 5, *read, "--data.split", "train"),
    )
    assert code == 0, errors
    told = list(csv.DictReader((tmp_path / "out" / "train.csv").open()))
    seen = [
        [row[name] for name in ("expression", "valence", "arousal", "AU1", "AU12")] for row in told
    ]
    three = [["Sadness", *[""] * 4], ["", "-0.5", "0.25", "", ""], ["", "", "", "1", "0"]]
    assert seen == [*three, *three[:2]]  # the one without labels is left out
    (root / "train.csv").write_text(head + "c.jpg,,,,,\n")
    nothing = replace(config, as_data=True, data=labels, out=str(tmp_path / "nothing"))
    with pytest.raises(UserError, match="data manifest train: no label that the model knows"):
        generate(nothing)


def recogniser(drawn: Path, out: Path, split: str) -> FinetuneConfig:
    return replace(
        RUN,
        output_dir=str(out),
        method=MultiTask(losses=METHOD.losses, network=MultiTaskConfig(image_size=32)),
        data=replace(RUN.data, kind="generated", root=str(drawn)),
        validation=HeldOutConfig(kind="synthetic", split=split, count=24),
        optim=FinetuneOptimConfig(warmup_epochs=0),
    )


def test_a_recogniser_learns_from_generated_faces_and_inherits_what_they_have_seen(
    trained: Path, tmp_path: Path
) -> None:
    drawn = tmp_path / "drawn"
    config = GenerateConfig(model=str(trained), out=str(drawn), count=32, expression="Fear")
    generate(replace(config, valence=-0.5, arousal=0.5, action_units=("AU4",)))
    read = read_collection(LabelledConfig(kind="generated", root=str(drawn), split="train"))
    targets = read.annotations.targets
    assert targets.expression_space.name == "aff_wild2_8"  # all eight, not those that occur
    assert {targets.expression_space.classes[e] for e in targets.expression} == {"Fear"}
    assert targets.action_units.sum(0).tolist() == [0, 0, 32, *[0] * 9]
    assert finetune(recogniser(drawn, tmp_path / "run", "validation"))
    notes = load_model(tmp_path / "run")[2].notes
    behind = load_model(trained)[2].notes
    assert notes.trained_on == ("generated", "synthetic")
    assert notes.training_groups is not None
    assert set(behind.training_groups or ()) < set(notes.training_groups)
    leaky = recogniser(drawn, tmp_path / "leaky", "train")
    with pytest.raises(OverlapError, match="weights to start from have seen labels of"):
        finetune(leaky)
    plain = replace(leaky.data, kind="manifest")  # the same files, as if nothing had drawn them
    with pytest.raises(UserError, match=r"faces that a generator drew, expected data\.kind gen"):
        finetune(replace(leaky, data=plain))
    config = LabelledConfig(kind="generated", root=str(drawn), split="train")
    held = HeldOutConfig(kind="generated", root=str(drawn), split="train")
    real = replace(leaky, data=RUN.data, validation=held)
    with pytest.raises(UserError, match="validation kind generated: a score of faces that a gen"):
        finetune(real)
    refitted = replace(real, refit=True, output_dir=str(tmp_path / "refitted"))
    assert finetune(refitted)
    seen = load_model(tmp_path / "refitted")[2].notes.training_groups
    assert set(behind.training_groups or ()) < set(seen or ())
    with pytest.raises(UserError, match=r"data\.kind generated: a score of faces that a generator"):
        score_table(ScoreConfig(table=str(tmp_path / "any.parquet"), data=config))
    with pytest.raises(UserError, match="split null with kind 'generated', expected one of train"):
        read_collection(replace(config, split=None))


def test_people_whose_labels_are_told_have_been_seen(trained: Path, tmp_path: Path) -> None:
    config = GenerateConfig(model=str(trained), out=str(tmp_path / "a"), count=30, as_data=True)
    people = SyntheticConfig(count=24, subjects=6)
    generate(replace(config, data=LabelledConfig(synthetic=people)))  # no split: those of training
    told = LabelledConfig(split="validation", synthetic=people)
    generate(replace(config, out=str(tmp_path / "b"), data=told))
    seen = {}
    for name in ("a", "b"):
        origin = read_collection(
            LabelledConfig(kind="generated", root=str(tmp_path / name), split="train")
        ).origin
        assert origin is not None
        seen[name] = set(origin.groups or ())
    validated = set(read_collection(told).annotations.keys)
    assert validated
    assert not validated & seen["a"]
    assert validated <= seen["b"]
    with pytest.raises(OverlapError, match="weights to start from have seen labels of"):
        finetune(recogniser(tmp_path / "b", tmp_path / "leaky", "validation"))


def test_people_without_labels_are_known_to_have_been_drawn_from(tmp_path: Path) -> None:
    data = replace(RUN.data, share=0.5, unlabelled="rest")
    assert finetune(replace(RUN, output_dir=str(tmp_path / "half"), data=data))
    assert finetune(replace(RUN, output_dir=str(tmp_path / "whole")))
    half, whole = (
        load_model(tmp_path / name)[2].notes.training_groups for name in ("half", "whole")
    )
    assert half == whole


def test_sheets_are_not_counted_among_the_drawn_faces(
    trained: Path, tmp_path: Path, encoder: str
) -> None:
    generate(GenerateConfig(model=str(trained), out=str(tmp_path / "out"), count=40))
    config = QualityConfig(
        drawn=str(tmp_path / "out"),
        encoder=encoder,
        data=LabelledConfig(synthetic=SyntheticConfig(count=100, size=32, subjects=20)),
        out=str(tmp_path / "whole.json"),
        runtime=RuntimeConfig(threads=1),
    )
    images = replace(config, drawn=str(tmp_path / "out/images"), out=str(tmp_path / "images.json"))
    assert compare(config) == compare(images)


def test_a_compiled_game_is_refused(tmp_path: Path) -> None:
    config = replace(RUN, output_dir=str(tmp_path), runtime=replace(RUN.runtime, compile=True))
    with pytest.raises(UserError, match=r"runtime\.compile true with method GAN, expected false"):
        finetune(config)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "generator.json: No such file or directory, expected what finetune.generate"),
        ("{", "generator.json: no JSON, expected what finetune.generate writes"),
        ("[]", "generator.json: a list, expected"),
        ("{}", "generator.json: label spaces: 'expressions', expected"),
    ],
)
def test_a_folder_that_no_generator_wrote_is_one_line(
    trained: Path, tmp_path: Path, content: str | None, message: str
) -> None:
    generate(GenerateConfig(model=str(trained), out=str(tmp_path), count=1))
    (tmp_path / "generator.json").unlink()
    if content is not None:
        (tmp_path / "generator.json").write_text(content)
    with pytest.raises(UserError, match=message):
        read_collection(LabelledConfig(kind="generated", root=str(tmp_path), split="train"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--expression", "Joy"), "expression 'Joy', expected"),
        (("--action_units", "AU99"), "action_units 'AU99', expected some of AU1"),
        (("--valence", "0.5"), "valence without arousal"),
        (("--valence", "2", "--arousal", "0"), "valence 2.0, expected in"),
        (("--count", "0"), "count 0, expected at least 1"),
        (("--data.split", "train"), "data with as_data false, expected as_data true, or no data"),
        (("--as_data", "true", "--expression", "Fear"), "as_data true beside a label for all"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(
    trained: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    code, _, errors = run(
        "-m", "finetune.generate", "--model", trained, "--out", tmp_path / "x", *options
    )
    assert code != 0
    assert message in errors
    assert len(errors.strip().splitlines()) == 1
    assert not (tmp_path / "x").exists()


def test_drawn_images_are_compared_with_real_ones(tmp_path: Path, encoder: str) -> None:
    faces = SyntheticFaces(SyntheticConfig(count=140, size=32, subjects=70))
    for name, rows in (("real", range(100)), ("others", range(100, 140)), ("copies", range(40))):
        (tmp_path / name).mkdir()
        for row in rows:
            Image.fromarray(faces.image(row)).save(tmp_path / name / f"{row}.png")
    (tmp_path / "noise").mkdir()
    rng = np.random.default_rng(0)
    for row in range(40):
        pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "noise" / f"{row}.png")
    found = {}
    for name in ("others", "copies", "noise"):
        config = QualityConfig(
            drawn=str(tmp_path / name),
            encoder=encoder,
            data=LabelledConfig(kind="folder", root=str(tmp_path / "real")),
            sheet=str(tmp_path / f"{name}.png"),
            out=str(tmp_path / f"{name}.json"),
            runtime=RuntimeConfig(threads=1),
        )
        found[name] = compare(config)
        assert (tmp_path / f"{name}.png").stat().st_size > 5_000
        assert json.loads((tmp_path / f"{name}.json").read_text())["images"] == [40, 40]
    assert found["copies"].memorised == 1
    assert found["others"].memorised < 0.9
    assert found["noise"].drawn.frechet > 3 * found["others"].drawn.frechet
    assert found["noise"].drawn.precision < 0.2
    assert found["others"].drawn.precision > 0.5
    assert "real (the floor)" in str(found["others"])
    for row in range(28):
        (tmp_path / "noise" / f"{row}.png").write_bytes(b"")
    with pytest.raises(UserError, match="12 drawn images can be read, expected at least 20"):
        compare(config)


def test_the_distance_of_normal_distributions_is_known() -> None:
    rng = np.random.default_rng(0)
    one = rng.standard_normal((40_000, 3)) * [1, 2, 3]
    other = rng.standard_normal((40_000, 3)) * [2, 2, 1] + [0, 3, 0]
    assert frechet(one, other) == pytest.approx(9 + 1 + 0 + 4, rel=0.03)  # (s - s')^2 each
    assert frechet(one, one) == pytest.approx(0, abs=1e-6)


def test_precision_and_recall_tell_what_is_missing() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((2, 400, 2))
    left, right = left - 20, right + 20
    both = np.concatenate([left, right])
    dropped = quality(both, left + 0.01 * rng.standard_normal(left.shape))
    assert dropped.precision > 0.95
    assert dropped.recall == pytest.approx(0.5, abs=0.05)
    odd = quality(left, both)
    assert odd.precision == pytest.approx(0.5, abs=0.05)
    assert odd.recall > 0.95
    assert nearest(left[:5] + 1e-6, both).tolist() == [0, 1, 2, 3, 4]
