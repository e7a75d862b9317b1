"""From tables and label files to rules, to a better table, to a score that is honest."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from filmed import filmed, write_labels
from programs import run

from finetune import fit, postprocess, score
from finetune.postprocessing.rules import read_rules
from finetune.table import About, read_table, write_table

COLUMNS = ["raw", "fitted on these rows, not an estimate", "cross-fitted"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Predictions of held-out recordings, and of others by the same model, with their labels."""
    folder = tmp_path_factory.mktemp("fit")
    for name, seed in (("held_out", 0), ("new", 2)):
        table, annotations = filmed(rows=320, videos=16, seed=seed)
        videos = [f"{name}_{video}" for video in table.videos]
        images = [f"{name}_{image}" for image in table.images]
        about = About(model="m", trained_on=("affectnet",), training_groups=("elsewhere",))
        table = replace(table, images=images, videos=videos, about=about)
        write_table(folder / f"{name}.parquet", table)
        write_labels(folder / name, replace(annotations, images=images, videos=videos))
    return folder


def labels(files, name="held_out"):
    return ("--data.kind", "manifest", "--data.root", files / name)


def ran(program, monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", [program.__name__, *map(str, arguments)])
    code = program.main()
    output = capsys.readouterr()
    return code, output.out, output.err


def fitted(files, monkeypatch, capsys, *more, table="held_out"):
    arguments = ("--table", files / f"{table}.parquet", *labels(files), "--widths", "[0, 10]")
    return ran(fit, monkeypatch, capsys, *arguments, *more)


def test_settings_fitted_on_held_out_recordings_are_worth_something_on_new_ones(
    files, monkeypatch, capsys
):
    code, out, err = fitted(files, monkeypatch, capsys, "--out", files / "rules.json")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split("  ")[-1] == "cross-fitted"
    assert COLUMNS[1] in lines[0]
    assert [line.split("  ")[0] for line in lines[1:5]] == [
        *("P_MTL", "mean CCC", "macro-F1", "mean F1 of action units"),
    ]
    assert lines[5].startswith("cross-fitted: 5 folds by recordings, each scored with what was")
    rules = read_rules(files / "rules.json")
    assert rules.models == ("m",)
    assert rules.fitted_on == tuple(f"held_out_v{k}" for k in sorted(range(16), key=str))
    found = rules.record["scores"]
    assert list(found) == COLUMNS
    assert found["raw"]["P_MTL"] < found["cross-fitted"]["P_MTL"] < found[COLUMNS[1]]["P_MTL"]
    assert lines[1].split()[1:] == [f"{found[name]['P_MTL']:.4f}" for name in COLUMNS]
    assert len(rules.record["folds"]["chosen"]) == 5
    assert rules.record["labels"]["kind"] == "manifest"

    # To a table of the same recordings: whoever scores it is stopped.
    apply = ("--rules", files / "rules.json")
    same = files / "same.parquet"
    arguments = ("--table", files / "held_out.parquet", *apply, "--out", same)
    assert ran(postprocess, monkeypatch, capsys, *arguments)[0] == 0
    scored = ("--table", same, *labels(files), "--resamples", "0")
    code, out, err = ran(score, monkeypatch, capsys, *scored)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "the step smooth was fitted on 16 of the 16 recordings scored here" in err
    code, out, _ = ran(score, monkeypatch, capsys, *scored, "--force", "true")
    assert code == 0
    assert "note: forced: the step decide was fitted on 16 of the 16 recordings scored here" in out
    shown = f"{found[COLUMNS[1]]['P_MTL']:.3f}"
    assert next(line for line in out.splitlines() if "P_MTL" in line).split() == ["P_MTL", shown]

    # To a table of others: scored without a word, and better than raw.
    better, scores = files / "better.parquet", dict[str, float]()
    arguments = ("--table", files / "new.parquet", *apply, "--fill", "nearest", "--out", better)
    assert ran(postprocess, monkeypatch, capsys, *arguments)[0] == 0
    for name in ("new", "better"):
        out = files / f"{name}.json"
        table = ("--table", files / f"{name}.parquet", *labels(files, "new"))
        code, text, _ = ran(score, monkeypatch, capsys, *table, "--resamples", "0", "--out", out)
        assert code == 0
        assert "forced" not in text
        scores[name] = json.loads(out.read_text())["scores"]["p_mtl"]["value"]
    assert scores["better"] > scores["new"] + 0.1


@pytest.mark.parametrize("seen", ["held_out_v3", "held_out"])
def test_a_model_that_saw_the_recordings_is_refused_and_force_marks_every_score(
    files, monkeypatch, capsys, seen
):
    table = read_table(files / "held_out.parquet")
    names = table.videos
    if seen == "held_out":  # the person beside: of the model's video held_out_right
        names = ["held_out_left" if video == "held_out_v3" else video for video in table.videos]
    root = files / f"labels of {seen}"
    annotations = replace(filmed(rows=320, videos=16)[1], images=table.images, videos=names)
    data = write_labels(root, annotations)
    known = About(model="m", training_groups=("x", seen))
    write_table(files / "seen.parquet", replace(table, videos=names, about=known))
    arguments = ("--table", files / "seen.parquet", *data, "--widths", "[0]", "--out")
    code, out, err = ran(fit, monkeypatch, capsys, *arguments, files / "no.json")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert (
        f"seen.parquet: the model was trained on 1 of the 16 recordings of the fit ({seen})" in err
    )
    assert not (files / "no.json").exists()
    forced = files / "forced.json"
    code, out, _ = ran(fit, monkeypatch, capsys, *arguments, forced, "--force", "true")
    assert code == 0
    note = f"forced: the model was trained on 1 of the 16 recordings of the fit ({seen})"
    assert f"note: {note}" in out
    new = ("--table", files / "new.parquet", "--rules", forced, "--out", files / "f.parquet")
    assert ran(postprocess, monkeypatch, capsys, *new)[0] == 0
    scored = ("--table", files / "f.parquet", *labels(files, "new"), "--resamples", "0")
    assert f"note: decide: {note}" in ran(score, monkeypatch, capsys, *scored)[1]


def test_an_ensemble_is_fitted_with_its_weights(files, monkeypatch, capsys):
    table, _ = filmed(rows=320, videos=16, seed=0, noise=4)
    good = read_table(files / "held_out.parquet")
    bad = replace(table, images=good.images, videos=good.videos, about=About(model="bad"))
    write_table(files / "bad.parquet", bad)
    members = json.dumps({str(files / "bad.parquet"): 1, str(files / "held_out.parquet"): 1})
    arguments = ("--ensemble", members, *labels(files), "--widths", "[10]", "--folds", "2")
    code, out, _ = ran(fit, monkeypatch, capsys, *arguments, "--out", files / "pair.json")
    assert code == 0
    assert "weights of expression: " in out
    assert "bad.parquet: fitted on a table whose training recordings are unknown" in out
    rules = read_rules(files / "pair.json")
    assert rules.models == ("bad", "m")
    assert all(second > first for first, second in rules.weights.values())
    assert set(rules.widths.values()) == {10}
    applied = ("--ensemble", members, "--rules", files / "pair.json", "--out", files / "p.parquet")
    assert ran(postprocess, monkeypatch, capsys, *applied)[0] == 0
    assert [step.name for step in read_table(files / "p.parquet").about.steps] == [
        *("ensemble", "smooth", "decide"),
    ]


def test_drawn_faces_are_said_to_be_drawn(files, monkeypatch, capsys):
    table = read_table(files / "held_out.parquet")
    drawn = replace(table, about=replace(table.about, drawn=True))
    write_table(files / "drawn.parquet", drawn)
    out = files / "drawn.json"
    code, text, _ = fitted(files, monkeypatch, capsys, "--out", out, table="drawn")
    assert code == 0
    assert "note: drawn faces: these numbers say nothing about photographs" in text
    assert read_rules(out).remarks[0].startswith("drawn faces")


REFUSED = {
    "nothing to fit": ((), "table, ensemble: got neither, expected one"),
    "no data": (("--table", "t", "--data.kind", "manifest", "--out", "r"), "root None with kind"),
    "nowhere to write": (("--table", "t"), "out '', expected a file (JSON)"),
    "one fold": (("--table", "t", "--folds", "1", "--out", "r"), "folds 1, expected at least 2"),
    "no width": (
        ("--table", "t", "--widths", "[]", "--out", "r"),
        "widths [], expected some, 0 to",
    ),
    "a width below 0": (
        ("--table", "t", "--widths", "[-1]", "--out", "r"),
        "widths [-1.0], expected",
    ),
    "a bad seed": (("--table", "t", "--seed", "-1", "--out", "r"), "seed -1, expected 0 or more"),
    "one member": (
        ("--ensemble", '{"t": 1}', "--out", "r"),
        "ensemble t alone, expected at least two",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_fitted_is_one_line(monkeypatch, capsys, name):
    arguments, expected = REFUSED[name]
    code, out, err = ran(fit, monkeypatch, capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ")
    assert expected in err


def test_a_table_of_other_images_is_refused(files, monkeypatch, capsys):
    code, _, err = fitted(files, monkeypatch, capsys, "--out", files / "no.json", table="new")
    assert (code, err.count("\n")) == (2, 1)
    assert "expected the same images" in err


def test_it_runs_as_a_module(files):
    arguments = ("--table", files / "held_out.parquet", *labels(files), "--widths", "[0]")
    code, out, err = run("-m", "finetune.fit", *arguments, "--out", files / "module.json")
    assert (code, err) == (0, "")
    assert "cross-fitted" in out
    assert (files / "module.json").exists()


def test_rules_of_out_of_fold_predictions_are_for_the_model_of_all_folds(
    files, monkeypatch, capsys
):
    whole = read_table(files / "held_out.parquet")
    first = np.array([video in sorted(set(whole.videos))[:8] for video in whole.videos])
    for name, rows in (("a", first), ("b", ~first)):
        about = replace(whole.about, model=f"fold {name}", training_groups=tuple(
            sorted({group for group, mine in zip(whole.groups, rows, strict=True) if not mine})
        ))  # fmt: skip
        part = replace(whole.select(np.flatnonzero(rows)), about=about)
        write_table(files / f"{name}.parquet", part)
    joined = json.dumps([str(files / "a.parquet"), str(files / "b.parquet")])
    steps = ("--join", joined, "--out", files / "folds.parquet")
    assert ran(postprocess, monkeypatch, capsys, *steps)[0] == 0
    code, out, err = fitted(
        files, monkeypatch, capsys, "--out", files / "folds.json", table="folds"
    )
    assert (code, err) == (0, "")
    assert "forced" not in out
    use = ("--table", files / "new.parquet", "--rules", files / "folds.json")
    code, _, err = ran(postprocess, monkeypatch, capsys, *use, "--out", files / "better.parquet")
    assert (code, err) == (0, "")
    remarks = [step.remarks for step in read_table(files / "better.parquet").about.steps]
    assert all("whether the rules are for the model is unknown" in step for step in remarks)


@pytest.mark.parametrize("kept", [(), ("subject",), ("video",)])
def test_a_fit_is_recognised_whatever_the_labels_call_its_groups(
    files, tmp_path, monkeypatch, capsys, kept
):
    rules, better = tmp_path / "rules.json", tmp_path / "better.parquet"
    assert fitted(files, monkeypatch, capsys, "--out", rules)[0] == 0
    use = ("--table", files / "held_out.parquet", "--rules", rules, "--out", better)
    assert ran(postprocess, monkeypatch, capsys, *use)[0] == 0
    (source,) = (files / "held_out").iterdir()
    with source.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for number, row in enumerate(rows):
        row.pop("frame", None)
        video = row.pop("video")
        if "subject" in kept:
            row["subject"] = f"person {number % 9}"
        if "video" in kept:
            row["video"] = f"elsewhere/{video}"
    with (tmp_path / source.name).open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    again = ("--data.kind", "manifest", "--data.root", tmp_path, "--resamples", 0)
    code, _, err = ran(score, monkeypatch, capsys, "--table", better, *again)
    assert code == 2
    assert "was fitted on 16 of the" in err
