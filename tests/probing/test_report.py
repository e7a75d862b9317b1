"""What the probes found, on paper: the table, the records, the plot."""

import json
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from pretrain.probing.linear import Score, Task
from pretrain.probing.report import (
    plot,
    read_records,
    record,
    same_probe,
    scores_of,
    table,
    write_records,
)

TASKS = [
    Task("2 expressions", "macro-F1", (), "expressions below 20: x"),
    Task("valence", "CCC", ()),
]
ROWS = ("encoder, mean", "encoder, map", "untrained, mean", "untrained, map", "raw pixels", "HOG")


def scores(seed=0, rows=ROWS):
    rng = np.random.default_rng(seed)
    return {
        row: {task.name: Score(tuple(rng.random(5).tolist())) for task in TASKS} for row in rows
    }


def test_the_table_has_a_row_a_feature_set_and_a_column_a_task():
    found = scores()
    lines = table(found, TASKS, "What it is", ["said below"]).splitlines()
    assert lines[0] == "What it is"
    names = lines[2]
    starts = [0, names.index("2 expressions"), names.index("valence"), None]
    cells = [[line[a:b].strip() for a, b in pairwise(starts)] for line in lines[2:11]]
    assert cells[0] == ["", "2 expressions", "valence"]
    assert cells[1] == ["", "macro-F1", "CCC"]
    assert set("".join(cells[2])) == {"-"}
    for row, line in zip(ROWS, cells[3:], strict=True):
        expected = [
            f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"
            for values in (found[row][task.name].folds for task in TASKS)
        ]
        assert line == [row, *expected]
    assert lines[11:] == [
        "",
        "mean ± standard deviation over 5 folds by subject",
        "said below",
        "expressions below 20: x",
    ]
    assert all(line == line.rstrip() for line in lines)


def test_the_columns_keep_their_order_whatever_the_scores_order():
    turned = {row: dict(reversed(by_task.items())) for row, by_task in scores().items()}
    assert table(turned, TASKS, "", []) == table(scores(), TASKS, "", [])


def test_records_come_back_as_they_were(tmp_path):
    first = record(scores(1), 10, 0.5, "48-abc")
    second = record(scores(2), 20, 1.0, "48-abc")
    write_records(tmp_path, [first, second])
    assert read_records(tmp_path) == [first, second]
    assert scores_of(read_records(tmp_path)[1]) == scores(2)
    lines = (tmp_path / "probe.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [10, 20]
    write_records(tmp_path, [])
    assert read_records(tmp_path) == []


def test_a_folder_without_probes_has_no_records(tmp_path):
    assert read_records(tmp_path) == []


def test_a_record_tells_its_images_and_tasks():
    entry = record(scores(), 10, 0.5, "48-abc")
    assert same_probe(entry, "48-abc", TASKS)
    assert not same_probe(entry, "48-abd", TASKS)
    assert not same_probe(entry, "48-abc", TASKS[:1])
    assert not same_probe(entry, "48-abc", [*TASKS, Task("arousal", "CCC", ())])


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("tasks", [TASKS, TASKS[:1]])
def test_the_plot_is_a_picture_with_a_panel_a_task(tmp_path, count, tasks):
    rows = ("encoder, mean", "untrained, mean") if len(tasks) == 1 else ROWS
    records = [record(scores(n, rows), n, float(n), "48-abc") for n in range(count)]
    path = tmp_path / "pictures" / "probe.png"
    plot(records, tasks, path, "80 images")
    with Image.open(path) as picture:
        picture.load()
        assert picture.width == pytest.approx(3.4 * 120 * len(tasks), abs=2)
        assert picture.height == pytest.approx(3.8 * 120, abs=2)
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 20
    assert [file.name for file in path.parent.iterdir()] == ["probe.png"]


def test_the_encoders_line_moves_with_its_scores(tmp_path):
    flat = {"encoder, mean": {"valence": Score((0.5,) * 5)}, "HOG": {"valence": Score((0.2,) * 5)}}
    risen = {"encoder, mean": {"valence": Score((0.9,) * 5)}, "HOG": {"valence": Score((0.2,) * 5)}}
    pictures = []
    for name, last in (("flat", flat), ("again", flat), ("risen", risen)):
        records = [record(flat, 0, 0.0, ""), record(last, 1, 1.0, "")]
        plot(records, TASKS[1:], tmp_path / f"{name}.png", "80 images")
        pictures.append((tmp_path / f"{name}.png").read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]
