"""The program, as a user types it: what appears, what is printed, what is refused."""

import hashlib
import json
import os
from datetime import UTC, datetime

import numpy as np
import pytest
from programs import run
from submissions import MTL_HEADER, MTL_ROWS, bare_list, shuffled, table

from finetune.submit import main
from finetune.table import About, Step, write_table


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a table and a template."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text("image\n" + bare_list())
    write_table(tmp_path / "t.parquet", table())
    return tmp_path


@pytest.fixture
def submit(monkeypatch, capsys):
    """Runs the program in this process: its exit code, stdout and stderr."""

    def call(options):
        monkeypatch.setattr("sys.argv", ["submit", *options.split()])
        code = main()
        return code, *capsys.readouterr()

    return call


MTL = "--challenge abaw_mtl --template list.txt"


def sha256(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def ledger(folder):
    return [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]


def test_written_checked_and_noted(folder, submit):
    out = folder / "submission" / "predictions.txt"
    code, printed, errors = submit(f"--table t.parquet {MTL} --out submission/predictions.txt")
    assert (code, errors) == (0, "")
    assert out.read_text() == MTL_HEADER + MTL_ROWS
    assert sorted(os.listdir(out.parent)) == ["ledger.jsonl", "predictions.txt"]
    assert printed.endswith(
        "wrote submission/predictions.txt: 36 rows of abaw_mtl, noted in submission/ledger.jsonl\n"
    )
    assert (
        "warning: the template lists 36 images, the published list of abaw_mtl 51159\n" in printed
    )
    code, printed, errors = submit(f"{MTL} --check submission/predictions.txt")
    assert (code, errors) == (0, "")
    assert printed.splitlines()[-1] == f"ok: 36 rows of abaw_mtl, SHA-256 {sha256(out)}"
    assert "warning: AU1 is in 2.78% of the rows, in 18.11% of the training labels\n" in printed
    assert len(ledger(out.parent)) == 1  # nothing of the check


def test_the_ledger_tells_how_a_submission_was_made(folder, submit):
    limits, biases = np.full(15, 0.5), np.zeros(9)
    limits[2], biases[3] = 0.75, -0.5
    steps = (
        Step(name="smooth", settings={"width": 3}, fitted_on=("v9",), remarks=("non-causal",)),
    )
    about = About(model="abc", trained_on=("affectnet", "aff_wild2_video"), steps=steps)
    filled = ["nearest", *[""] * 35]
    write_table(
        folder / "t.parquet", table(thresholds=limits, biases=biases, about=about, filled=filled)
    )
    before = datetime.now(UTC).replace(microsecond=0)
    submit(f"--table t.parquet {MTL} --out p.txt --mapping contempt_to_other")
    (line,) = ledger(folder)
    assert before <= datetime.fromisoformat(line.pop("time")) <= datetime.now(UTC)
    warnings = line.pop("warnings")
    thresholds = line["settings"].pop("thresholds")
    assert thresholds.pop("AU1") == 0.75
    assert set(thresholds.values()) == {0.5}
    assert len(thresholds) == 14
    biases = line["settings"].pop("biases")
    assert biases.pop("Anger") == -0.5
    assert set(biases.values()) == {0}
    assert line == {
        "challenge": "abaw_mtl",
        "table": {"file": "t.parquet", "sha256": sha256(folder / "t.parquet"), "model": "abc"},
        "template": {"file": "list.txt", "sha256": sha256(folder / "list.txt")},
        "rows": 36,
        "settings": {
            "mapping": "contempt_to_other",
            "subset": False,
            "steps": [
                {
                    "name": "smooth",
                    "settings": {"width": 3},
                    "fitted_on": ["v9"],
                    "remarks": ["non-causal"],
                }
            ],
        },
        "out": {"file": "p.txt", "sha256": sha256(folder / "p.txt")},
    }
    assert warnings[:3] == [
        "the model was trained on aff_wild2_video: the rules of abaw_mtl forbid it",
        "smooth: non-causal",
        "1 of 36 rows were filled: nearest 1",
    ]


def test_a_file_is_replaced_and_the_ledger_goes_on(folder, submit):
    submit(f"--table t.parquet {MTL} --out p.txt")
    write_table(folder / "t.parquet", shuffled(table(valence_arousal=np.zeros((36, 2)))))
    code, printed, _ = submit(f"--table t.parquet {MTL} --out p.txt")
    assert code == 0
    assert "warning: valence is 0 in every row: its CCC is 0\n" in printed
    assert (folder / "p.txt").read_text().splitlines()[2] == (
        "v2/00004.jpg,0.000000,0.000000,1,0,0,0,0,0,0,0,0,0,0,1,1"
    )
    first, second = ledger(folder)
    assert first["out"]["sha256"] != second["out"]["sha256"] == sha256(folder / "p.txt")


def test_a_folder_of_videos(folder, submit):
    (folder / "videos.txt").write_text("v,2\nw,1\n")
    rows = "v/00001.jpg Anger 0.5 0\nw/00001.jpg Fear 0.25 0\nv/00002.jpg Other 0 1\n"
    write_table(folder / "t.parquet", table(rows))
    options = "--challenge abaw3_va --template videos.txt"
    code, _, errors = submit(f"--table t.parquet {options} --out sub/va")
    assert (code, errors) == (0, "")
    assert sorted(os.listdir("sub")) == ["ledger.jsonl", "va"]
    assert sorted(os.listdir("sub/va")) == ["v.txt", "w.txt"]
    assert (folder / "sub/va/v.txt").read_text() == (
        "valence,arousal\n0.500000,0.000000\n0.000000,1.000000\n"
    )
    code, printed, _ = submit(f"{options} --check sub/va")
    assert code == 0
    assert printed.splitlines()[-1].startswith("ok: 3 rows of abaw3_va, SHA-256 ")
    assert printed.splitlines()[-1].endswith(ledger(folder / "sub")[0]["out"]["sha256"])
    code, _, errors = submit(f"--table t.parquet {options} --out sub/va")
    assert code == 2
    assert errors == "error: out sub/va: is there already, expected a new folder\n"
    assert len(ledger(folder / "sub")) == 1
    (folder / "sub/va/w.txt").unlink()
    code, printed, errors = submit(f"{options} --check sub/va")
    assert (code, printed) == (2, "sub/va/w.txt: no such file, expected it with 1 rows\n")
    assert errors == "error: sub/va: 1 fault, expected none\n"


def test_a_part_of_a_table(folder, submit):
    (folder / "list.txt").write_text("v1/00001.jpg\n")
    code, _, errors = submit(f"--table t.parquet {MTL} --out p.txt")
    assert code == 2
    assert errors.startswith("error: t.parquet: 35 of 36 rows are not in list.txt: v2/00001.jpg,")
    code, printed, _ = submit(f"--table t.parquet {MTL} --out p.txt --subset true")
    assert code == 0
    assert "warning: 35 rows of the table are not in the template and were left out\n" in printed
    assert ledger(folder)[0]["settings"]["subset"] is True


def test_faults_are_printed_up_to_a_number(folder, submit):
    rows = MTL_ROWS.replace(",0\n", ",9\n").replace(",1\n", ",1.0\n")
    (folder / "theirs.txt").write_text("image\n" + rows)
    code, printed, errors = submit(f"{MTL} --check theirs.txt")
    assert code == 2
    assert errors == "error: theirs.txt: 37 faults, expected none\n"
    lines = printed.splitlines()
    assert len(lines) == 21
    assert lines[0] == (
        "theirs.txt:1: 'image', expected the header image,valence,arousal,expression,aus"
    )
    assert lines[1] == "theirs.txt:2: AU26 '1.0', expected 0 or 1 without a point"
    assert lines[-1] == "... and 17 more"


def test_remarks_of_a_check_are_warnings(folder, submit):
    (folder / "theirs.txt").write_bytes((MTL_HEADER + MTL_ROWS).replace("\n", "\r\n").encode())
    code, printed, _ = submit(f"{MTL} --check theirs.txt")
    assert code == 0
    assert "\nwarning: lines end with CRLF\n" in printed


WRITE = f"--table t.parquet {MTL} --out p.txt"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            "",
            "challenge '', expected one of abaw_mtl, abaw_lsd, abaw_va, abaw_expr, abaw_au, abaw1",
        ),
        ("--challenge abaw", "--challenge 'abaw', expected one of abaw_mtl, abaw_lsd"),
        ("--challenge abaw_mtl", "template '', expected the list of images of the challenge"),
        (MTL, "out null and check null, expected a file to write or one to check"),
        (f"{MTL} --out p.txt", "table null with out, expected a prediction table (Parquet)"),
        (f"{WRITE} --check p.txt", "--out and check, expected one of them"),
        (
            f"{MTL} --check p.txt --table t.parquet",
            "--table, mapping or subset with check, expected",
        ),
        (f"{MTL} --check p.txt --subset true", "table, mapping or subset with check, expected"),
        (f"{WRITE} --mapping contempt", "--mapping 'contempt', expected one of contempt_to_other"),
        (f"{WRITE} --subset maybe", "--subset: got 'maybe', expected "),
        (f"{WRITE} --tabel x", "--tabel: unknown key, expected perhaps 'table'"),
        (f"{MTL} --check gone.txt", "gone.txt: No such file or directory, expected the submission"),
        (f"{MTL} --check .", ".: Is a directory, expected the submission to abaw_mtl: one file"),
        (f"--table gone.parquet {MTL} --out p.txt", "gone.parquet: No such file or directory"),
        (f"--table list.txt {MTL} --out p.txt", "list.txt: "),
        (f"{WRITE} --template gone.txt", "gone.txt: No such file or directory, expected a list"),
        (f"{WRITE} --template t.parquet", "t.parquet:1: byte 0x"),
        (f"{WRITE} --out list.txt", "out list.txt: is what is read, expected another file"),
        (f"{WRITE} --out ./t.parquet", "out t.parquet: is what is read, expected another file"),
        (f"{WRITE} --out .", "out .: a folder, expected a file to write"),
        (
            f"{WRITE} --out ledger.jsonl",
            "out ledger.jsonl: the name of the ledger, expected another",
        ),
        (f"{WRITE} --out list.txt/p.txt", "list.txt/p.txt: cannot write: "),
        (f"{WRITE} --challenge abaw1_au", "list.txt:3: 'v2/00004.jpg', expected frame 2"),
    ],
)
def test_refusals_are_one_line_and_write_nothing(folder, submit, options, expected):
    before = {name: (folder / name).read_bytes() for name in os.listdir(folder)}
    code, printed, errors = submit(options)
    assert (code, printed) == (2, "")
    assert errors.startswith(f"error: {expected}")
    assert errors.count("\n") == 1
    assert {name: (folder / name).read_bytes() for name in os.listdir(folder)} == before


