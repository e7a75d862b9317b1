"""What is looked at while a generator learns."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from gans import RUN, game
from PIL import Image

from finetune.batches import LabelTensors
from finetune.data.config import LabelledConfig
from finetune.data.opening import read_collection
from finetune.generating.drawing import tell
from finetune.generating.sheets import draw_sheets
from finetune.generating.watching import Watch, WatchConfig
from finetune.load import load_model
from finetune.models import gan
from finetune.objectives.adversarial import condition_of
from finetune.table import read_table
from pretrain.engine.tracking import read_metrics
from pretrain.errors import UserError


def test_a_run_answers_and_shows_what_it_draws(trained_gan: Path) -> None:
    table = read_table(trained_gan / "predictions" / "validation.parquet")
    assert len(table) == 12
    assert table.present.all()
    record = read_metrics(trained_gan)[-1]
    assert {"real", "drawn", "generator", "drawn_expression", "expression"} <= record.keys()
    pictures = {path.name for path in (trained_gan / "pictures").iterdir()}
    assert {"drawn-00000003.png", "drawn-00000006.png", "nearest.png", "quality.png"} <= pictures
    sheets = {"expressions.png", "valence_arousal.png", "action_units.png", "interpolation.png"}
    assert sheets <= pictures


def test_what_is_drawn_is_measured_on_the_way_beside_real_against_real(trained_gan: Path) -> None:
    lines = (trained_gan / "evaluations.jsonl").read_text().splitlines()
    looks = [entry for entry in map(json.loads, lines) if entry["split"] == "drawn"]
    assert [entry["epoch"] for entry in looks] == [1, 2]
    for entry in looks:
        assert entry["frechet"] > 3 * entry["real_frechet"] > 0  # it was hardly trained
        assert 0 <= entry["memorised"] <= 1
        assert 0 < entry["real_memorised"] <= 1
        assert entry["real_spread"] > 20


def test_a_generator_that_draws_one_face_is_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = read_collection(LabelledConfig(synthetic=RUN.data.synthetic)).open_images()
    objective, _ = game(RUN.method)
    model = objective.model
    for stop in (False, True):
        watch = Watch(WatchConfig(stop=stop), faces, 32, torch.device("cpu"), seed=0)
        for weight in model.generator.parameters():
            weight.data.normal_()
        found = watch.look(model, "epoch 1", tmp_path)
        assert found["real_spread"] == pytest.approx(
            float(np.stack([faces.image(row) for row in range(48)]).std(0).mean()), rel=0.1
        )
        assert "same for any noise" not in capsys.readouterr().err
        model.generator.spread.weight.data.zero_()  # the noise no longer counts
        if stop:
            with pytest.raises(
                UserError, match=r"same for any noise: spread 0\.0 of 255, expected"
            ):
                watch.look(model, "epoch 1", tmp_path)
        else:
            assert watch.look(model, "epoch 1", tmp_path)["spread"] == pytest.approx(0, abs=1e-3)
            assert "same for any noise" in capsys.readouterr().err


def test_sheets_tell_one_label_a_column(trained_gan: Path, tmp_path: Path) -> None:
    model, _, _ = load_model(trained_gan)
    assert isinstance(model, gan.GAN)
    for tasks, names in (
        (None, ["interpolation", "expressions", "valence_arousal", "action_units"]),
        (("expression",), ["interpolation", "expressions"]),
    ):
        assert [file.stem for file in draw_sheets(model, tasks, tmp_path)] == names
    width = {file.stem: Image.open(file).width for file in tmp_path.iterdir()}
    per_face = (width["action_units"] - width["interpolation"]) / (13 - 9)  # none and 12 units
    assert width["interpolation"] - width["expressions"] == per_face * (9 - 8)
    assert width["valence_arousal"] - width["interpolation"] == per_face * (10 - 9)
    told = tell(model, 2, action_units=np.eye(12, dtype=np.int64)[[0, 5]])
    values, valid = condition_of(LabelTensors.of(told), 8).split(22, 1)
    assert values[0, 8:20].tolist() == [1.0] + [-1.0] * 11
    assert values[1, 8:20].argmax() == 5
    assert valid[0].tolist() == [0.0] * 8 + [1.0] * 12 + [0.0] * 2
