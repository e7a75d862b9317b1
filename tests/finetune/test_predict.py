"""The prediction program: from a model and a collection to a table that the others read."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest
import released_layouts as layouts
import torch
from PIL import Image
from programs import TORCHRUN, run, start

from finetune import describe, fit, predict, report, score
from finetune.data.config import LabelledConfig
from finetune.data.opening import read_collection
from finetune.load import load_model
from finetune.loading.notes import ModelNotes
from finetune.models.cnn import TimmCNNConfig
from finetune.models.cotex import CoTEXConfig
from finetune.models.emma import EMMAConfig
from finetune.predicting.table import fingerprint
from finetune.save import save_model
from finetune.table import About, read_table
from pretrain.data.synthetic import SyntheticConfig
from pretrain.engine.signals import EXIT_STOPPED

UNITS = EMMAConfig().action_unit_space.names
NOTES = ModelNotes(
    thresholds={name: 0.25 + place / 100 for place, name in enumerate(UNITS)},
    trained_on=("lsd",),
    training_groups=("somebody",),
)
#: Threads change nothing in the bytes of tiny models, and cost time on a busy machine.
QUICK = ("--runtime.threads", 1, "--workers", 0)
DRAWN = ("--data.synthetic.count", 40, "--data.synthetic.subjects", 8, "--data.synthetic.size", 32)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A run with a model, and a folder of images of which one is broken."""
    folder = tmp_path_factory.mktemp("predict")
    torch.manual_seed(0)
    config = EMMAConfig(
        size="tiny", image_size=32, patch_size=16, cnn=TimmCNNConfig(name="resnet18")
    )
    save_model(config.build(), folder / "run" / "model", NOTES)
    (folder / "run" / "run.json").write_text("{}")
    rng = np.random.default_rng(0)
    (folder / "faces").mkdir()
    for number in range(21):
        pixels = rng.integers(0, 256, (40, 36, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "faces" / f"{number:02d}.png")
    (folder / "faces" / "05.png").write_bytes(b"")
    return folder


def said(monkeypatch, capsys, *arguments, program=predict):
    """Exit code, stdout and stderr of the program, without starting a process."""
    monkeypatch.setattr("sys.argv", ["program", *map(str, arguments)])
    code = program.main()
    output = capsys.readouterr()
    return code, output.out, output.err


def refusal(monkeypatch, capsys, *arguments, program=predict):
    code, out, err = said(monkeypatch, capsys, *arguments, program=program)
    assert (code, out, err.count("\n")) == (2, "", 1)
    return err.removeprefix("error: ").rstrip()


def folder_of(place, out):
    data = ("--data.kind", "folder", "--data.root", place / "faces")
    return ("--model", place / "run", *data, "--batch_size", 4, "--out", out)


def test_a_saved_model_is_predicted_read_and_scored(place, tmp_path, monkeypatch, capsys):
    out = tmp_path / "new" / "table.parquet"
    arguments = ("--model", place / "run", *DRAWN, *QUICK, "--out", out)
    code, text, err = said(monkeypatch, capsys, *arguments)
    assert (code, err) == (0, "")
    lines = text.splitlines()
    assert lines[:2] == ["rows      40", "null      0"]
    assert lines[2].startswith("images/s  ")
    assert lines[3:] == [f"table     {out}"]
    table = read_table(out)
    listed = read_collection(
        LabelledConfig(synthetic=SyntheticConfig(count=40, subjects=8, size=32))
    ).annotations
    assert list(table.images) == list(listed.images)
    model, labels, _ = load_model(place / "run")
    assert table.expression_space == labels.expressions
    assert table.action_unit_space == labels.action_units
    assert table.thresholds.tolist() == [NOTES.thresholds[name] for name in UNITS]
    assert table.about == About(
        model=fingerprint(model), trained_on=("lsd",), training_groups=("somebody",), drawn=True
    )
    scores = tmp_path / "scores.json"
    found = ("--table", out, *DRAWN, "--resamples", 0, "--out", scores)
    code, text, _ = said(monkeypatch, capsys, *found, program=score)
    assert code == 0
    record = json.loads(scores.read_text())
    assert record["table"]["model"] == fingerprint(model)
    assert record["rows"]["listed"] == 40
    assert {"p_mtl", "p_va", "p_expr", "p_au"} <= record["scores"].keys()
    assert record["notes"][0] == score.DRAWN


def test_the_table_holds_what_the_model_says_of_each_image(place, tmp_path, monkeypatch, capsys):
    code, text, err = said(monkeypatch, capsys, *folder_of(place, tmp_path / "t.parquet"), *QUICK)
    assert (code, err) == (0, "")
    lines = text.splitlines()
    assert lines[0].startswith("21 images, expected to be face crops")
    broken = place / "faces" / "05.png"
    assert not broken.read_bytes()
    assert lines[1:3] == ["rows      21", "null      1: 05.png: empty file (0 bytes)"]
    assert "warning" not in text
    table = read_table(tmp_path / "t.parquet")
    assert list(table.images) == [f"{number:02d}.png" for number in range(21)]
    assert np.flatnonzero(~table.present).tolist() == [5]
    assert not table.about.drawn
    model, labels, _ = load_model(place / "run")
    for row in (0, 4, 20):  # one by one, cut and resized by another library
        with Image.open(place / "faces" / table.images[row]) as picture:
            square = picture.crop((0, 2, 36, 38)).resize((32, 32), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.array(square)).permute(2, 0, 1)[None]
        with torch.no_grad():
            found = model(pixels)
        np.testing.assert_allclose(
            table.expression[row], found.expression_logits[0].softmax(0), atol=5e-3
        )
        np.testing.assert_allclose(
            table.action_units[row], found.action_unit_logits[0].sigmoid(), atol=5e-3
        )
        np.testing.assert_allclose(table.valence_arousal[row], found.valence_arousal[0], atol=5e-3)
    assert labels.expressions.classes == table.expression_space.classes


def test_a_list_keeps_its_order_and_duplicates_and_absent_images_are_null(
    place, tmp_path, monkeypatch, capsys
):
    names = ["07.png", "gone.png", "03.png", "07.png", "05.png", "gone.png", "x/gone.png"]
    rows = [f"{name},v{row // 4},{row}" for row, name in enumerate(names)]
    listing = tmp_path / "list.csv"
    listing.write_text("\n".join(["image,video,frame", *rows]) + "\n")
    data = ("--data.kind", "list", "--data.root", place / "faces", "--data.list", listing)
    out = tmp_path / "t.parquet"
    code, text, _ = said(monkeypatch, capsys, "--model", place / "run", *data, *QUICK, "--out", out)
    assert code == 0
    absent = "absent: listed, but no such file"
    assert text.splitlines()[2] == (
        f"null      4: gone.png: {absent}; 05.png: empty file (0 bytes); x/gone.png: {absent}"
    )
    table = read_table(out)
    assert list(table.images) == names
    assert list(table.videos) == ["v0"] * 4 + ["v1"] * 3
    assert table.frames.tolist() == list(range(7))
    assert table.present.tolist() == [True, False, True, True, False, False, False]
    assert np.array_equal(table.expression[0], table.expression[3])
    assert not np.array_equal(table.expression[0], table.expression[2])


def test_images_that_are_hardly_face_crops_are_warned_of(tmp_path, place, monkeypatch, capsys):
    faces = tmp_path / "faces"
    faces.mkdir()
    for number in range(8):
        Image.new("RGB", (64, 36) if number < 2 else (40, 40)).save(faces / f"{number}.png")
    (faces / "8.png").write_bytes(b"")
    data = ("--data.kind", "folder", "--data.root", faces)
    arguments = ("--model", place / "run", *data, *QUICK, "--out", tmp_path / "t.parquet")
    code, text, _ = said(monkeypatch, capsys, *arguments)
    assert code == 0
    assert "warning: 2 of 8 images are wider or taller than 1.6 : 1" in text
    Image.new("RGB", (40, 40)).save(faces / "8.png")
    Image.new("RGB", (40, 40)).save(faces / "9.png")
    code, text, _ = said(monkeypatch, capsys, *arguments)
    assert code == 0
    assert "warning" not in text  # 2 of 10


def test_a_flip_and_another_size_change_the_answers(place, tmp_path, monkeypatch, capsys):
    found = {}
    for name, options in {
        "plain": (),
        "flip": ("--flip", "true"),
        "size": ("--image_size", 64),
    }.items():
        out = tmp_path / f"{name}.parquet"
        code, _, err = said(monkeypatch, capsys, *folder_of(place, out), *QUICK, *options)
        assert (code, err) == (0, "")
        found[name] = read_table(out).expression[0]
    assert len({tuple(values) for values in found.values()}) == 3


def test_features_are_those_under_the_answers(place, tmp_path, monkeypatch, capsys):
    out, file = tmp_path / "t.parquet", tmp_path / "features.npy"
    options = ("--features", file, "--flip", "true")
    code, text, err = said(monkeypatch, capsys, *folder_of(place, out), *QUICK, *options)
    assert (code, err) == (0, "")
    assert f"features  {file}" in text
    found = np.load(file)
    assert (found.shape, found.dtype) == ((21, 192), np.float32)
    assert np.flatnonzero(np.isnan(found).any(1)).tolist() == [5]
    model, _, _ = load_model(place / "run")
    with Image.open(place / "faces" / "04.png") as picture:
        square = picture.crop((0, 2, 36, 38)).resize((32, 32), Image.Resampling.BICUBIC)
    with torch.no_grad():
        expected = model.features(torch.from_numpy(np.array(square)).permute(2, 0, 1)[None])
    np.testing.assert_allclose(found[4], expected[0], atol=0.1)
    line = refusal(
        monkeypatch, capsys, *folder_of(place, out), "--features", place / "faces" / "01.png"
    )
    assert "01.png" in line


def test_a_model_of_several_views_has_no_features(tmp_path, place, monkeypatch, capsys):
    views = CoTEXConfig(size="tiny", image_size=32, patch_size=16)
    save_model(views.build(), tmp_path / "model", ModelNotes())
    options = ("--model", tmp_path / "model", *folder_of(place, tmp_path / "t.parquet")[2:])
    line = said(monkeypatch, capsys, *options, *QUICK, "--features", tmp_path / "f.npy")[2]
    assert "a CoTEX has no one vector of features, expected another model" in line
    assert not (tmp_path / "f.npy").exists()


def test_a_task_that_the_model_was_not_trained_for_has_no_columns(
    place, tmp_path, monkeypatch, capsys
):
    model, _, _ = load_model(place / "run")
    save_model(model, tmp_path / "model", ModelNotes(tasks=("expression",)))
    arguments = ("--model", tmp_path / "model", *DRAWN, *QUICK, "--out", tmp_path / "t.parquet")
    assert said(monkeypatch, capsys, *arguments)[0] == 0
    assert all(
        name.startswith("expression_") for name in read_table(tmp_path / "t.parquet").columns
    )


def test_a_released_file_is_predicted_as_well(place, tmp_path, monkeypatch, capsys):
    tensors = layouts.filled(layouts.dan(classes=7))
    torch.save({"iter": 5, "model_state_dict": tensors}, tmp_path / "dan.pth")
    drawn = ("--data.synthetic.count", 3, "--data.synthetic.size", 32)
    arguments = ("--model", tmp_path / "dan.pth", *drawn, *QUICK, "--image_size", 32)
    arguments = (*arguments, "--out", tmp_path / "t.parquet")
    assert "expressions" in refusal(monkeypatch, capsys, *arguments)  # 7 classes: in which order?
    code, _, err = said(monkeypatch, capsys, *arguments, "--expressions", "affectnet_7")
    assert (code, err) == (0, "")
    table = read_table(tmp_path / "t.parquet")
    assert table.expression_space.name == "affectnet_7"
    assert (table.valence_arousal, table.action_units, table.about.trained_on) == (None, None, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "model '', expected a run folder, its model/ or a released file"),
        (["--model", "m"], "out '', expected a file for the table (Parquet)"),
        (["--model", "gone", "--out", "t"], "gone: no such file or folder"),
        (["--model", "m", "--out", "t", "--batch_size", "0"], "batch_size 0, expected at least 1"),
        (["--model", "m", "--out", "t", "--workers", "-1"], "workers -1, expected 0 or more"),
        (["--model", "m", "--out", "t", "--expressions", "emotions"], "expression space 'emotions': expected"),
        (["--model", "m", "--out", "t", "--action_units", "brow"], "action unit space 'brow': expected"),
        (["--model", "m", "--out", "t", "--modle", "m"], "modle: unknown key, expected perhaps 'model'"),
        (["--model", "m", "--out", "t", "--data.kind", "folder"], "data.root None with kind 'folder'"),
        (["--model", "m", "--out", "t", "--data.kind", "list", "--data.root", "."], "data.list None with kind"),
        (["--model", "m", "--out", "t", "--data.list", "x"], "data.list 'x' with kind 'synthetic', expected none"),
        (["--model", "m", "--out", "t", "--data.split", "dev"], "split 'dev', expected one of train"),
    ],
)  # fmt: skip
def test_wrong_options_are_one_line(arguments, message, monkeypatch, capsys):
    drawn = ("--data.synthetic.count", "2")
    assert message in refusal(monkeypatch, capsys, *arguments, *drawn)


