"""The report: every number stands under its name, the page needs nothing else, and says what is
wrong with its numbers."""

import re
from dataclasses import replace

import numpy as np
import pytest
from label_files import write
from PIL import Image
from programs import run
from report_pages import Page
from tables import guessed, labelled, perfect

from finetune import report
from finetune.data.config import LabelledConfig
from finetune.data.opening import read_collection
from finetune.score import DRAWN
from finetune.scoring.joined import join
from finetune.scoring.scores import score, score_difference
from finetune.scoring.text import TITLES, shown
from finetune.table import About, Step, read_table, write_table
from pretrain.data.synthetic import SyntheticConfig

#: Few resamples: the numbers are those of the scores, whatever they are.
FEW = ("--resamples", 50)


def challenge(root, annotations):
    """A validation file of s-Aff-Wild2 with these labels, without images."""
    lines, t = ["image,valence,arousal,expression,aus"], annotations.targets
    for row, image in enumerate(annotations.images):
        affect = np.where(t.valence_arousal_valid[row], t.valence_arousal[row], -5)
        expression = t.expression[row] if t.expression_valid[row] else -1
        units = np.where(t.action_units_valid[row], t.action_units[row], -1)
        lines.append(",".join(map(str, [image, *affect, expression, *units])))
    write(root / "validation_set_annotations.txt", "\n".join(lines) + "\n")
    return ("--data.kind", "aff_wild2_mtl", "--data.root", root)


def manifest(root, text, expression, scores):
    """A manifest with these lines below its head, and the table of a model for its expressions."""
    write(root / "validation.csv", f"image,{expression}\n" + text)
    data = LabelledConfig(kind="manifest", root=str(root))
    right = perfect(read_collection(data).annotations)
    table = replace(right, expression=np.array(scores, np.float64), **dict.fromkeys(
        ("valence_arousal", "action_units", "action_unit_space")
    ))  # fmt: skip
    write_table(root / "t.parquet", table)
    return ("--table", root / "t.parquet", "--data.kind", "manifest", "--data.root", root)


