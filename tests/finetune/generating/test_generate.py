"""Faces that a generator draws, and what is trained on them."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gans import METHOD, RUN
from PIL import Image
from programs import run

from finetune.data.config import LabelledConfig
from finetune.data.opening import read_collection
from finetune.generate import GenerateConfig, generate
from finetune.load import load_model
from finetune.methods.multitask import MultiTask
from finetune.models.multitask import MultiTaskConfig
from finetune.objectives.adversarial import AdversarialConfig
from finetune.save import save_model
from finetune.score import ScoreConfig, score_table
from finetune.separation import OverlapError
from finetune.train import FinetuneConfig, finetune
from finetune.training.config import FinetuneOptimConfig, HeldOutConfig
from pretrain.data.synthetic import SyntheticConfig
from pretrain.engine.launching import RuntimeConfig
from pretrain.errors import UserError


def test_drawn_faces_come_with_a_manifest_that_can_be_trained_on(
    trained_gan: Path, tmp_path: Path
) -> None:
    config = GenerateConfig(model=str(trained_gan), out=str(tmp_path / "a"), count=20, batch_size=7)
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


def test_faces_are_drawn_for_the_labels_of_a_collection(trained_gan: Path, tmp_path: Path) -> None:
    root = tmp_path / "collection"
    root.mkdir()
    rows = ["a.jpg,Sadness,,,,", "b.jpg,,-0.5,0.25,,", "c.jpg,,,,,", "d.jpg,,,,1,0"]
    head = "image,expression,valence,arousal,AU1,AU12\n"
    (root / "train.csv").write_text(head + "\n".join(rows) + "\n")
    labels = LabelledConfig(kind="manifest", root=str(root), split="train")
    config = GenerateConfig(model=str(trained_gan), out=str(tmp_path / "out"), count=5)
    read = ("--as_data", "true", "--data.kind", "manifest", "--data.root", root)
    code, _, errors = run(
        *("-m", "finetune.generate", "--model", trained_gan, "--out", tmp_path / "out"),
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
    trained_gan: Path, tmp_path: Path
) -> None:
    drawn = tmp_path / "drawn"
    config = GenerateConfig(model=str(trained_gan), out=str(drawn), count=32, expression="Fear")
    generate(replace(config, valence=-0.5, arousal=0.5, action_units=("AU4",)))
    read = read_collection(LabelledConfig(kind="generated", root=str(drawn), split="train"))
    targets = read.annotations.targets
    assert targets.expression_space.name == "aff_wild2_8"  # all eight, not those that occur
    assert {targets.expression_space.classes[e] for e in targets.expression} == {"Fear"}
    assert targets.action_units.sum(0).tolist() == [0, 0, 32, *[0] * 9]
    assert finetune(recogniser(drawn, tmp_path / "run", "validation"))
    notes = load_model(tmp_path / "run")[2].notes
    behind = load_model(trained_gan)[2].notes
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


def test_drawn_faces_that_are_gone_are_one_line(trained_gan: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "drawn"
    generate(GenerateConfig(model=str(trained_gan), out=str(drawn), count=32))
    shutil.rmtree(drawn / "images")
    message = (
        r"^32 of 32 listed images are absent: images/000000\.png, .*expected images to train on"
    )
    with pytest.raises(UserError, match=message):
        finetune(recogniser(drawn, tmp_path / "run", "validation"))


def test_people_whose_labels_are_told_have_been_seen(trained_gan: Path, tmp_path: Path) -> None:
    config = GenerateConfig(model=str(trained_gan), out=str(tmp_path / "a"), count=30, as_data=True)
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
    trained_gan: Path, tmp_path: Path, content: str | None, message: str
) -> None:
    generate(GenerateConfig(model=str(trained_gan), out=str(tmp_path), count=1))
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
    trained_gan: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    code, _, errors = run(
        "-m", "finetune.generate", "--model", trained_gan, "--out", tmp_path / "x", *options
    )
    assert code != 0
    assert message in errors
    assert len(errors.strip().splitlines()) == 1
    assert not (tmp_path / "x").exists()


def test_images_that_are_alike_are_said(
    trained_gan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, _, report = load_model(trained_gan)
    model.generator.spread.weight.data.zero_()  # the noise no longer counts
    save_model(model, tmp_path / "model", report.notes)
    generate(
        GenerateConfig(
            model=str(tmp_path / "model"), out=str(tmp_path / "out"), count=9, expression="Fear"
        )
    )
    assert "the images hardly differ: spread 0.0 of 255, expected at least 10" in (
        capsys.readouterr().err
    )


def test_a_generator_that_never_learnt_is_refused(tmp_path: Path) -> None:
    alone = replace(RUN.method, adversarial=AdversarialConfig(weight=0))
    assert finetune(replace(RUN, output_dir=str(tmp_path / "run"), method=alone))
    with pytest.raises(UserError, match=r"run: trained on labels alone \(method\.adversarial\.we"):
        generate(GenerateConfig(model=str(tmp_path / "run"), out=str(tmp_path / "out")))