def test_a_table_that_does_not_fit_is_named(folder, submit):
    write_table(folder / "t.parquet", table().without(np.arange(36) == 2))
    code, _, errors = submit(WRITE)
    assert code == 2
    assert errors == (
        "error: t.parquet: 1 of 36 rows have no prediction (v2/00007.jpg), expected one in every"
        " row: python -m finetune.postprocess --fill nearest fills them\n"
    )
    assert sorted(os.listdir(folder)) == ["list.txt", "t.parquet"]


def test_help_and_the_real_command(folder):
    code, printed, _ = run("-m", "finetune.submit", "--help")
    assert code == 0
    assert "added to ledger.jsonl" in " ".join(printed.split())
    listed = folder / "list.txt"
    options = ("--challenge", "abaw_mtl", "--template", listed)
    module = ("-m", "finetune.submit", *options)
    code, printed, errors = run(*module, "--table", folder / "t.parquet", "--out", folder / "p.txt")
    assert (code, errors) == (0, "")
    code, printed, errors = run(*module, "--check", folder / "list.txt")
    assert code == 2
    assert "Traceback" not in errors


@pytest.mark.slow
def test_the_whole_multi_task_list(tmp_path):
    """Written in 1.5 to 2.6, checked in 0.8 to 1.4 seconds, imports included (2 shared cores)."""
    rng, n = np.random.default_rng(0), 51_159
    names = [f"video{row // 640}/{row % 640 * 3 + 1:05d}.jpg" for row in range(n)]
    names[-718:] = names[:718]
    (tmp_path / "list.txt").write_text("image\n" + bare_list(names))
    scores = rng.dirichlet(np.ones(9), n)
    found = table(
        "".join(f"{name} Anger 0 0\n" for name in names),
        valence_arousal=rng.uniform(-1, 1, (n, 2)),
        expression=scores,
        action_units=rng.random((n, 15)),
    )
    write_table(tmp_path / "t.parquet", shuffled(found))
    module = (
        "-m",
        "finetune.submit",
        "--challenge",
        "abaw_mtl",
        "--template",
        tmp_path / "list.txt",
    )
    out = tmp_path / "predictions.txt"
    code, _, errors = run(*module, "--table", tmp_path / "t.parquet", "--out", out)
    assert (code, errors) == (0, "")
    code, printed, _ = run(*module, "--check", out)
    assert code == 0
    assert f"ok: 51159 rows of abaw_mtl, SHA-256 {sha256(out)}" in printed
