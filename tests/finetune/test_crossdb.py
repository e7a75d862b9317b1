"""Models on databases: one table of scores that the other programs give too, and what was seen."""

import csv
import io
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from labelled import labelled_images
from PIL import Image
from programs import run

from finetune.crossdb import CrossdbConfig, crossdb
from finetune.crossing.audit import Seen, known_groups
from finetune.crossing.databases import Database, read_databases
from finetune.data.opening import read_collection
from finetune.predict import PredictConfig, predict_table
from finetune.score import ScoreConfig, score_table
from finetune.table import About
from finetune.train import FinetuneConfig, finetune
from pretrain.engine.config import parse_config
from pretrain.engine.launching import RuntimeConfig
from pretrain.errors import UserError

ONE = RuntimeConfig(threads=1)


def train(folder: Path, data: Path, *, expressions: str = "affectnet_8", **more: object) -> Path:
    """A very small recogniser of expressions and valence, on the list ``train`` of a folder."""
    options = {
        "config": "configs/finetune/smoke.yaml",
        "method": "MultiTask",
        "method.network.trunk": "plain_cnn",
        "method.network.image_size": 16,
        "method.network.expressions": expressions,
        "method.losses.action_units": 0,
        "data.kind": "manifest",
        "data.root": data,
        "data.workers": 0,
        "validation.count": "null",
        "validation.split": "null",
        "runtime.threads": 1,
        "output_dir": folder,
        **more,
    }
    argv = [f"--{key}={value}" for key, value in options.items()]
    assert finetune(parse_config(FinetuneConfig, argv, "program"))
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, the database that one was trained on, another, and a list of three."""
    folder = tmp_path_factory.mktemp("crossdb")
    labelled_images(folder / "a", "train", range(6))
    labelled_images(folder / "a", "validation", range(6, 9), side=34)  # of a side: other pixels
    labelled_images(folder / "b", "test", range(9, 12), side=36)
    shutil.copy(folder / "a" / "s0" / "1.png", folder / "b" / "s9" / "1.png")
    picture = Image.open(folder / "a" / "s1" / "2.png")
    picture.save(folder / "b" / "s9" / "2.png", compress_level=1)
    train(folder / "one", folder / "a")
    train(folder / "two" / "one", folder / "a", expressions="rafdb_7")
    (folder / "list.yaml").write_text(
        f"a: {{kind: manifest, root: {folder}/a, split: validation}}\n"
        f"b: {{kind: manifest, root: {folder}/b, split: test}}\n"
        "drawn: {kind: synthetic, split: test, synthetic: {count: 20, size: 32, subjects: 5}}\n"
    )
    return folder


@pytest.fixture(scope="module")
def table(place: Path) -> str:
    models = (str(place / "one"), str(place / "two" / "one"))
    return crossdb(
        CrossdbConfig(
            model=models,
            data=str(place / "list.yaml"),
            out=str(place / "out"),
            resamples=50,
            workers=0,
            runtime=ONE,
        )
    )


def rows(place: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((place / "out" / "crossdb.csv").read_text())))


def test_every_model_is_scored_on_every_database(place: Path, table: str) -> None:
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    first = f"{place.name}/one"
    assert [line.split(" | ")[:2] for line in lines[1:]] == [
        [f"| {name}", model] for name in ("a", "b", "drawn") for model in (first, "two/one")
    ]
    assert (place / "out" / "crossdb.md").read_text() == table
    assert "<table>" in (place / "out" / "crossdb.html").read_text()


def test_scores_are_those_of_predict_and_score(place: Path, table: str) -> None:
    data = read_databases(place / "list.yaml")["b"]
    file = place / "b.parquet"
    predict_table(PredictConfig(model=str(place / "one"), data=data, out=str(file), runtime=ONE))
    scores, _ = score_table(ScoreConfig(table=str(file), data=data, resamples=0))
    (found,) = [
        float(row["value"])
        for row in rows(place)
        if row["database"] == "b" and row["metric"] == "macro_f1" and "two" not in row["model"]
    ]
    assert found == pytest.approx(float(scores.value("macro_f1")), rel=1e-5)


def test_pictures_that_were_trained_on_are_found_under_other_names(table: str) -> None:
    (files,) = [line for line in table.splitlines() if "are files of" in line]
    assert "on b" in files
    assert "on a" not in files
    (none,) = [line for line in table.splitlines() if "no image of the database is" in line]
    assert "on a" in none
    assert "compared 18 of 18 with 36 of 36" in none
    assert "s9/1.png = s0/1.png" in files
    (alike,) = [
        line for line in table.splitlines() if "look like images of" in line and "s9/2" in line
    ]
    assert "s9/2.png ~ s1/2.png, 0 bits apart" in alike


def crossed(model: Path, database: str, out: Path) -> str:
    """The notes on a model and one database."""
    (out.parent / "one.yaml").write_text(database)
    config = CrossdbConfig(
        model=(str(model),),
        data=str(out.parent / "one.yaml"),
        out=str(out),
        resamples=0,
        workers=0,
        runtime=ONE,
    )
    return crossdb(config)


def test_what_a_refit_or_an_earlier_stage_was_trained_on_is_looked_at(
    place: Path, tmp_path: Path
) -> None:
    copies = tmp_path / "copies"
    for split in ("train", "validation"):
        for file in (place / "a").rglob("*.png"):
            if (int(file.parent.name[1:]) < 6) == (split == "train"):
                target = copies / split / f"{file.parent.name}-{file.name}"
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)
        names = [f"{split}/{file.name}" for file in sorted((copies / split).iterdir())]
        rows = [
            f"{name},{'Happiness' if number % 2 else 'Neutral'}"
            for number, name in enumerate(names)
        ]
        (copies / f"{split}.csv").write_text("\n".join(["image,expression", *rows]) + "\n")
    listed = f"c: {{kind: manifest, root: {copies}, split: %s}}\n"
    refit = train(
        tmp_path / "refit", place / "a", refit="true", **{"validation.split": "validation"}
    )
    found = crossed(refit, listed % "validation", tmp_path / "out")
    assert "images of the database that are files of the training images of refit: 18" in found
    other = tmp_path / "other"
    labelled_images(other, "train", range(20, 26), side=40)
    later = train(tmp_path / "later", other, **{"method.init_from": place / "one"})
    found = crossed(later, listed % "train", tmp_path / "out2")
    assert "files of the training images of one: 36" in found
    shared = train(tmp_path / "shared", place / "a", **{"data.share": 0.5})
    found = crossed(shared, listed % "train", tmp_path / "out3")
    assert "files of the training images of shared: 18" in found


def test_people_of_another_folder_are_other_people(place: Path, tmp_path: Path) -> None:
    namesakes = tmp_path / "namesakes"
    labelled_images(namesakes, "test", range(3), side=44)
    found = crossed(
        place / "one", f"n: {{kind: manifest, root: {namesakes}, split: test}}\n", tmp_path / "out"
    )
    assert "was trained on" not in found
    found = crossed(
        place / "one", f"a: {{kind: manifest, root: {place}/a, split: train}}\n", tmp_path / "out2"
    )
    assert "the model was trained on 6 of these 6 subjects" in found


def test_kinds_that_share_recordings_are_one_collection() -> None:
    about = About(trained_on=("aff_wild2_mtl",), training_groups=("video45",))
    known = read_collection(read_databases_from("d: {kind: synthetic}\n")["d"])
    video = replace(known, kind="aff_wild2_video")
    assert known_groups(about, video, "/x", Seen()) == ("video45",)
    assert known_groups(about, known, None, Seen()) == ()


def read_databases_from(text: str) -> dict[str, Database]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "list.yaml"
        file.write_text(text)
        return read_databases(file)


def test_a_pair_that_cannot_be_is_a_note_beside_the_others(place: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    labelled_images(broken, "test", range(2))
    for file in broken.rglob("*.png"):
        file.write_bytes(b"")
    found = crossed(
        place / "one",
        f"b: {{kind: manifest, root: {place}/b, split: test}}\n"
        f"broken: {{kind: manifest, root: {broken}, split: test}}\n",
        tmp_path / "out",
    )
    assert "one on broken: got no image that can be read among 12" in found
    assert "| b | one | 18 | " in found


def test_drawn_faces_are_stamped(table: str) -> None:
    (line,) = [line for line in table.splitlines() if "say nothing about photographs" in line]
    assert "on drawn" in line
    assert "on a" not in line


def test_labels_of_another_task_give_no_score_and_a_note(place: Path, tmp_path: Path) -> None:
    units = tmp_path / "units"
    shutil.copytree(place / "b", units)
    (units / "test.csv").write_text("image,AU1\ns9/0.png,1\ns9/1.png,0\ns10/0.png,1\n")
    (tmp_path / "list.yaml").write_text(f"u: {{kind: manifest, root: {units}, split: test}}\n")
    found = crossdb(
        CrossdbConfig(
            model=(str(place / "one"),),
            data=str(tmp_path / "list.yaml"),
            out=str(tmp_path / "out"),
            workers=0,
            runtime=ONE,
        )
    )
    assert "| u | one | 3 |" in found
    assert "one on u: " in found


def test_several_models_are_named_without_brackets(place: Path, tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text(
        "drawn: {kind: synthetic, split: test, synthetic: {count: 8, size: 32, subjects: 4}}\n"
    )
    code, output, errors = run(
        *("-m", "finetune.crossdb", "--model", place / "one", place / "two" / "one"),
        *("--data", tmp_path / "list.yaml", "--out", tmp_path / "out", "--resamples", 0),
        *("--workers", 0, "--runtime.threads", 1),
    )
    assert code == 0, errors
    assert output.count("| drawn |") == 2
    assert "interval" not in output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got no mapping"),
        ("a: 1\n", "a: got 1, expected"),
        ("a: {kind: manifest, root: /x, splitt: test}\n", "a: key 'splitt', expected some of kind"),
        ("a: {kind: manifest}\n", "a: root None with kind 'manifest', expected a folder"),
        ("a: {kind: synthetic, synthetic: {count: 0}}\n", "a: synthetic.count 0, expected"),
        ("a: {kind: synthetic, mapping: x}\n", "a: mapping 'x', expected null or one of"),
        ("a: {kind: synthetic}\na: {kind: synthetic}\n", "a is there twice"),
        ("a/b: {kind: synthetic}\n", "name 'a/b', expected one that a file may have"),
        ("yes: {kind: synthetic}\ntrue: {kind: synthetic}\n", "True is there twice"),
        ("a: {kind: synthetic, mapping: 2024-01-01}\n", "a: mapping '2024-01-01', expected null"),
        ("a: [\n", "not YAML"),
    ],
)
def test_a_list_that_is_none_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "list.yaml"
    file.write_text(text)
    with pytest.raises(UserError) as raised:
        read_databases(file)
    line = str(raised.value)
    assert line.startswith(str(file))
    assert message in line
    assert "\n" not in line


def test_the_same_model_twice_is_refused(place: Path, tmp_path: Path) -> None:
    one = str(place / "one")
    asked = CrossdbConfig(
        model=(one, one), data=str(place / "list.yaml"), out=str(tmp_path), runtime=ONE
    )
    with pytest.raises(UserError, match="the same one twice"):
        crossdb(asked)
