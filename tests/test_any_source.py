"""The same faces as a folder, an archive and packs: the same samples, and the same training."""

import json
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_train import CONFIG

from pretrain.data.config import DataConfig, SourceConfig
from pretrain.data.loader import MaskedImages
from pretrain.data.opening import open_source
from pretrain.data.packing.format import PackSettings
from pretrain.data.packing.pack import pack
from pretrain.data.synthetic import SyntheticConfig, SyntheticFaces
from pretrain.data.transforms import AugmentationConfig
from pretrain.engine.checkpoint import CheckpointError
from pretrain.engine.tracking import read_metrics
from pretrain.train import pretrain


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """48 drawn faces of several shapes, as JPEG files, archives and packs of them."""
    root = tmp_path_factory.mktemp("forms")
    folder = root / "folder"
    faces = SyntheticFaces(SyntheticConfig(count=48, size=64))
    for index, name in enumerate(faces.names):
        path = folder / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = faces.image(index)[: 64 - index % 9, : 64 - index % 7]
        Image.fromarray(pixels).save(path, quality=92)
    with zipfile.ZipFile(root / "faces.zip", "w") as archive:
        for path in folder.rglob("*.jpg"):
            archive.write(path, path.relative_to(folder))
    with tarfile.open(root / "faces.tar", "w") as archive:
        archive.add(folder, ".")
    made = {
        "folder": folder,
        "zip": root / "faces.zip",
        "tar": root / "faces.tar",
        "jpeg, bytes kept": root / "kept",
        "jpeg, made again": root / "jpeg",
        "raw": root / "raw",
        "raw of the zip": root / "raw_zip",
    }
    settings = {
        "kept": PackSettings(size=256),
        "jpeg": PackSettings(size=48),
        "raw": PackSettings(size=64, format="raw", fit="squash"),
        "raw_zip": PackSettings(size=64, format="raw", fit="squash"),
    }
    for name, how in settings.items():
        source = made["zip" if name == "raw_zip" else "folder"]
        opened = open_source(SourceConfig(source=str(source)))
        pack(opened, root / name, how, origin="faces", workers=1, progress=lambda done: None)
    return made


def run(source: Path, output: Path) -> list[float]:
    data = DataConfig(source=str(source), workers=0)
    assert pretrain(replace(CONFIG, output_dir=str(output), data=data))
    return [record["loss"] for record in read_metrics(output)]


def test_every_form_gives_the_same_samples(forms: dict[str, Path]) -> None:
    batches = {}
    for form, path in forms.items():
        dataset = MaskedImages(
            open_source(SourceConfig(source=str(path))),
            seed=1,
            image_size=32,
            num_patches=16,
            augmentation=AugmentationConfig(crop_scale=(0.3, 0.8)),
        )
        order = np.argsort(dataset.ids)
        batches[form] = dataset.ids[order], dataset[2, order]
        other_boxes = dataset[3, order].images.float()
    ids, expected = batches.pop("folder")
    elsewhere = (other_boxes - expected.images.float()).abs().mean()
    for form, (own_ids, batch) in batches.items():
        assert np.array_equal(own_ids, ids), form
        assert np.array_equal(batch.noise.numpy(), expected.noise.numpy()), form
        apart = (batch.images.float() - expected.images.float()).abs()
        if form in ("zip", "tar", "jpeg, bytes kept"):
            assert apart.max() == 0, form
        else:  # resized once more, and boxes rounded to other pixels
            assert apart.mean() < elsewhere / 6, form


def test_every_form_trains_alike(forms: dict[str, Path], tmp_path: Path) -> None:
    losses = {form: run(path, tmp_path / form) for form, path in forms.items()}
    expected = losses.pop("folder")
    for form, found in losses.items():
        exact = form in ("zip", "tar", "jpeg, bytes kept")
        assert found == pytest.approx(expected, rel=0 if exact else 0.05), form
    assert losses["raw of the zip"] == losses["raw"]
    starts = [json.loads((tmp_path / form / "run.json").read_text())["starts"][0] for form in forms]
    assert len({start["defining"]["images"] for start in starts}) == 1


def test_a_mixture_trains_and_is_part_of_what_defines_the_run(
    forms: dict[str, Path], tmp_path: Path
) -> None:
    data = DataConfig(
        source="mixture",
        mixture={str(forms["zip"]): 0.5, "synthetic": 1.0},
        synthetic=SyntheticConfig(count=24, size=32),
        workers=0,
    )
    assert pretrain(replace(CONFIG, output_dir=str(tmp_path), data=data))
    start = json.loads((tmp_path / "run.json").read_text())["starts"][0]
    assert start["steps_per_epoch"] == (24 + 24) // 16
    assert start["defining"]["mixture"] == [0.5, 1.0]
    assert start["defining"]["data.synthetic.count"] == 24


def test_a_run_does_not_go_on_with_cut_outs_of_its_images(
    forms: dict[str, Path], tmp_path: Path
) -> None:
    source = open_source(SourceConfig(source=str(forms["folder"])))
    cut = PackSettings(size=64, format="raw", fit="crop")
    pack(source, tmp_path / "cut", cut, origin="faces", workers=1, progress=lambda done: None)
    run(forms["folder"], tmp_path / "run")
    data = DataConfig(source=str(tmp_path / "cut"), workers=0)
    again = replace(CONFIG, output_dir=str(tmp_path / "run"), data=data, resume="auto")
    with pytest.raises(CheckpointError, match="-cut"):
        pretrain(again)
