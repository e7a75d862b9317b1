"""The scoring program: from files to numbers, one line for what is wrong, leaks refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from programs import run
from tables import guessed, labelled, perfect

from finetune import score
from finetune.data.config import LabelledConfig
from finetune.data.opening import read_collection
from finetune.table import About, Step, write_table
from pretrain.data.synthetic import SyntheticConfig

DRAWN = ("--data.synthetic.count", "40", "--data.synthetic.subjects", "8")


def challenge(root, annotations):
    """A validation file of s-Aff-Wild2 with these labels."""
    lines, t = ["image,valence,arousal,expression,aus"], annotations.targets
    for row, image in enumerate(annotations.images):
        affect = np.where(t.valence_arousal_valid[row], t.valence_arousal[row], -5).tolist()
        expression = t.expression[row] if t.expression_valid[row] else -1
        units = np.where(t.action_units_valid[row], t.action_units[row], -1)
        lines.append(",".join(map(str, [image, *affect, expression, *units])))
    root.mkdir(exist_ok=True)
    (root / "validation_set_annotations.txt").write_text("\n".join(lines) + "\n")
    return ("--data.kind", "aff_wild2_mtl", "--data.root", str(root))


@pytest.fixture
def files(tmp_path):
    annotations = labelled(rows=90, videos=9)
    table = guessed(annotations)
    write_table(tmp_path / "t.parquet", table)
    return annotations, table, challenge(tmp_path / "root", annotations), tmp_path


def scored(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["score", *map(str, arguments)])
    code = score.main()
    output = capsys.readouterr()
    return code, output.out, output.err


def refusal(monkeypatch, capsys, *arguments):
    code, out, err = scored(monkeypatch, capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    return err.removeprefix("error: ").rstrip()


def test_files_of_the_challenge_and_a_table_give_the_challenges_score(files, monkeypatch, capsys):
    annotations, *_, data, folder = files
    write_table(folder / "p.parquet", perfect(annotations))
    out = folder / "new" / "scores.json"
    arguments = ("--table", folder / "p.parquet", *data, "--resamples", 50, "--out", out)
    code, text, err = scored(monkeypatch, capsys, *arguments)
    assert (code, err) == (0, "")
    assert "P_MTL" in text
    found = json.loads(out.read_text())
    assert found["scores"]["p_mtl"] == {"value": 3.0, "low": 3.0, "high": 3.0}
    assert found["rows"]["listed"] == 90
    assert found["rows"]["scored"]["expression"] == int(annotations.targets.expression_valid.sum())
    assert found["confusion"]["counts"] == np.diag(
        np.bincount(annotations.targets.expression[annotations.targets.expression_valid])
    ).tolist()  # fmt: skip
    assert found["labels"] == {
        "kind": "aff_wild2_mtl",
        "root": str(folder / "root"),
        "split": "validation",
    }
    assert found["interval"]["over"] == "9 recordings"
    assert found["drawn"] is False


def test_scores_of_drawn_faces_say_so(tmp_path, monkeypatch, capsys):
    config = LabelledConfig(synthetic=SyntheticConfig(count=40, subjects=8))
    annotations = read_collection(config).annotations
    write_table(tmp_path / "t.parquet", guessed(annotations))
    out = tmp_path / "s.json"
    code, text, _ = scored(
        *(monkeypatch, capsys, "--table", tmp_path / "t.parquet"),
        *(*DRAWN, "--resamples", 0, "--out", out),
    )
    assert code == 0
    assert f"note: {score.DRAWN}" in text
    found = json.loads(out.read_text())
    assert found["drawn"] is True
    assert found["notes"][0] == score.DRAWN


def test_the_program_runs_from_a_shell(files):
    *_, data, folder = files
    code, out, err = run("-m", "finetune.score", "--table", folder / "t.parquet", *data)
    assert (code, err) == (0, "")
    assert out.startswith(f"{folder / 't.parquet'} on aff_wild2_mtl validation\n\nP_MTL ")
    code, out, err = run("-m", "finetune.score", "--help")
    assert code == 0
    for option in ("--table", "--data.kind", "--data.track", "--baseline", "--resamples", "--out"):
        assert option in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "table '', expected a prediction table (Parquet)"),
        (["--table", "gone.parquet"], "gone.parquet: No such file or directory, expected a prediction table"),
        (["--table", "t", "--tabel", "t"], "tabel: unknown key, expected perhaps 'table'"),
        (["--table", "t", "--data.kind", "nope", "--data.root", "."], "kind 'nope', expected one of synthetic,"),
        (["--table", "t", "--data.kind", "lsd"], "data.root None with kind 'lsd', expected a folder"),
        (["--table", "t", "--data.root", "."], "data.root '.' with kind 'synthetic', expected none"),
        (["--table", "t", "--data.track", "VA"], "track 'VA', expected none with kind synthetic"),
        (["--table", "t", "--data.split", "dev"], "split 'dev', expected one of train, validation, test"),
        (["--table", "t", "--mapping", "x"], "mapping 'x', expected null or one of contempt_to_other"),
        (["--table", "t", "--level", "95"], "level 95.0, expected in (0, 1)"),
        (["--table", "t", "--resamples", "-1"], "resamples -1, expected 0 or more"),
        (["--table", "t", "--baseline", "u", "--resamples", "0"], "resamples 0 with a baseline"),
    ],
)  # fmt: skip
def test_wrong_options_are_one_line(arguments, message, monkeypatch, capsys):
    assert message in refusal(monkeypatch, capsys, *arguments)


def test_wrong_files_are_one_line(files, monkeypatch, capsys):
    *_, data, folder = files
    code = refusal(monkeypatch, capsys, "--table", folder / "t.parquet", *DRAWN)
    assert code.startswith(f"{folder / 't.parquet'}: the table lacks 40 of 40 rows: ")
    where = ("--data.kind", "aff_wild2_mtl", "--data.root", folder / "gone")
    message = refusal(monkeypatch, capsys, "--table", folder / "t.parquet", *where)
    assert message == f"{folder / 'gone'}: no such folder, expected the folder of a collection of kind aff_wild2_mtl"  # fmt: skip
    out = ("--resamples", 0, "--out", folder / "t.parquet" / "s.json")
    code, _, err = scored(monkeypatch, capsys, "--table", folder / "t.parquet", *data, *out)
    assert (code, err.count("\n")) == (2, 1)
    assert "t.parquet is no folder, expected one" in err


def test_what_was_fitted_on_these_recordings_is_refused_or_marked(files, monkeypatch, capsys):
    _, table, data, folder = files
    decide = Step(name="decide", fitted_on=("v3", "elsewhere"), remarks=("by hand",))
    write_table(folder / "f.parquet", replace(table, about=About(steps=(decide,))))
    arguments = ("--table", folder / "f.parquet", *data, "--resamples", 0)
    message = refusal(monkeypatch, capsys, *arguments)
    assert "the step decide was fitted on 1 of the 9 recordings scored here (v3)" in message
    code, text, _ = scored(monkeypatch, capsys, *arguments, "--force", "true")
    assert code == 0
    assert "note: forced: the step decide was fitted on 1 of the 9 recordings scored here" in text
    assert "note: decide: by hand" in text


def test_what_the_model_was_trained_on_is_said(files, monkeypatch, capsys):
    _, table, data, folder = files
    arguments = ("--table", folder / "f.parquet", *data, "--resamples", 0)
    for groups, note in (
        (None, "whether the model was trained on these recordings is unknown"),
        (("v1", "v2", "x"), "the model was trained on 2 of these 9 recordings"),
        (("x",), None),
    ):
        write_table(folder / "f.parquet", replace(table, about=About(training_groups=groups)))
        _, text, _ = scored(monkeypatch, capsys, *arguments)
        notes = [line for line in text.splitlines() if "trained" in line]
        assert notes == ([] if note is None else [f"note: {note}"])


def test_two_tables_are_compared(files, monkeypatch, capsys):
    annotations, *_, data, folder = files
    write_table(folder / "better.parquet", perfect(annotations))
    out = folder / "s.json"
    code, text, _ = scored(
        *(monkeypatch, capsys, "--table", folder / "better.parquet", *data),
        *("--baseline", folder / "t.parquet", "--resamples", 100, "--out", out),
    )
    assert code == 0
    found = json.loads(out.read_text())
    assert found["scores"]["p_mtl"]["low"] > 0
    assert found["baseline"]["file"] == str(folder / "t.parquet")
    assert found["confusion"] is None
    assert "better.parquet - " in text.splitlines()[0]


def test_a_comparison_is_of_the_rows_that_both_predict_and_says_so(files, monkeypatch, capsys):
    annotations, table, data, folder = files
    write_table(folder / "better.parquet", perfect(annotations).without(np.arange(90) < 3))
    write_table(folder / "sparse.parquet", table.without(np.arange(90) < 50))
    out = folder / "s.json"
    code, text, _ = scored(
        *(monkeypatch, capsys, "--table", folder / "better.parquet", *data),
        *("--baseline", folder / "sparse.parquet", "--resamples", 50, "--out", out),
    )
    assert code == 0
    assert "note: baseline: 50 of 90 rows have no prediction and are not scored" in text
    known = annotations.targets.expression_valid
    assert json.loads(out.read_text())["rows"]["scored"]["expression"] == int(known[50:].sum())