def test_a_model_of_another_space_is_refused(place, tmp_path, monkeypatch, capsys):
    arguments = (*folder_of(place, tmp_path / "t.parquet"), "--expressions", "affectnet_8")
    message = refusal(monkeypatch, capsys, *arguments)
    assert message.startswith(f"{place / 'run' / 'model'}: expressions ")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("run/model/model.safetensors", "is read as well, expected another file"),
        ("run/model/config.json", "is read as well, expected another file"),
        ("list.txt", "is read as well, expected another file"),
        ("faces/03.png", "is a file of the collection, expected another place"),
        ("faces", "is no regular file, expected a file to write"),
        ("list.txt/t.parquet", "list.txt is no folder, expected one"),
    ],
)
@pytest.mark.parametrize("model", ["run", "run/model", "run/model/model.safetensors"])
def test_nothing_that_is_read_is_written_over(place, out, message, model, monkeypatch, capsys):
    (place / "list.txt").write_text("03.png\n")
    before = {file: file.read_bytes() for file in place.rglob("*") if file.is_file()}
    data = (
        "--data.kind",
        "list",
        "--data.root",
        place / "faces",
        "--data.list",
        place / "list.txt",
    )
    found = refusal(monkeypatch, capsys, "--model", place / model, *data, "--out", place / out)
    assert found == f"{place / out}: {message}" or found == f"{place / out}: {place / message}"
    assert {file: file.read_bytes() for file in place.rglob("*") if file.is_file()} == before


