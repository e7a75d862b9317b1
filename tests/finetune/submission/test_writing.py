"""The bytes of every submission, typed by hand; and which tables give none."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from submissions import MTL_HEADER, MTL_ROWS, ROWS, bare_list, images, shuffled, table

from finetune.labels import expression_space
from finetune.submission.answers import Answers
from finetune.submission.challenges import CHALLENGES, ChallengeError, challenge
from finetune.submission.checking import check
from finetune.submission.template import read_template
from finetune.submission.writing import choose, decide, encode
from finetune.table import PredictionTable, TableError


def template(root, name, content):
    (root / "list.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_template(root / "list.txt", challenge(name))


def files(root, predictions, name, content=None, **options):
    listed = template(root, name, bare_list() if content is None else content)
    mapping = options.pop("mapping", None)
    answers = decide(choose(predictions, listed, **options), challenge(name), mapping)
    return {file: text.decode() for file, text in encode(answers, listed, challenge(name)).items()}


def refused(root, predictions, name, content=None, **options):
    with pytest.raises((ChallengeError, TableError)) as caught:
        files(root, predictions, name, content, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def cells(*columns):
    """The rows of the multi-task challenge, of which some columns are kept."""
    rows = [row.split(",") for row in MTL_ROWS.splitlines()]
    return "".join(",".join(row[column] for column in columns) + "\n" for row in rows)


@pytest.mark.parametrize("arrange", [lambda same: same, shuffled])
class TestOneFile:
    def test_multi_task(self, tmp_path, arrange):
        assert files(tmp_path, arrange(table()), "abaw_mtl") == {"": MTL_HEADER + MTL_ROWS}

    def test_valence_and_arousal(self, tmp_path, arrange):
        expected = "image_location,valence,arousal\n" + cells(0, 1, 2)
        assert files(tmp_path, arrange(table()), "abaw_va") == {"": expected}

    def test_expressions(self, tmp_path, arrange):
        header = (
            "image_location,Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\n"
            "v2/00001.jpg,0\nv2/00004.jpg,1\nv2/00007.jpg,2\nv2/00010.jpg,3\n"
        )
        found = files(tmp_path, arrange(table()), "abaw_expr")[""]
        assert found.startswith(header)
        assert found.partition("\n")[2] == cells(0, 3)

    def test_action_units(self, tmp_path, arrange):
        header = "image_location,AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26\n"
        expected = header + cells(0, *range(4, 16))
        assert files(tmp_path, arrange(table()), "abaw_au") == {"": expected}

    def test_synthetic_data(self, tmp_path, arrange):
        rows = (
            "0.jpg Anger 0 0\n1.jpg Disgust 0 0\n2.jpg Disgust 0 0\n"
            "3.jpg Fear 0 0\n4.jpg Fear 0 0\n5.jpg Fear 0 0\n10.jpg Surprise 0 0\n"
            "6.jpg Happiness 0 0\n7.jpg Happiness 0 0\n8.jpg Happiness 0 0\n9.jpg Happiness 0 0\n"
            "11.jpg Sadness 0 0\n12.jpg Sadness 0 0\n0.jpg Surprise 0 0\n"
        )
        found = files(
            tmp_path, arrange(table(rows, units=None)), "abaw_lsd", bare_list(images(rows))
        )
        assert found[""] == (
            "image,expression\n0.jpg,0\n1.jpg,1\n2.jpg,1\n3.jpg,2\n4.jpg,2\n5.jpg,2\n10.jpg,5\n"
            "6.jpg,3\n7.jpg,3\n8.jpg,3\n9.jpg,3\n11.jpg,4\n12.jpg,4\n0.jpg,5\n"
        )


VIDEOS = """\
b/00001.jpg Surprise 0.5 -0.25 1 25
b/00002.jpg Anger -0.125 1 2
a/00001.jpg Sadness 0.25 0.75 20
a/00002.jpg Neutral -1 0 1 4 6 12 15
a/00003.jpg Sadness 0.0625 0.5 15 20 25 26
"""
UNITS_12 = "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26\n"
SEVEN = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise"
AFFECT = {
    "b.txt": "valence,arousal\n0.500000,-0.250000\n-0.125000,1.000000\n",
    "a.txt": "valence,arousal\n0.250000,0.750000\n-1.000000,0.000000\n0.062500,0.500000\n",
}
TWELVE = {
    "b.txt": UNITS_12 + "1,0,0,0,0,0,0,0,0,0,1,0\n0,1,0,0,0,0,0,0,0,0,0,0\n",
    "a.txt": UNITS_12
    + "0,0,0,0,0,0,0,0,0,0,0,0\n1,0,1,1,0,0,1,1,0,0,0,0\n0,0,0,0,0,0,0,1,0,0,1,1\n",
}
EIGHT_UNITS = "AU1,AU2,AU4,AU6,AU12,AU15,AU20,AU25\n"
FOLDERS = {
    "abaw1_va": AFFECT,
    "abaw2_va": AFFECT,
    "abaw3_va": AFFECT,
    "abaw1_expr": {"b.txt": f"{SEVEN}\n6\n1\n", "a.txt": f"{SEVEN}\n5\n0\n5\n"},
    "abaw2_expr": {"b.txt": f"{SEVEN}\n6\n1\n", "a.txt": f"{SEVEN}\n5\n0\n5\n"},
    "abaw3_expr": {"b.txt": f"{SEVEN},Other\n6\n1\n", "a.txt": f"{SEVEN},Other\n5\n0\n5\n"},
    "abaw1_au": {
        "b.txt": EIGHT_UNITS + "1,0,0,0,0,0,0,1\n0,1,0,0,0,0,0,0\n",
        "a.txt": EIGHT_UNITS + "0,0,0,0,0,0,1,0\n1,0,1,1,1,1,0,0\n0,0,0,0,0,1,1,1\n",
    },
    "abaw2_au": TWELVE,
    "abaw3_au": TWELVE,
}


class TestFolders:
    def test_every_challenge_has_its_bytes_here(self):
        assert set(FOLDERS) == {name for name, asked in CHALLENGES.items() if asked.per_video}

    @pytest.mark.parametrize("name", FOLDERS)
    @pytest.mark.parametrize(
        "content",
        [
            "b,2\na,3\n",
            "video,frames\r\nb, 2\r\na,3,\r\n",
            "a/3.jpg\nb/002.jpg\na/00001.jpg\nb/1.jpg\na/00002.jpg\n",
        ],
    )
    def test_a_file_a_video_a_line_a_frame(self, tmp_path, name, content):
        rows = VIDEOS
        if "/" in content:  # an image is called as the list has it
            for old, new in [("a/00003", "a/3"), ("b/00002", "b/002"), ("b/00001", "b/1")]:
                rows = rows.replace(old, new)
        assert files(tmp_path, shuffled(table(rows)), name, content) == FOLDERS[name]


FORMS = [
    "{}\n",
    "{},\n",
    "{},0.5,-0.5\n",
    "{}  \n",
    "{}\r\n",
    "{},0.1,0.2,3,0,0,0,1,0,0,0,0,0,0,0,0\r\n",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("header", ["", "image\n", "image,valence,arousal,expression,aus\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_form_of_a_template_gives_the_same_bytes(tmp_path, form, header, mark):
    content = mark + header + "".join(form.format(name) for name in images())
    assert files(tmp_path, shuffled(table()), "abaw_mtl", content)[""] == MTL_HEADER + MTL_ROWS
    assert files(tmp_path, table(), "abaw_mtl", content.rstrip())[""] == MTL_HEADER + MTL_ROWS


def test_rows_of_one_image_keep_their_own_predictions(tmp_path):
    listed = ["v2/00007.jpg", "v1/00001.jpg", "v2/00007.jpg", "v2/00007.jpg"]
    found = files(tmp_path, table(), "abaw_expr", bare_list(listed), subset=True)
    rows = found[""].splitlines()[1:]
    assert rows == ["v2/00007.jpg,2", "v1/00001.jpg,7", "v2/00007.jpg,7", "v2/00007.jpg,2"]


class TestDecisions:
    def test_thresholds_and_biases_are_applied(self, tmp_path):
        rows = "a.jpg Neutral 0 0 1 26\nb.jpg Anger 0 0\n"
        limits = np.full(15, 0.5)
        limits[[0, 2, 4]] = [0.8, 0.75, 0.2]  # AU26, AU1, AU2
        biases = np.zeros(9)
        biases[4] = 3  # Fear: log 0.05 + 3 is above log 0.6
        found = table(rows, thresholds=limits, biases=biases)
        content = files(tmp_path, found, "abaw_mtl", "a.jpg\nb.jpg\n")[""].splitlines()
        assert content[1] == "a.jpg,0.000000,0.000000,3,1,1,0,0,0,0,0,0,0,0,0,0"
        assert content[2] == "b.jpg,0.000000,0.000000,3,0,1,0,0,0,0,0,0,0,0,0,0"

    def test_contempt_is_taken_out_or_called_other(self, tmp_path):
        space = expression_space("affectnet_8")
        scores = np.array([[0, 0.1, 0, 0.2, 0, 0, 0, 0.7], [0.5, 0, 0, 0, 0, 0, 0, 0.5]])
        found = PredictionTable(
            images=["a.jpg", "b.jpg"], expression=scores, expression_space=space
        )
        listed = "a.jpg\nb.jpg\n"
        rows = files(tmp_path, found, "abaw_expr", listed)[""].splitlines()[1:]
        assert rows == ["a.jpg,6", "b.jpg,0"]
        rows = files(tmp_path, found, "abaw_expr", listed, mapping="contempt_to_other")[""]
        assert rows.splitlines()[1:] == ["a.jpg,7", "b.jpg,0"]

    def test_no_negative_zero_and_nothing_outside_of_the_range(self, tmp_path):
        rows = "a.jpg Neutral -0.0 -0.0000004\nb.jpg Neutral 0.99999999 -0.99999999\n"
        found = files(tmp_path, table(rows), "abaw_va", "a.jpg\nb.jpg\n")[""].splitlines()
        assert found[1:] == ["a.jpg,0.000000,0.000000", "b.jpg,1.000000,-1.000000"]

    def test_the_table_is_left_as_it_is(self, tmp_path):
        found = table()
        before = {name: values.copy() for name, values in found.columns.items()}
        files(tmp_path, found, "abaw_mtl")
        assert all((values == before[name]).all() for name, values in found.columns.items())


class TestRefusals:
    def test_a_listed_image_that_the_table_lacks(self, tmp_path):
        listed = bare_list([*images(), "v9/1.jpg", "v9/2.jpg", "v9/3.jpg", "v9/4.jpg"])
        message = refused(tmp_path, table(), "abaw_mtl", listed)
        assert message == (
            f"lacks 4 of the 40 rows of {tmp_path / 'list.txt'}: v9/1.jpg, v9/2.jpg, v9/3.jpg, ...,"
            " expected every listed image"
        )
        message = refused(tmp_path, table(), "abaw_mtl", "x/v2/00001.jpg\n")
        assert message.endswith(
            ": x/v2/00001.jpg, expected every listed image (the table's first is v2/00001.jpg)"
        )

    def test_an_image_that_is_listed_more_often_than_predicted(self, tmp_path):
        message = refused(tmp_path, table(), "abaw_mtl", bare_list([*images(), "v1/00019.jpg"]))
        assert "lacks 1 of the 37 rows" in message
        assert ": v1/00019.jpg (occurrence 2), expected" in message

    def test_further_rows_unless_they_are_asked_for(self, tmp_path):
        message = refused(tmp_path, table(), "abaw_mtl", bare_list(images()[:30]))
        assert message == (
            f"6 of 36 rows are not in {tmp_path / 'list.txt'}: v2/00007.jpg (occurrence 3),"
            " v1/00023.jpg, v1/00025.jpg, ..., expected the listed images alone; --subset true"
            " leaves the others out"
        )
        found = files(tmp_path, table(), "abaw_mtl", bare_list(images()[:30]), subset=True)
        assert found[""] == MTL_HEADER + "".join(MTL_ROWS.splitlines(keepends=True)[:30])

    def test_rows_without_a_prediction(self, tmp_path):
        empty = np.zeros(36, bool)
        empty[[3, 5, 7, 20]] = True
        message = refused(tmp_path, table().without(empty), "abaw_va")
        assert message == (
            "4 of 36 rows have no prediction (v2/00010.jpg, v2/00016.jpg, v2/00007.jpg, ...),"
            " expected one in every row: python -m finetune.postprocess --fill nearest fills them"
        )
        listed = bare_list(images()[8:19])
        files(tmp_path, table().without(empty), "abaw_va", listed, subset=True)

    @pytest.mark.parametrize(
        ("lacking", "name", "expected"),
        [
            ({"valence_arousal": None}, "abaw_mtl", "has no valence and arousal, expected what"),
            ({"valence_arousal": None}, "abaw_va", "has no valence and arousal, expected what"),
            (
                {"expression": None, "expression_space": None},
                "abaw_expr",
                "has no expressions, expected what abaw_expr needs: expression",
            ),
            (
                {"action_units": None, "action_unit_space": None},
                "abaw_mtl",
                "has no action units, expected what abaw_mtl needs: valence, arousal, expression, AU1",
            ),
        ],
    )
    def test_a_task_that_the_table_lacks(self, tmp_path, lacking, name, expected):
        assert refused(tmp_path, table(**lacking), name).startswith(expected)

    def test_action_units_that_the_table_lacks(self, tmp_path):
        found = table()
        columns = [place for place, unit in enumerate(found.action_unit_space.units) if unit != 15]
        units = type(found.action_unit_space)(
            "fewer", (*(26, 5, 1, 24, 2, 12, 6, 4, 45, 7, 23), *(10, 25, 20))
        )
        fewer = table(action_units=found.action_units[:, columns], action_unit_space=units)
        message = refused(tmp_path, fewer, "abaw_mtl")
        assert message.startswith("has no AU15, expected every action unit of abaw_mtl: AU1, AU2,")
        files(tmp_path, fewer, "abaw_va")  # which asks for none

    def test_a_row_that_is_certainly_no_class_of_the_challenge(self, tmp_path):
        scores = np.zeros((36, 9))
        scores[:, 0] = 1
        scores[4] = np.eye(9)[1]  # Contempt
        message = refused(tmp_path, table(expression=scores), "abaw_mtl")
        assert message.startswith(
            "row 5 (v2/00013.jpg): every probability is of an expression that"
        )


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)
@given(st.sampled_from(sorted(CHALLENGES)), st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_what_is_written_is_read_back_the_same(tmp_path, name, seed, rows):
    rng, asked = np.random.default_rng(seed), CHALLENGES[name]
    if asked.per_video:
        listed = template(tmp_path, name, f"w,{rows}\nv,{rng.integers(1, 4)}\n")
    else:
        numbers = rng.integers(0, 6, rows)  # some of them twice
        listed = template(tmp_path, name, bare_list([f"v/{number}.jpg" for number in numbers]))
    n = len(listed)
    scores = rng.dirichlet(np.ones(9), n)
    units = rng.random((n, 15))
    affect = rng.uniform(-1, 1, (n, 2)) ** rng.integers(1, 9)
    listing = "".join(f"{image} Anger 0 0\n" for image in listed.images)
    found = table(listing, valence_arousal=affect, expression=scores, action_units=units)
    answers = decide(choose(found, listed), asked)
    checked = check(encode(answers, listed, asked), listed, asked)
    assert list(checked.faults) == list(checked.remarks) == []
    assert (checked.answers.cells() == answers.cells()).all()
    same = Answers.of_cells(answers.cells(), asked)
    if asked.valence_arousal:
        assert np.abs(checked.answers.valence_arousal - affect).max() <= 0.5000001e-6
    if asked.expressions is not None:
        names = np.array(found.expression_space.classes)[
            np.where(
                np.isin(found.expression_space.classes, asked.expressions.classes), scores, 0
            ).argmax(1)
        ]
        assert [asked.expressions.classes[index] for index in same.expression] == names.tolist()
    if asked.action_units is not None:
        columns = [found.action_unit_space.units.index(unit) for unit in asked.action_units.units]
        assert (same.action_units == (units[:, columns] >= 0.5)).all()


def test_all_rows_are_used_here():
    names = [row.split()[1] for row in ROWS.splitlines()]
    assert sorted(names.count(name) for name in set(names)) == [1, 2, 3, 4, 5, 6, 7, 8]
    units = [unit for row in ROWS.splitlines() for unit in row.split()[4:]]
    assert sorted(units.count(unit) for unit in set(units)) == list(range(1, 13))
