"""Rules as files, and which tables they may be used on."""

import json
from dataclasses import replace

import pytest
from filmed import frames_of, numbers

from finetune.postprocessing.columns import TASKS
from finetune.postprocessing.decisions import decide
from finetune.postprocessing.rules import (
    Rules,
    RulesError,
    apply_rules,
    apply_weights,
    check_models,
    read_rules,
    write_rules,
)
from finetune.postprocessing.smoothing import smooth
from finetune.table import About, TableError

RULES = Rules(
    models=("m",),
    widths={"valence_arousal": 2.0, "expression": 2.0, "action_units": 2.0},
    thresholds={"AU12": 0.25},
    biases={"Neutral": 0.0, "Happiness": -0.5},
    fitted_on=("v1", "v2"),
    remarks=("forced: x",),
    record={"scores": {"raw": {"mean CCC": 0.5}}},
)
PAIR = replace(RULES, models=("m", "n"), weights=dict.fromkeys(TASKS, (0.75, 0.25)))
TABLE = frames_of(("a", 1, 0.2), ("a", 3, 0.8), ("b", 1, None))


def test_a_file_keeps_everything(tmp_path):
    for rules in (RULES, PAIR, Rules(models=("",))):
        write_rules(tmp_path / "new" / "rules.json", rules)
        assert read_rules(tmp_path / "new" / "rules.json") == rules


def test_rules_smooth_then_decide_and_every_step_knows_what_they_were_fitted_on():
    table = apply_rules(RULES, TABLE, ["unknown"])
    by_hand = decide(
        smooth(TABLE, dict.fromkeys(TASKS, 2)), thresholds=RULES.thresholds, biases=RULES.biases
    )
    assert numbers(table) == numbers(by_hand)
    assert table.thresholds.tolist() == [0.25]
    assert table.biases.tolist() == [0.0, -0.5]
    assert [step.name for step in table.about.steps] == ["smooth", "decide"]
    for step in table.about.steps:
        assert step.fitted_on == ("v1", "v2")
        assert step.remarks[-2:] == ("forced: x", "unknown")
    assert TABLE.about.steps == ()


def test_rules_of_an_ensemble_bring_their_weights():
    other = frames_of(("a", 1, 0.6), ("a", 3, 0.4), ("b", 1, 0.1))
    table = apply_weights(PAIR, {"x": TABLE, "y": other})
    assert numbers(table) == [0.3, 0.7, 0.1]
    assert table.about.steps[-1].fitted_on == ("v1", "v2")


def test_rules_of_another_model_are_refused():
    other = replace(TABLE, about=About(model="another"))
    with pytest.raises(
        RulesError, match="model another, the rules were fitted for m, expected the"
    ):
        check_models(RULES, [other], force=False)
    (remark,) = check_models(RULES, [other], force=True)
    assert remark == "forced: model another, the rules were fitted for m"
    assert check_models(RULES, [TABLE], force=False) == []
    (unknown,) = check_models(RULES, [replace(TABLE, about=About())], force=False)
    assert unknown == "whether the rules are for the model is unknown"
    swapped = [replace(TABLE, about=About(model=name)) for name in ("n", "m")]
    with pytest.raises(RulesError, match="model of member 1 n, the rules were fitted for m"):
        check_models(PAIR, swapped, force=False)


def test_rules_of_an_ensemble_do_not_fit_a_table_nor_the_reverse():
    with pytest.raises(RulesError, match="the rules are for an ensemble of 2, got one table"):
        check_models(PAIR, [TABLE], force=True)
    with pytest.raises(RulesError, match="the rules are for one table, got an ensemble of 2"):
        check_models(RULES, [TABLE, TABLE], force=True)


def test_rules_for_other_tasks_are_refused():
    with pytest.raises(
        TableError, match="smoothing of action_units: the table has valence_arousal"
    ):
        apply_rules(RULES, replace(TABLE, action_units=None, action_unit_space=None))
    unknown = replace(PAIR, weights={"expression": (1.0, 1.0)})
    with pytest.raises(RulesError, match="x: predicts valence_arousal, expected a task that the"):
        apply_weights(unknown, {"x": TABLE, "y": TABLE})


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("form", "faceprior rules 7", "no rules, expected the key form to be 'faceprior rules 1'"),
        ("thresholds", {"AU1": 1.5}, "expected numbers in [0, 1] by unit, or null"),
        ("biases", {"Neutral": float("inf")}, "expected numbers by class, or null"),
        ("biases", {"Neutral": True}, "expected numbers by class, or null"),
        ("widths", {"expression": -1}, "expected by task, a width from 0 to 10000 frames"),
        ("widths", {"age": 1}, "expected by task, a width from 0 to 10000 frames"),
        ("weights", {"expression": [0, 0]}, "expected by task, a list of weights, 0 or more"),
        ("weights", {"expression": [1, 2]}, "models 1, expected a weight for each"),
        ("models", [], "expected a list of fingerprints"),
        ("fitted_on", "v1", "expected a list of groups"),
        ("fitted", [], "fitted, expected the keys models, weights, widths"),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_line(tmp_path, key, value, expected):
    file = tmp_path / "rules.json"
    write_rules(file, RULES)
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    with pytest.raises(RulesError) as caught:
        read_rules(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, "", "[]", "{", '"x"', "\xff"])
def test_no_file_and_no_json_are_refused(tmp_path, content):
    file = tmp_path / "rules.json"
    if content is not None:
        file.write_bytes(content.encode("latin-1"))
    with pytest.raises(RulesError, match="expected"):
        read_rules(file)
