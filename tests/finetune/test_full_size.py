"""s-Aff-Wild2 at its full size, made up: read right, quickly, in little memory; scored in seconds."""

import json
import os
import subprocess
import sys
import time

import full_size
import numpy as np
import pytest
from programs import ROOT, environment
from tables import guessed, perfect

from finetune.data.config import LabelledConfig
from finetune.data.opening import read_collection
from finetune.metrics import ccc
from finetune.table import write_table

pytestmark = pytest.mark.slow

SPLITS = {"train": full_size.TRAIN, "validation": full_size.VALIDATION, "test": full_size.TEST}

_READ = """
import resource
from finetune.data.config import LabelledConfig
from finetune.data.opening import read_collection
kept = [
    read_collection(LabelledConfig(kind="aff_wild2_mtl", root={root!r}, split=split))
    for split in ("train", "validation", "test")
]
assert [len(c.annotations) for c in kept] == [142382, 26876, 51159]
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("s-Aff-Wild2")
    full_size.write_release(folder)
    return folder


def read(root, split):
    config = LabelledConfig(kind="aff_wild2_mtl", root=str(root), split=split)
    return read_collection(config).annotations


def on_one_core(*arguments):
    """Output and seconds of a program that may use a single core."""
    core = min(os.sched_getaffinity(0))
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=environment(),
        check=True,
        capture_output=True,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, [core]),
    )
    return done.stdout, time.monotonic() - began


@pytest.mark.parametrize("split", ["train", "validation"])
def test_every_count_that_was_written_is_read(root, split):
    found, file = read(root, split), SPLITS[split]
    targets = found.targets
    rows, again, videos = full_size.SIZES[file]
    assert (len(found), len(found) - len(set(found.images))) == (rows, again)
    assert len(set(found.videos)) == len(set(found.groups)) == videos
    codes = targets.expression[targets.expression_valid]
    assert np.bincount(codes, minlength=8).tolist() == full_size.CLASSES[file]
    units = targets.action_units * targets.action_units_valid
    assert units.sum(0).tolist() == full_size.UNITS[file]
    affect, present = targets.valence_arousal_valid, targets.action_units_valid
    assert (affect.all(1) == affect.any(1)).all()
    assert (present.all(1) == present.any(1)).all()
    pattern = np.column_stack([affect.any(1), targets.expression_valid, present.any(1)])
    kinds, counts = np.unique(pattern.astype(int), axis=0, return_counts=True)
    written = {kind: count for kind, count in full_size.PATTERN[file].items() if count}
    assert {tuple(k): c for k, c in zip(kinds.tolist(), counts.tolist(), strict=True)} == written


@pytest.mark.parametrize("split", ["train", "validation"])
def test_every_cell_is_what_its_line_says(root, split):
    found = read(root, split)
    lines = (root / SPLITS[split]).read_text().splitlines()[1:]
    cells = [line.split(",") for line in lines]
    assert list(found.images) == [row[0] for row in cells]
    assert found.frames.tolist() == [int(row[0][-9:-4]) for row in cells]
    assert list(found.videos) == [row[0].partition("/")[0] for row in cells]
    numbers = np.array([row[1:] for row in cells], np.float64)
    targets = found.targets
    for values, valid, written, missing in (
        (targets.valence_arousal, targets.valence_arousal_valid, numbers[:, :2], -5),
        (targets.expression, targets.expression_valid, numbers[:, 2], -1),
        (targets.action_units, targets.action_units_valid, numbers[:, 3:], -1),
    ):
        assert np.array_equal(valid, written != missing)
        assert np.array_equal(values, np.where(valid, written, 0))


def test_the_test_list_keeps_every_row(root):
    found = read(root, "test")
    rows, again, videos = full_size.SIZES[full_size.TEST]
    assert list(found.images) == (root / full_size.TEST).read_text().split()[1:]
    assert (len(found), len(set(found.images)), len(set(found.videos))) == (
        *(rows, rows - again),
        videos,
    )


def test_the_description_agrees_with_every_published_count(root, tmp_path):
    arguments = ("--data.kind", "aff_wild2_mtl", "--data.root", root, "--images", "false")
    out = tmp_path / "out.json"
    text, _ = on_one_core("-m", "finetune.describe", *arguments, "--out", out)
    found = json.loads(out.read_text())
    assert (found["published"]["agree"], found["published"]["of"]) == (56, 56)
    assert "56 of 56 published counts agree\n" in text
    assert "no two splits share any of their images, videos, recordings\n" in text
    assert found["splits"]["train"]["totals"]["all_tasks"] / 142_382 == pytest.approx(
        0.37, abs=1e-4
    )


def test_all_splits_are_read_in_ten_seconds_and_half_a_gigabyte(root):
    output, seconds = on_one_core("-c", _READ.format(root=str(root)))
    assert int(output) < 500 * 1024  # kB
    assert seconds < 10


def test_a_table_is_scored_in_seconds_on_one_core(root, tmp_path):
    annotations = read(root, "validation")
    table = guessed(annotations)
    write_table(tmp_path / "t.parquet", table)
    data = ("--data.kind", "aff_wild2_mtl", "--data.root", root, "--data.split", "validation")
    arguments = ("-m", "finetune.score", "--table", tmp_path / "t.parquet", *data)
    out = tmp_path / "scores.json"
    _, seconds = on_one_core(*arguments, "--resamples", "0", "--out", out)
    assert seconds < 5
    alone = json.loads(out.read_text())
    assert alone["rows"] == {
        "listed": 26_876,
        "scored": {"valence_arousal": 26_876, "expression": 15_440, "action_units": 26_876},
    }
    expected = ccc(
        target=annotations.targets.valence_arousal, prediction=table.valence_arousal
    ).tolist()
    found = alone["scores"]["ccc"]
    assert [found[name]["value"] for name in ("valence", "arousal")] == pytest.approx(expected)
    _, seconds = on_one_core(*arguments, "--resamples", "1000", "--out", out)
    assert seconds < 20
    sure = json.loads(out.read_text())
    assert sure["interval"]["over"] == "50 recordings"
    total = sure["scores"]["p_mtl"]
    assert total["value"] == pytest.approx(alone["scores"]["p_mtl"]["value"], rel=1e-12)
    assert total["low"] < total["value"] < total["high"]


def test_the_labels_as_a_table_score_exactly_three(root, tmp_path):
    write_table(tmp_path / "t.parquet", perfect(read(root, "validation")))
    data = ("--data.kind", "aff_wild2_mtl", "--data.root", root, "--data.split", "validation")
    out = tmp_path / "scores.json"
    on_one_core(
        *("-m", "finetune.score", "--table", tmp_path / "t.parquet", *data),
        *("--resamples", "0", "--out", out),
    )
    assert json.loads(out.read_text())["scores"]["p_mtl"]["value"] == 3
