"""Warnings before a submission leaves: each where it belongs, and none of the organisers' labels."""

import numpy as np
import pytest
from submissions import bare_list, table

from finetune.submission.answers import Answers
from finetune.submission.challenges import CHALLENGES, challenge
from finetune.submission.preflight import of_answers, of_table, summary
from finetune.submission.template import read_template
from finetune.table import About, Step

#: Labels of s-Aff-Wild2's validation set, as published.
CLASSES = [1886, 487, 565, 1254, 3751, 1893, 1003, 4601]
UNITS = [5531, 2554, 5442, 8818, 13224, 11421, 8319, 782, 757, 808, 20427, 2934]
UNIT_ROWS = 26876


def listed(root, name, rows, values=""):
    content = "".join(f"v/{row}.jpg{values}\n" for row in range(rows))
    (root / "list.txt").write_text(content)
    return read_template(root / "list.txt", challenge(name))


def warnings(root, name, answers, values=""):
    template = listed(root, name, len(answers.cells()), values)
    return of_answers(answers, template, challenge(name))


def units(counts, rows):
    return (np.arange(rows)[:, None] < np.array(counts)).astype(np.int64)


class TestRates:
    def test_the_validation_labels_themselves_are_not_far(self, tmp_path):
        expression = np.repeat(np.arange(8), CLASSES)
        assert warnings(tmp_path, "abaw_expr", Answers(expression=expression)) == []
        assert warnings(tmp_path, "abaw_au", Answers(action_units=units(UNITS, UNIT_ROWS))) == []
        without_other = expression[expression < 7]
        template = listed(tmp_path, "abaw_expr", len(without_other))
        assert (
            of_answers(Answers(expression=without_other), template, challenge("abaw2_expr")) == []
        )

    def test_training_rates_are_those_of_the_published_counts(self):
        rates = challenge("abaw_mtl").training
        assert rates["Neutral"] == pytest.approx(23976 / 90645)
        assert rates["Other"] == pytest.approx(24852 / 90645)
        assert rates["AU1"] == pytest.approx(18713 / 103316)
        assert rates["AU26"] == pytest.approx(10756 / 103316)
        assert challenge("abaw1_expr").training["Surprise"] == pytest.approx(5228 / (90645 - 24852))
        assert set(challenge("abaw1_au").training) == {
            "AU1",
            "AU2",
            "AU4",
            "AU6",
            "AU12",
            "AU15",
            "AU25",
        }
        assert challenge("abaw_lsd").training == {}

    def test_far_ones(self, tmp_path):
        counts = [265, 153, 10, 34, 200, 84, 58, 196]  # Anger 3.04 times, Disgust a third
        found = warnings(tmp_path, "abaw_expr", Answers(expression=np.repeat(np.arange(8), counts)))
        assert found == [
            "Anger is in 15.30% of the rows, in 5.03% of the training labels",
            "Disgust is in 1.00% of the rows, in 3.49% of the training labels",
        ]
        counts = [181, 85, 197, 296, 400, 371, 259, 24, 29, 48, 900, 104]
        found = warnings(tmp_path, "abaw_au", Answers(action_units=units(counts, 1000)))
        assert found == ["AU25 is in 90.00% of the rows, in 68.32% of the training labels"]

    def test_never_and_always(self, tmp_path):
        expression = np.repeat(np.arange(8), [*CLASSES[:3], 0, *CLASSES[4:]])
        found = warnings(tmp_path, "abaw_expr", Answers(expression=expression))
        assert found == ["Fear is never predicted"]
        found = warnings(tmp_path, "abaw_lsd", Answers(expression=np.full(5, 2)))
        assert found[1:] == [
            *("Anger is never predicted", "Disgust is never predicted", "Fear is always predicted"),
            *("Happiness is never predicted", "Sadness is never predicted"),
            "Surprise is never predicted",
        ]
        counts = [*UNITS[:4], 0, *UNITS[5:10], UNIT_ROWS, UNITS[11]]
        found = warnings(tmp_path, "abaw_au", Answers(action_units=units(counts, UNIT_ROWS)))
        assert found == ["AU7 is never found", "AU25 is always found"]

    def test_nearly_constant_where_training_is_unknown(self, tmp_path):
        counts = [181, 85, 197, 296, 259, 24, 1, 683]
        asked = challenge("abaw1_au")
        for au20, rows, expected in [(1, 1000, 0), (1, 1001, 1), (999, 1000, 0)]:
            answers = Answers(action_units=units([*counts[:6], au20, counts[7]], rows))
            found = of_answers(answers, listed(tmp_path, "abaw_au", rows), asked)
            assert len(found) == expected
        assert found == []
        answers = Answers(action_units=units([*counts[:6], 1, counts[7]], 1001))
        assert of_answers(answers, listed(tmp_path, "abaw_au", 1001), asked) == [
            "AU20 is in 0.10% of the rows: nearly the same in every row"
        ]