@pytest.fixture
def make(tmp_path, monkeypatch, capsys):
    """Runs the program in this process and reads its page."""

    def made(*arguments):
        out = tmp_path / "out" / "report.html"
        arguments = [*map(str, arguments), "--out", str(out)]
        monkeypatch.setattr("sys.argv", ["report", *arguments])
        code = report.main()
        output = capsys.readouterr()
        assert (code, output.out, output.err) == (0, f"report: {out}\n", "")
        return Page(out.read_text(encoding="utf-8"))

    return made


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Runs the program and returns the one line of its refusal."""

    def made(*arguments):
        monkeypatch.setattr("sys.argv", ["report", *map(str, arguments)])
        code = report.main()
        output = capsys.readouterr()
        assert (code, output.out, output.err.count("\n")) == (2, "", 1)
        return output.err.removeprefix("error: ").rstrip()

    return made


@pytest.fixture
def case(tmp_path):
    """Labels and a table of the challenge as files, with rows that have no prediction."""
    annotations = labelled(rows=300, videos=9)
    right, chance = (
        perfect(annotations).expression,
        np.random.default_rng(3).dirichlet([1] * 8, 300),
    )
    table = replace(
        guessed(annotations),
        expression=0.2 * right + 0.8 * chance,  # every class is taken for others
        thresholds=np.linspace(0.3, 0.6, 12),
        about=About(model="0123456789abcdef", training_groups=()),
    ).without(np.arange(300) % 50 == 7)
    write_table(tmp_path / "t.parquet", table)
    data = challenge(tmp_path / "root", annotations)
    return annotations, table, ("--table", tmp_path / "t.parquet", *data, *FEW), tmp_path


def test_every_number_of_the_scores_stands_under_its_name(case, make):
    annotations, table, arguments, _ = case
    page = make(*arguments)
    scores = score(join(table, annotations), resamples=50)
    singles = {name: i for name, i in scores.found.items() if not scores.columns[name]}
    tiles = dict(zip(page.texts("p", "tile-title"), zip(
        page.texts("p", "tile-value"), page.texts("p", "tile-interval"), strict=True
    ), strict=True))  # fmt: skip
    assert {name: " ".join(tile) for name, tile in tiles.items()} == {
        TITLES[name]: shown(singles[name]) for name in ("p_mtl", "p_va", "p_expr", "p_au")
    }
    by_section = {
        "expressions": ("p_expr", "macro_f1", "macro_f1_of_occurring", "weighted_f1", "accuracy", "mean_recall"),
        "units": ("p_au", "abaw_2020_action_units", "mean_unit_f1", "unit_accuracy"),
    }  # fmt: skip
    assert singles.keys() == {"p_mtl", "p_va", *by_section["expressions"], *by_section["units"]}
    for section, names in by_section.items():
        found = page.table("Over all rows", section)
        assert found == {TITLES[name]: {"value": shown(singles[name])} for name in names}
    tables = {
        "class": page.table("By class"),
        "unit": page.table("By action unit"),
        "": page.table("By series"),
    }
    for name in scores.found.keys() - singles.keys():
        kind = name.split("_")[0] if name.startswith(("class_", "unit_")) else ""
        for place, column in enumerate(scores.columns[name]):
            assert tables[kind][column][TITLES[name]] == shown(scores.found[name], place), name
    assert all(len(t) == n for t, n in zip(tables.values(), (8, 12, 2), strict=True))


def test_counts_are_those_of_the_rows(case, make):
    annotations, table, arguments, _ = case
    page = make(*arguments)
    targets, there = annotations.targets, table.present
    kept = targets.expression_valid & there
    known, guess = targets.expression[kept], table.expression.argmax(1)[kept]
    names = targets.expression_space.classes
    matrix, classes = page.table("Rows by target"), page.table("By class")
    for k, name in enumerate(names):
        rows = known == k
        cells = [
            f"{(guess[rows] == j).sum()}{(guess[rows] == j).mean():.0%}".replace("%", " %")
            for j in range(8)
        ]
        assert list(matrix[name].values()) == [*cells, str(rows.sum())]
        assert classes[name]["target"] == str(rows.sum())
        assert classes[name]["predicted"] == str((guess == k).sum())
    units = page.table("By action unit")
    for place, name in enumerate(targets.action_unit_space.names):
        kept = targets.action_units_valid[:, place] & there
        limit = table.thresholds[place]
        found = table.action_units[kept, place] >= limit
        assert units[name]["threshold"] == f"{limit:.2f}"
        assert units[name]["rows"] == str(kept.sum())
        assert units[name]["present"] == f"{targets.action_units[kept, place].mean() * 100:.1f} %"
        assert units[name]["found"] == f"{found.mean() * 100:.1f} %"
    affect = targets.valence_arousal_valid & there[:, None]
    rows = [row["rows"] for row in page.table("By series").values()]
    assert rows == [str(count) for count in affect.sum(0)]
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert facts["Rows listed"] == "300"
    assert facts["Rows scored"].startswith(
        f"valence and arousal {affect.any(1).sum()}; expressions "
    )
    assert facts["Model"] == "0123456789ab"
    assert facts["Intervals"] == "95 % over 9 recordings"
    assert any(note.startswith("6 of 300 rows have no prediction") for note in page.texts("li"))


def test_the_page_needs_nothing_else(tmp_path, make):
    Image.new("RGB", (40, 40), "red").save(tmp_path / "a.png")
    arguments = manifest(tmp_path, "a.png,Fear\nb.png,Anger\n", "expression", [[1, 0], [1, 0]])
    make(*arguments)
    text = (tmp_path / "out" / "report.html").read_text()
    page = Page(text)
    assert page.all("img") or page.all("div", "absent")
    assert "://" not in text
    assert "@import" not in text
    assert "url(" not in text
    assert not {e["tag"] for e in page.elements} & {"script", "link", "iframe", "object", "base"}
    anchors = {e["attributes"].get("id") for e in page.elements}
    for element in page.elements:
        for name, value in element["attributes"].items():
            assert not name.startswith("on"), name
            if name in ("src", "href", "srcset", "action", "data", "xlink:href"):
                inside = value.startswith("data:image/") or value.removeprefix("#") in anchors
                assert inside, value[:80]
    assert len(text) < 300_000


def test_the_same_table_gives_the_same_page(case, make):
    *_, arguments, folder = case
    out = folder / "out" / "report.html"
    make(*arguments)
    first = out.read_bytes()
    make(*arguments)
    assert out.read_bytes() == first


def test_images_are_shown_the_worst_first(tmp_path, make):
    for place, colour in enumerate(["red", "lime", "blue"]):
        Image.new("RGB", (40, 40), colour).save(tmp_path / f"{'abc'[place]}.png")
    lines = "a.png,Fear\nb.png,Fear\nc.png,Anger\nd.png,Fear\n"  # Anger comes before Fear
    scores = [[0.6, 0.4], [0.9, 0.1], [0.3, 0.7], [0.2, 0.8]]
    page = make(*manifest(tmp_path, lines, "expression", scores))
    [gallery] = page.all("ol", "gallery")
    assert [e["text"] for e in page.inside(gallery, "li")] == [
        "Fear → Angerprobability 0.90b.png",
        "Anger → Fearprobability 0.70c.png",
        "Fear → Angerprobability 0.60a.png",
    ]
    alts = [e["attributes"]["alt"] for e in page.inside(gallery, "img")]
    assert alts == [
        "b.png: Fear predicted as Anger",
        "c.png: Anger predicted as Fear",
        "a.png: Fear predicted as Anger",
    ]
    assert page.texts("p", "problem") == ["1 of 4 listed images are absent: d.png"]
    page = make(*manifest(tmp_path, lines, "expression", scores), "--images", 1)
    assert len(page.all("img")) == 1
    page = make(*manifest(tmp_path, lines, "expression", scores), "--images", 0)
    assert "Worst images" not in page.texts("h2")


@pytest.mark.parametrize("there", [(), ("a",)])
def test_missing_and_broken_images_leave_a_report(tmp_path, make, there):
    for name in there:
        write(tmp_path / f"{name}.png", b"\x89PNG")
    lines = "a.png,Fear\nb.png,Anger\n"
    page = make(*manifest(tmp_path, lines, "expression", [[1, 0], [0, 1]]))
    assert not page.all("img")
    boxes = ["unreadable: not an image format that is known", "absent"] if there else []
    assert page.texts("div", "absent") == boxes
    assert page.texts("p", "problem")[0].startswith(
        f"{2 - len(there)} of 2 listed images are absent"
    )
    assert "a.png" in page.texts("p", "image-name")


def test_names_are_text_whatever_they_hold(tmp_path, make):
    names = [
        '<b>x & "y"\'.png',
        "a&lt;b.png",
        "</li></ol><h1>.png",
        "l" * 300 + ".png",
        "\u202e\x07.png",
    ]
    lines = "".join('"' + name.replace('"', '""') + '",Fear\n' for name in names) + "z.png,Anger\n"
    page = make(*manifest(tmp_path, lines, "expression", [[1, 0]] * 6), "--images", 9)
    shown_names = page.texts("p", "image-name")
    assert shown_names == [*names[:4], "\\u202e\\x07.png"]
    assert len(page.all("h1")) == 1
    assert not page.all("b")


def test_drawn_faces_are_stamped_and_photographs_are_not(case, tmp_path, make):
    _, table, arguments, _ = case
    page = make(*arguments)
    assert DRAWN not in page.texts("p")
    write_table(tmp_path / "t.parquet", replace(table, about=About(drawn=True)))
    assert make(*arguments).texts("p", "stamp") == [DRAWN]
    config = LabelledConfig(synthetic=SyntheticConfig(count=40, subjects=8))
    write_table(tmp_path / "d.parquet", guessed(read_collection(config).annotations))
    page = make(
        *("--table", tmp_path / "d.parquet", *FEW, "--images", 3),
        *("--data.synthetic.count", 40, "--data.synthetic.subjects", 8),
    )
    assert page.texts("p", "stamp") == [DRAWN]
    assert DRAWN not in page.texts("li")
    faces = page.all("img", "face")
    assert len(faces) == len([li for ol in page.all("ol") for li in page.inside(ol, "li")]) > 3


def test_what_was_forced_warns_and_is_refused_otherwise(case, make, refused):
    _, table, arguments, folder = case
    steps = (
        Step(name="smooth", settings={"width": 5}, remarks=("non-causal",)),
        Step(name="decide", fitted_on=("v3", "elsewhere")),
    )
    about = About(training_groups=("v0", "v1"), steps=steps)
    write_table(folder / "t.parquet", replace(table, about=about))
    assert "the step decide was fitted on 1 of the 9 recordings" in refused(*arguments)
    page = make(*arguments, "--force", "true")
    assert page.texts("li", "warning") == [
        "forced: the step decide was fitted on 1 of the 9 recordings scored here (v3)",
        "the model was trained on 2 of these 9 recordings",
    ]
    assert "smooth: non-causal" in page.texts("li")
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert facts["Post-processing"] == "smooth → decide"
    assert facts["Step 1"] == 'smooth {"width": 5}'


@pytest.mark.parametrize(
    ("kept", "sections"),
    [
        ("valence_arousal", ["Valence and arousal"]),
        ("expression", ["Expressions"]),
        ("action_unit", ["Action units"]),
    ],
)
def test_a_table_of_one_task_has_its_section_alone(case, make, kept, sections):
    _, table, arguments, folder = case
    tasks = {
        "valence_arousal": ("valence_arousal",),
        "expression": ("expression", "expression_space"),
        "action_unit": ("action_units", "action_unit_space", "thresholds"),
    }
    others = [name for task, names in tasks.items() if task != kept for name in names]
    write_table(folder / "t.parquet", replace(table, **dict.fromkeys(others)))
    page = make(*arguments)
    assert page.texts("h2") == [*sections, "Worst images", "How these numbers are defined"]
    assert len(page.texts("h3")) == 2
    assert len(page.all("div", "tile")) == 1


def test_without_intervals_there_are_none(case, make):
    *_, arguments, _ = case
    page = make(*arguments, "--resamples", 0)
    assert page.texts("p", "tile-interval") == ["no interval"] * 4
    assert not page.all("span", "interval")
    assert not page.all("line", "range")
    assert "No intervals were made." in page.texts("li")
    assert page.all("circle", "value")


def test_absent_classes_and_undefined_areas_are_shown_as_such(tmp_path, make):
    annotations = labelled(rows=100, videos=7, missing=0)
    targets = annotations.targets
    expression = np.where(targets.expression == 3, 0, targets.expression)
    units = targets.action_units.copy()
    units[:, 2] = 0
    known = replace(
        annotations, targets=replace(targets, expression=expression, action_units=units)
    )
    write_table(tmp_path / "t.parquet", guessed(annotations))
    page = make("--table", tmp_path / "t.parquet", *challenge(tmp_path / "root", known), *FEW)
    assert set(page.table("Rows by target")["Fear"].values()) == {"\N{EN DASH}", "0"}
    assert page.table("By class")["Fear"]["recall"].startswith(".000")
    assert page.table("By action unit")["AU4"]["AUC"] == "-"


def test_a_baseline_is_compared_row_by_row(case, make):
    annotations, table, arguments, folder = case
    weaker = replace(guessed(annotations, seed=5), about=About(model="weak"))
    worse = np.clip(weaker.valence_arousal * [1, 0.1], -1, 1)
    write_table(folder / "b.parquet", replace(weaker, valence_arousal=worse))
    page = make(*arguments, "--baseline", folder / "b.parquet")
    baseline = read_table(folder / "b.parquet")
    found = score_difference(join(baseline, annotations), join(table, annotations), resamples=50)

    def signed(name, place=None):
        text = shown(found.found[name], place)
        value = found.found[name].value
        return f"+{text}" if (value if place is None else value[place]) > 0 else text

    singles = [name for name in TITLES if name in found.found and not found.columns[name]]
    rows = page.table("Over all rows", "baseline")
    assert {name: row["difference"] for name, row in rows.items()} == {
        TITLES[name]: signed(name) for name in singles
    }
    series = page.table("By series", "baseline")
    assert series["arousal"]["CCC"] == signed("ccc", 1)
    assert series["arousal"]["RMSE"] == signed("rmse", 1)
    assert page.table("By class", "baseline")["Fear"]["F1"] == signed("class_f1", 3)
    assert page.table("By action unit", "baseline")["AU6"]["F1"] == signed("unit_f1", 3)
    assert page.texts("p", "tile-change")[0] == f"{signed('p_mtl')} to the baseline"
    # Arousal of the baseline is all but constant: less error and more concordance are both better.
    better = page.texts("span", "better")
    assert found.found["rmse"].high[1] < 0
    assert {signed("ccc", 1), signed("rmse", 1)} <= set(better)
    for name in singles:
        sides = (found.found[name].low > 0, found.found[name].high < 0)
        expected = {(True, False): "better", (False, True): "worse"}.get(sides, "\N{EN DASH}")
        assert rows[TITLES[name]]["this table is"] == expected, name
    assert rows["P_VA"]["this table is"] == "better"
    assert rows["accuracy of action units"]["this table is"] == "\N{EN DASH}"
    assert "baseline: whether the model was trained on these recordings is unknown" in page.texts(
        "li"
    )
    swapped = make(
        "--table", folder / "b.parquet", *arguments[2:], "--baseline", folder / "t.parquet"
    )
    assert swapped.table("Over all rows", "baseline")["P_VA"]["this table is"] == "worse"


def test_definitions_command_and_versions_are_on_the_page(case, make):
    *_, arguments, folder = case
    page = make(*arguments, "--level", 0.9)
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert facts["Command"].startswith(
        f"python -m finetune.report --table {folder}/t.parquet --data"
    )
    assert facts["Command"].endswith("--level 0.9 --out " + str(folder / "out" / "report.html"))
    assert re.search(r"numpy \d", facts["Versions"])
    definitions = " ".join(page.texts("ul", "definitions"))
    for words in (
        "mean F1 over all classes",
        "moments of the population",
        "bootstrap-t",
        "50 resamples (seed 0) of 9 recordings",
        "90 % intervals",
    ):
        assert words in definitions


def test_a_page_that_cannot_be_written_is_one_line_and_leaves_nothing(case, refused):
    *_, arguments, folder = case
    before = sorted(folder.rglob("*"))
    (folder / "file").touch()
    table = folder / "t.parquet"
    content = table.read_bytes()
    for out, expected in [
        (folder, f"{folder}: is no regular file, expected a file to write"),
        (
            folder / "file" / "x.html",
            f"{folder}/file/x.html: {folder}/file is no folder, expected one",
        ),
        (table, f"{table}: is read as well, expected another file"),
        (folder / ("n" * 300 + ".html"), "File name too long"),
        ("", "out '', expected an HTML file"),
    ]:
        assert expected in refused(*arguments, "--out", out)
    assert table.read_bytes() == content
    (folder / "file").unlink()
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--images", -1), "images -1, expected 0 or more"),
        (("--resamples", -1), "resamples -1, expected 0 or more"),
        (("--resamples", 0, "--baseline", "x"), "resamples 0 with a baseline, expected some"),
        (
            ("--baseline", "no.parquet"),
            "no.parquet: No such file or directory, expected a prediction table",
        ),
        (("--data.split", "training"), "training"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(case, refused, arguments, expected):
    *_, given, folder = case
    assert expected in refused(*given, *arguments, "--out", folder / "r.html")
    assert not (folder / "r.html").exists()


def test_the_program_runs_as_users_start_it(case):
    *_, arguments, folder = case
    out = folder / "r.html"
    code, text, _ = run("-m", "finetune.report", *arguments, "--out", out)
    assert (code, text) == (0, f"report: {out}\n")
    assert Page(out.read_text()).texts("h1") == ["t.parquet"]
    code, text, errors = run(
        "-m", "finetune.report", "--table", folder / "none.parquet", *arguments[2:]
    )
    assert (code, text) == (2, "")
    assert errors.count("\n") == 1
