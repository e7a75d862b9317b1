"""The program that makes tables: what it writes and says, and what it refuses in one line."""

from dataclasses import replace

import numpy as np
import pytest
from filmed import frames_of, numbers
from programs import run

from finetune import postprocess
from finetune.postprocessing.columns import TASKS
from finetune.postprocessing.rules import Rules, write_rules
from finetune.postprocessing.smoothing import smooth
from finetune.table import About, read_table, write_table

A = frames_of(("a", 1, 0.2), ("a", 3, None), ("a", 5, 0.6), ("b", 1, None))
B = replace(
    frames_of(("a", 1, 0.4), ("a", 3, None), ("a", 5, 0.6), ("b", 1, None)), about=About(model="n")
)
RULES = Rules(
    models=("m",),
    widths={"valence_arousal": 2.0, "expression": 2.0, "action_units": 2.0},
    thresholds={"AU12": 0.25},
    biases={"Neutral": 0.0, "Happiness": -0.5},
    fitted_on=("v1",),
)
WIDTHS = [word for task in TASKS for word in (f"--smooth.{task}", "3")]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "a.parquet", A)
    write_table(tmp_path / "b.parquet", B)
    write_rules(tmp_path / "rules.json", RULES)
    pair = replace(RULES, models=("m", "n"), weights=dict.fromkeys(TASKS, (0.0, 1.0)))
    write_rules(tmp_path / "pair.json", pair)
    return tmp_path


def made(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["postprocess", *map(str, arguments)])
    code = postprocess.main()
    output = capsys.readouterr()
    return code, output.out, output.err


def table_of(folder, monkeypatch, capsys, *arguments):
    code, out, err = made(monkeypatch, capsys, *arguments, "--out", "new/o.parquet")
    assert (code, err) == (0, "")
    assert out.endswith(f"new/o.parquet: {len(A)} rows\n")
    return read_table(folder / "new" / "o.parquet"), out


def test_a_table_is_filled_and_smoothed_in_this_order(folder, monkeypatch, capsys):
    arguments = ("--fill", "interpolate", "--fill_rest", "mean", *WIDTHS)
    table, out = table_of(folder, monkeypatch, capsys, "--table", "a.parquet", *arguments)
    assert [step.name for step in table.about.steps] == ["fill", "smooth"]
    plain = numbers(smooth(A, dict.fromkeys(TASKS, 3)))
    found = numbers(table)
    assert [found[0], found[2]] == [plain[0], plain[2]]  # filled rows smooth nothing
    assert found[1] == pytest.approx(0.4)
    assert found[3] == 0.4  # the mean, and no frame near
    assert table.filled == ["", "interpolate", "", "mean"]
    assert "fill: 1 rows by interpolate, 1 rows by mean, 0 rows stay without a prediction" in out
    assert "smooth, in frames: valence_arousal 3, expression 3, action_units 3" in out
    assert "  note: non-causal" in out


def test_rows_that_stay_null_are_counted(folder, monkeypatch, capsys):
    table, out = table_of(folder, monkeypatch, capsys, "--table", "a.parquet", "--fill", "nearest")
    assert numbers(table) == [0.2, 0.2, 0.6, None]
    assert "1 of 4 rows have no prediction" in out


def test_rules_are_applied(folder, monkeypatch, capsys):
    arguments = ("--table", "a.parquet", "--rules", "rules.json", "--fill", "nearest")
    table, out = table_of(folder, monkeypatch, capsys, *arguments)
    assert [step.name for step in table.about.steps] == ["fill", "smooth", "decide"]
    assert [step.fitted_on for step in table.about.steps] == [(), ("v1",), ("v1",)]
    assert table.thresholds.tolist() == [0.25]
    assert table.biases.tolist() == [0, -0.5]
    assert "decide, thresholds: AU12 0.25" in out
    assert "decide, biases: Neutral 0, Happiness -0.5" in out


def test_tables_are_combined_by_typed_or_by_fitted_weights(folder, monkeypatch, capsys):
    both = '{"a.parquet": 3, "b.parquet": 1}'
    table, out = table_of(folder, monkeypatch, capsys, "--ensemble", both)
    assert numbers(table) == [0.25, None, 0.6, None]
    assert "ensemble of a.parquet, b.parquet, weights:" in out
    alike = '{"a.parquet": 1, "b.parquet": 1}'
    arguments = ("--ensemble", alike, "--rules", "pair.json")
    table, _ = table_of(folder, monkeypatch, capsys, *arguments)
    assert [step.name for step in table.about.steps] == ["ensemble", "smooth", "decide"]
    assert numbers(table) == numbers(smooth(B, dict.fromkeys(TASKS, 2)))


def test_tables_of_other_images_are_joined(folder, monkeypatch, capsys):
    write_table(folder / "c.parquet", frames_of(("c", 1, 0.3)))
    files = '["a.parquet", "c.parquet"]'
    code, out, err = made(monkeypatch, capsys, "--join", files, "--out", "o.parquet")
    assert (code, err) == (0, "")
    assert "join of a.parquet (4 rows), c.parquet (1 rows)" in out
    assert numbers(read_table(folder / "o.parquet")) == [0.2, None, 0.6, None, 0.3]


def test_rules_of_another_model_need_force_and_leave_a_mark(folder, monkeypatch, capsys):
    arguments = ("--table", "b.parquet", "--rules", "rules.json")
    code, out, err = made(monkeypatch, capsys, *arguments, "--out", "o.parquet")
    assert (code, out) == (2, "")
    assert err == (
        "error: model n, the rules were fitted for m, expected the same; --force true applies them"
        " all the same and marks every score\n"
    )
    assert not (folder / "o.parquet").exists()
    table, out = table_of(folder, monkeypatch, capsys, *arguments, "--force", "true")
    for step in table.about.steps:
        assert "forced: model n, the rules were fitted for m" in step.remarks
    assert "  note: forced: model n, the rules were fitted for m" in out


