"""The table of one who looks at no image."""

from pathlib import Path

import numpy as np
import pytest

from finetune.constant import ConstantConfig, constant_table
from finetune.data.config import LabelledConfig
from pretrain.errors import UserError


def collection(root: Path, labels: str) -> LabelledConfig:
    (root / "train.csv").write_text(f"image,valence,arousal,expression,AU1,AU2\n{labels}")
    (root / "validation.csv").write_text("image,valence\nx.png,0.1\ny.png,\nx.png,0.3\n")
    return LabelledConfig(kind="manifest", root=str(root), split="validation")


def test_it_says_what_the_training_labels_are_on_average(tmp_path: Path) -> None:
    rows = "a.png,0.5,-1,Fear,1,0\nb.png,0.25,,Fear,1,\nc.png,,0,Anger,0,\nd.png,,,,,\n"
    data = collection(tmp_path, rows)
    table = constant_table(ConstantConfig(data=data, out="t.parquet"))
    assert list(table.images) == ["x.png", "y.png", "x.png"]
    assert np.allclose(table.valence_arousal, [0.375, -0.5])
    columns = table.columns
    assert np.allclose(columns["expression_Fear"], 2 / 3)
    assert np.allclose(columns["expression_Anger"], 1 / 3)
    assert np.allclose(columns["AU1"], 2 / 3)
    assert np.allclose(columns["AU2"], 0)
    assert table.about.training_groups == ("a.png", "b.png", "c.png", "d.png")


def test_tasks_without_a_label_have_no_columns(tmp_path: Path) -> None:
    data = collection(tmp_path, "a.png,0.5,,,,\nb.png,,,Fear,,\n")
    table = constant_table(ConstantConfig(data=data, out="t.parquet"))
    assert (table.valence_arousal, table.action_units) == (None, None)


def test_no_labels_are_refused(tmp_path: Path) -> None:
    data = collection(tmp_path, "a.png,,,,,\n")
    with pytest.raises(UserError, match="split train: no labels"):
        constant_table(ConstantConfig(data=data, out="t.parquet"))