def test_bad_images_alone_are_one_line_and_no_table(place, tmp_path, monkeypatch, capsys):
    listing = tmp_path / "list.txt"
    listing.write_text("gone/a.png\ngone/b.png\n")
    data = ("--data.kind", "list", "--data.root", place / "faces", "--data.list", listing)
    out = tmp_path / "t.parquet"
    arguments = ("--model", place / "run", *data, *QUICK, "--out", out)
    code, _, err = said(monkeypatch, capsys, *arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert "no image that can be read among 2, 'gone/a.png' (absent: listed" in err
    assert not out.exists()


@pytest.mark.parametrize("program", [score, report, fit])
def test_programs_that_need_labels_say_in_one_line_that_there_are_none(
    place, tmp_path, program, monkeypatch, capsys
):
    out, made = tmp_path / "t.parquet", tmp_path / "made.json"
    assert said(monkeypatch, capsys, *folder_of(place, out), *QUICK)[0] == 0
    data = ("--data.kind", "folder", "--data.root", place / "faces")
    message = refusal(*(monkeypatch, capsys, "--table", out, *data, "--out", made), program=program)
    assert "got no label of any task that the table predicts, expected some" in message
    assert not made.exists()


def test_a_folder_without_labels_is_described_as_one(place, monkeypatch, capsys):
    data = ("--data.kind", "folder", "--data.root", place / "faces")
    code, text, _ = said(monkeypatch, capsys, *data, program=describe)
    assert code == 0
    rows = {
        line.rsplit(maxsplit=1)[0].strip(): line.split()[-1] for line in text.splitlines() if line
    }
    assert rows["rows with no label"] == "21"
    assert "all: all 21 listed images are there" in text


def test_the_program_runs_from_a_shell(place, tmp_path):
    code, out, err = run("-m", "finetune.predict", *folder_of(place, tmp_path / "t.parquet"))
    assert (code, err) == (0, "")
    assert out.endswith(f"table     {tmp_path / 't.parquet'}\n")
    code, out, err = run("-m", "finetune.predict", "--help")
    assert code == 0
    for option in ("--model", "--data.list", "--out", "--flip", "--workers", "--runtime.precision"):
        assert option in out


def long_list(place, folder):
    """Far more images than there is patience for: a stop always comes before the end."""
    listing = folder / "long.txt"
    listing.write_text("03.png\n" * 100_000)
    data = ("--data.kind", "list", "--data.root", place / "faces", "--data.list", listing)
    return ("--model", place / "run", *data, "--batch_size", 4, *QUICK)


def test_a_stop_signal_ends_it_with_its_own_code_and_no_table(place, tmp_path):
    command = (*long_list(place, tmp_path), "--workers", 2, "--out", tmp_path / "out" / "t.parquet")
    process = start("-m", "finetune.predict", *command)
    assert process.stdout is not None
    assert "face crops" in process.stdout.readline()
    os.killpg(process.pid, signal.SIGTERM)  # as a scheduler does: the workers as well
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (EXIT_STOPPED, "")
    assert err.endswith("stopping, nothing is written\n")
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


# Several processes.


def several(processes: int, *arguments: object) -> tuple[object, ...]:
    return (*TORCHRUN, processes, "-m", "finetune.predict", *arguments)


@pytest.mark.distributed
def test_two_processes_write_the_bytes_of_one(place, tmp_path: Path, monkeypatch, capsys) -> None:
    options = (*QUICK, "--flip", "true", "--batch_size", 8)  # 3 batches, the last not full
    one, two = tmp_path / "one.parquet", tmp_path / "two.parquet"
    assert said(monkeypatch, capsys, *folder_of(place, one), *options)[0] == 0
    command = several(2, *folder_of(place, two), *options)
    code, output, errors = run(*command, ACCELERATE_USE_CPU="true")
    assert code == 0, errors
    assert output.count("rows      21") == 1
    assert output.count("null      1: 05.png: empty file (0 bytes)") == 1
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.distributed
def test_more_processes_than_batches_are_fine(place, tmp_path: Path) -> None:
    out = tmp_path / "t.parquet"
    command = several(2, *folder_of(place, out), *QUICK, "--batch_size", 64)
    code, _, errors = run(*command, ACCELERATE_USE_CPU="true")
    assert code == 0, errors
    assert np.flatnonzero(~read_table(out).present).tolist() == [5]


@pytest.mark.distributed
def test_a_signal_to_one_process_ends_both(place, tmp_path: Path) -> None:
    out = tmp_path / "out" / "t.parquet"
    process = start(
        *several(2, *long_list(place, tmp_path), "--out", out), ACCELERATE_USE_CPU="true"
    )
    assert process.stdout is not None
    assert "face crops" in process.stdout.readline()
    ranks = {one.environ()["RANK"]: one for one in psutil.Process(process.pid).children()}
    ranks["1"].send_signal(signal.SIGUSR1)
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    assert errors.count("stopping, nothing is written") == 1
    assert f"exitcode  : {EXIT_STOPPED}" in errors
    assert not out.parent.exists()


@pytest.mark.distributed
def test_what_one_process_meets_ends_both_with_the_same_line(place, tmp_path: Path) -> None:
    model, _, _ = load_model(place / "run")
    with torch.no_grad():
        model.head[-1].bias.fill_(float("nan"))
    save_model(model, tmp_path / "model")
    out = tmp_path / "t.parquet"
    command = several(2, *folder_of(place, out), *QUICK, "--model", tmp_path / "model")
    code, _, errors = run(*command, ACCELERATE_USE_CPU="true")
    assert code != 0
    assert "is no number, expected one: its weights are broken" in errors
    assert "exitcode  : 2" in errors
    assert not out.exists()