def test_the_same_command_writes_the_same_bytes_and_leaves_its_inputs(folder, monkeypatch, capsys):
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    arguments = ("--table", "a.parquet", "--rules", "rules.json", "--fill", "nearest")
    for name in ("1.parquet", "2.parquet"):
        made(monkeypatch, capsys, *arguments, "--out", name)
    assert (folder / "1.parquet").read_bytes() == (folder / "2.parquet").read_bytes()
    assert {name: (folder / name).read_bytes() for name in before} == before


ONE = ("--table", "a.parquet", "--out", "o.parquet")
PAIR = '{"a.parquet": 1, "b.parquet": 1}'
REFUSED = {
    "nothing to read": (
        ("--out", "o.parquet"),
        "table, ensemble, join: got none of them, expected",
    ),
    "two sources": ((*ONE, "--ensemble", PAIR), "got table, ensemble, expected one"),
    "nothing to do": (ONE, "got a table alone, expected fill, fill_rest, smooth or rules as well"),
    "nowhere to write": (("--table", "a.parquet", "--fill", "nearest"), "out '', expected a file"),
    "its own input": (
        ("--table", "a.parquet", "--fill", "nearest", "--out", "./a.parquet"),
        "out ./a.parquet is read as well, expected another file",
    ),
    "the rules as output": (
        ("--table", "a.parquet", "--rules", "rules.json", "--out", "rules.json"),
        "out rules.json is read as well",
    ),
    "unknown fill": ((*ONE, "--fill", "linear"), "fill 'linear', expected nearest or interpolate"),
    "unknown rest": ((*ONE, "--fill_rest", "zero"), "fill_rest 'zero', expected mean"),
    "negative width": (
        (*ONE, "--smooth.expression", "-1"),
        "smooth.expression -1.0, expected 0 to 10000 frames",
    ),
    "not a width": ((*ONE, "--smooth.expression", "wide"), "expected float"),
    "unknown task": ((*ONE, "--smooth.age", "1"), "smooth.age: unknown key"),
    "widths twice": (
        (*ONE, "--rules", "rules.json", *WIDTHS),
        "smooth valence_arousal, expression, action_units with rules, expected their widths alone",
    ),
    "weights twice": (
        ("--ensemble", PAIR.replace("1}", "2}"), "--rules", "pair.json", "--out", "o.parquet"),
        "ensemble: weights 1, 2 with rules, expected equal ones",
    ),
    "one member": (
        ("--ensemble", '{"a.parquet": 1}', "--out", "o"),
        "a.parquet alone, expected at",
    ),
    "negative weight": (
        ("--ensemble", PAIR.replace("1}", "-1}"), "--out", "o"),
        "ensemble b.parquet: weight -1.0, expected 0 to 1000",
    ),
    "no weight": (
        ("--ensemble", PAIR.replace("1", "0"), "--out", "o"),
        "every weight is 0, expected",
    ),
    "one part": (("--join", '["a.parquet"]', "--out", "o"), "expected at least two different"),
    "a part twice": (
        ("--join", '["a.parquet", "a.parquet"]', "--out", "o"),
        "two different tables",
    ),
    "overlapping parts": (
        ("--join", '["a.parquet", "b.parquet"]', "--out", "o"),
        "b.parquet: 4 images are in a.parquet as well",
    ),
    "no such table": (
        ("--table", "z.parquet", "--fill", "nearest", "--out", "o"),
        "expected a prediction table",
    ),
    "no table": (
        ("--table", "rules.json", "--fill", "nearest", "--out", "o"),
        "expected a predictio",
    ),
    "no such rules": ((*ONE, "--rules", "z.json"), "expected fitted rules (JSON)"),
    "no rules": ((*ONE, "--rules", "a.parquet"), "expected JSON"),
    "rules of an ensemble": (
        (*ONE, "--rules", "pair.json"),
        "the rules are for an ensemble of 2, got",
    ),
    "nowhere": (
        ("--table", "a.parquet", "--fill", "nearest", "--out", "a.parquet/o.parquet"),
        "cannot write",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_one_line(folder, monkeypatch, capsys, name):
    arguments, expected = REFUSED[name]
    before = sorted(folder.iterdir())
    code, out, err = made(monkeypatch, capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert expected in err
    assert sorted(folder.iterdir()) == before


def test_a_smoothed_table_is_not_smoothed_again(folder, monkeypatch, capsys):
    table_of(folder, monkeypatch, capsys, "--table", "a.parquet", *WIDTHS)
    again = ("--table", "new/o.parquet", "--out", "p.parquet")
    for more in (WIDTHS, ("--rules", "rules.json")):
        code, _, err = made(monkeypatch, capsys, *again, *more)
        assert code == 2
        assert "went through the step smooth, expected predictions that nobody has smoothed" in err


def test_it_runs_as_a_module(folder):
    arguments = (
        "--table",
        folder / "a.parquet",
        "--fill",
        "nearest",
        "--out",
        folder / "o.parquet",
    )
    code, _, err = run("-m", "finetune.postprocess", *arguments)
    assert (code, err) == (0, "")
    np.testing.assert_allclose(
        read_table(folder / "o.parquet").action_units[:3, 0], [0.2, 0.2, 0.6]
    )
