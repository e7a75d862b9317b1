"""How near drawn faces come to real ones."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from finetune.data.config import LabelledConfig
from finetune.generate import GenerateConfig, generate
from finetune.generating.quality import Quality, frechet, memorised, mutual, nearest, quality
from finetune.quality import Compared, QualityConfig, compare
from pretrain.data.synthetic import SyntheticConfig, SyntheticFaces
from pretrain.engine.launching import RuntimeConfig
from pretrain.errors import UserError


def test_the_distance_of_normal_distributions_is_known() -> None:
    rng = np.random.default_rng(0)
    one = rng.standard_normal((40_000, 3)) * [1, 2, 3]
    other = rng.standard_normal((40_000, 3)) * [2, 2, 1] + [0, 3, 0]
    assert frechet(one, other) == pytest.approx(9 + 1 + 0 + 4, rel=0.03)  # (s - s')^2 each
    assert frechet(one, one) == pytest.approx(0, abs=1e-6)


def test_precision_and_recall_tell_what_is_missing() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((2, 400, 2))
    left, right = left - 20, right + 20
    both = np.concatenate([left, right])
    dropped = quality(both, left + 0.01 * rng.standard_normal(left.shape))
    assert dropped.precision > 0.95
    assert dropped.recall == pytest.approx(0.5, abs=0.05)
    odd = quality(left, both)
    assert odd.precision == pytest.approx(0.5, abs=0.05)
    assert odd.recall > 0.95
    assert nearest(left[:5] + 1e-6, both).tolist() == [0, 1, 2, 3, 4]


def test_memorised_images_are_told_from_what_new_real_ones_give() -> None:
    assert mutual(np.array([[0.0], [1.0], [3.0]])) == pytest.approx(2 / 3)  # 3 is nobody's nearest
    rng = np.random.default_rng(0)
    real, new = rng.standard_normal((2, 3000, 4))
    assert memorised(real + 1e-6, real) == 1
    assert 0.4 < mutual(real) < 0.7
    assert memorised(new, real) == pytest.approx(mutual(real), abs=0.03)


def test_an_encoder_that_sees_no_difference_is_said() -> None:
    floor, near, far = (Quality(distance, 0.9, 0.9) for distance in (1.0, 0.5, 1.5))
    made = {"floor": floor, "memorised": 0.3, "memorised_floor": 0.5, "images": (40, 40)}
    assert "drawn and real are the same" in str(Compared(drawn=near, **made))
    assert "the same" not in str(Compared(drawn=far, **made))


def test_drawn_images_are_compared_with_real_ones(tmp_path: Path, tiny_encoder: str) -> None:
    faces = SyntheticFaces(SyntheticConfig(count=140, size=32, subjects=70))
    for name, rows in (("real", range(100)), ("others", range(100, 140)), ("copies", range(40))):
        (tmp_path / name).mkdir()
        for row in rows:
            Image.fromarray(faces.image(row)).save(tmp_path / name / f"{row}.png")
    (tmp_path / "noise").mkdir()
    rng = np.random.default_rng(0)
    for row in range(40):
        pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "noise" / f"{row}.png")
    found = {}
    for name in ("others", "copies", "noise"):
        config = QualityConfig(
            drawn=str(tmp_path / name),
            encoder=tiny_encoder,
            data=LabelledConfig(kind="folder", root=str(tmp_path / "real")),
            sheet=str(tmp_path / f"{name}.png"),
            out=str(tmp_path / f"{name}.json"),
            runtime=RuntimeConfig(threads=1),
        )
        found[name] = compare(config)
        assert (tmp_path / f"{name}.png").stat().st_size > 5_000
        assert json.loads((tmp_path / f"{name}.json").read_text())["images"] == [40, 40]
    assert found["copies"].memorised == 1
    assert found["others"].memorised < 0.9
    assert found["noise"].drawn.frechet > 3 * found["others"].drawn.frechet
    assert found["noise"].drawn.precision < 0.2
    assert found["others"].drawn.precision > 0.5
    assert "real (the floor)" in str(found["others"])
    for row in range(28):
        (tmp_path / "noise" / f"{row}.png").write_bytes(b"")
    with pytest.raises(UserError, match="12 drawn images can be read, expected at least 20"):
        compare(config)


def test_sheets_are_not_counted_among_the_drawn_faces(
    trained_gan: Path, tmp_path: Path, tiny_encoder: str
) -> None:
    generate(GenerateConfig(model=str(trained_gan), out=str(tmp_path / "out"), count=40))
    config = QualityConfig(
        drawn=str(tmp_path / "out"),
        encoder=tiny_encoder,
        data=LabelledConfig(synthetic=SyntheticConfig(count=100, size=32, subjects=20)),
        out=str(tmp_path / "whole.json"),
        runtime=RuntimeConfig(threads=1),
    )
    images = replace(config, drawn=str(tmp_path / "out/images"), out=str(tmp_path / "images.json"))
    assert compare(config) == compare(images)
