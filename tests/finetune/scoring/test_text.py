import numpy as np
from tables import guessed, labelled

from finetune.intervals import Interval
from finetune.scoring.joined import join
from finetune.scoring.scores import score
from finetune.scoring.text import TITLES, shown, text


def interval(value, low=np.nan, high=np.nan):
    return Interval(*(np.array(number) for number in (value, low, high)), np.zeros(()))


def test_numbers_read_as_in_a_paper():
    assert shown(interval(0.5124, 0.4306, 0.58)) == ".512 [.431, .580]"
    assert shown(interval(-0.25)) == "-.250"
    assert shown(interval(1.2345, 0.9999, 1.5)) == "1.234 [1.000, 1.500]"
    assert shown(interval(0.0)) == ".000"
    assert shown(interval(np.nan, 0, 1)) == "-"
    assert shown(interval([0.1, 0.2], [0, 0.1], [1, 1]), 1) == ".200 [.100, 1.000]"


def test_every_metric_has_a_title_and_its_place_in_the_text():
    annotations = labelled(rows=120, videos=8)
    scores = score(join(guessed(annotations), annotations), resamples=60)
    assert set(scores.found) <= set(TITLES)
    lines = text(scores, "t.parquet on synthetic validation").splitlines()
    assert lines[0] == "t.parquet on synthetic validation"
    assert next(line for line in lines if line.startswith("P_MTL")).split()[1] == shown(
        scores.found["p_mtl"]
    ).split()[0]  # fmt: skip
    assert [line.split()[0] for line in lines if line.startswith("AU")] == list(
        scores.columns["unit_f1"]
    )
    f1, auc = (shown(scores.found[name], 2) for name in ("unit_f1", "unit_auc"))
    row = next(line for line in lines if line.startswith("AU4 "))
    assert " ".join(row.split()) == f"AU4 {f1} {auc}"
    assert "[low, high]: 95% intervals, 60 resamples of 8 recordings" in lines
    assert all(line == line.rstrip() for line in lines)