class TestValenceAndArousal:
    def affect(self, root, valence, arousal, values=""):
        both = np.column_stack([valence, arousal]).astype(float)
        return warnings(root, "abaw_va", Answers(valence_arousal=both), values)

    def test_constant_and_nearly(self, tmp_path):
        wide, narrow = np.linspace(-0.5, 0.5, 100), np.linspace(0.1, 0.2, 100)
        assert self.affect(tmp_path, wide, wide) == []
        assert self.affect(tmp_path, np.full(100, 0.25), narrow) == [
            "valence is 0.25 in every row: its CCC is 0",
            "arousal hardly varies (a standard deviation of 0.0292): its CCC can only be low",
        ]

    def test_an_example_that_stayed(self, tmp_path):
        wide = np.linspace(-0.5, 0.5, 200)
        both = np.where(np.arange(200) < 3, 0.5, wide)
        assert self.affect(tmp_path, both, both, ",0.5,0.5") == [
            "valence and arousal are the template's example in 2.0% of the rows"
        ]
        assert self.affect(tmp_path, both, wide, ",0.5,0.5") == []
        assert self.affect(tmp_path, both, both) == []


def test_an_example_whose_codes_stayed(tmp_path):
    answers = Answers(action_units=units([0, *UNITS[1:]], UNIT_ROWS))
    found = warnings(tmp_path, "abaw_au", answers, ",0" * 12)
    assert found == ["AU1 is never found", "AU1 is the template's example in 100.0% of the rows"]
    expression = np.repeat(np.arange(8), CLASSES)
    assert warnings(tmp_path, "abaw_expr", Answers(expression=expression), ",0") == []


def test_another_number_of_rows_than_published(tmp_path):
    answers = Answers(expression=np.arange(12) % 6)
    assert warnings(tmp_path, "abaw_lsd", answers) == [
        "the template lists 12 images, the published list of abaw_lsd 106120"
    ]


class TestTable:
    def notes(self, name="abaw_au", mapping=None, **changes):
        return of_table(table(**changes), challenge(name), mapping)

    def test_training_that_the_rules_forbid(self):
        for name in CHALLENGES:
            told = of_table(
                table(about=About(trained_on=("affectnet", "aff_wild2_video"))),
                challenge(name),
                None,
            )
            forbidden = name in ("abaw_mtl", "abaw_lsd")
            text = f"the model was trained on aff_wild2_video: the rules of {name} forbid it"
            assert (text in told) == forbidden
            unknown = of_table(table(), challenge(name), None)
            text = "what the model was trained on is unknown; if it saw aff_wild2_video, the rules"
            assert any(note.startswith(text) for note in unknown) == forbidden
        allowed = About(trained_on=("affectnet", "aff_wild2_mtl"))
        assert not any("trained" in note for note in self.notes("abaw_mtl", about=allowed))

    def test_drawn_faces_and_remarks_of_steps(self):
        steps = (
            Step(name="smooth", remarks=("non-causal",)),
            Step(name="fill"),
            Step(name="decide", remarks=("forced: a", "b")),
        )
        assert self.notes(about=About(drawn=True, steps=steps)) == [
            "drawn faces: nothing that a challenge asks for",
            *("smooth: non-causal", "decide: forced: a", "decide: b"),
        ]
        assert self.notes(about=About(steps=steps[1:2])) == []

    def test_filled_rows(self):
        filled = [""] * 30 + ["nearest"] * 4 + ["mean"] * 2
        assert self.notes(filled=filled) == ["6 of 36 rows were filled: nearest 4, mean 2"]
        assert self.notes(filled=[""] * 36) == []

    def test_classes_that_are_not_shared(self):
        lost = "what the model gives Contempt is of no class of abaw_expr and was taken out"
        assert self.notes("abaw_expr") == [lost]
        six = table().expression[:, [0, 1, 3, 4, 5, 7]]
        space = type(table().expression_space)(
            "six", ("Surprise", "Contempt", "Anger", "Fear", "Neutral", "Happiness")
        )
        scores = six / six.sum(1, keepdims=True)
        found = self.notes("abaw_expr", expression=scores, expression_space=space)
        assert found == ["the model does not know Disgust, Sadness, Other", lost]
        found = self.notes(
            "abaw_expr", "contempt_to_other", expression=scores, expression_space=space
        )
        assert found == ["the model does not know Disgust, Sadness"]


def test_summary(tmp_path):
    answers = Answers(
        valence_arousal=np.array([[0.5, -1], [0.25, 1], [0, 0], [0.25, 0]]),
        expression=np.array([1, 7, 7, 4]),
        action_units=units([3, *[1] * 11], 4),
    )
    lines = [line.split() for line in summary(answers, challenge("abaw_mtl")).splitlines()]
    assert lines[0] == ["rows", "training"]
    assert lines[2] == ["Anger", "25.0%", "5.0%"]
    assert lines[8] == ["Other", "50.0%", "27.4%"]
    assert lines[9] == ["AU1", "75.0%", "18.1%"]
    assert lines[21][:3] == ["valence", "mean", "0.250,"]
    assert lines[22][-1] == "1.000"
    assert "-" in summary(Answers(expression=np.array([0])), challenge("abaw_lsd"))


def test_the_list_of_images_is_used_as_it_is(tmp_path):
    (tmp_path / "list.txt").write_text(bare_list())
    assert len(read_template(tmp_path / "list.txt", challenge("abaw_mtl"))) == 36
