"""Every kind of source opens by its string, and the same images are the same samples in each."""

import dataclasses
import io
import shutil
import tarfile
import zipfile

import datasets
import numpy as np
import pytest
from PIL import Image

from pretrain.data.archives import TarSource, ZipSource
from pretrain.data.config import SourceConfig
from pretrain.data.lists import ListSource
from pretrain.data.mixture import Mixture
from pretrain.data.non_faces import NonFaces, NonFacesConfig
from pretrain.data.opening import open_source
from pretrain.data.order import sample_ids
from pretrain.data.sources import FolderSource, SourceError
from pretrain.data.synthetic import SyntheticConfig, SyntheticFaces
from pretrain.data.tables import DatasetSource

NAMES = ["a/1.png", "a/2.png", "b.png", "c/d/e é.png"]

#: What is left of them where datasets saves to a folder: it keeps the last part of a path.
SAVED = ["1.png", "2.png", "b.png", "e é.png"]


@pytest.fixture
def faces(tmp_path, tmp_path_factory, monkeypatch):
    """The same four images in every kind of place, by the string that opens it."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    rows = []
    for number, name in enumerate(NAMES):
        stream = io.BytesIO()
        Image.fromarray(np.full((2, 3, 3), number, np.uint8)).save(stream, "PNG")
        rows.append({"bytes": stream.getvalue(), "path": name})
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(stream.getvalue())
    shutil.make_archive(str(tmp_path / "faces"), "zip", tmp_path / "folder")
    shutil.make_archive(str(tmp_path / "faces"), "tar", tmp_path / "folder")
    features = datasets.Features({"image": datasets.Image()})
    table = datasets.Dataset.from_dict({"image": rows}, features=features)
    table.save_to_disk(tmp_path / "saved")
    datasets.DatasetDict({"train": table}).save_to_disk(tmp_path / "splits")
    (tmp_path / "tables" / "data").mkdir(parents=True)
    table.to_parquet(tmp_path / "faces.parquet")
    shutil.copy(tmp_path / "faces.parquet", tmp_path / "tables" / "data")
    shutil.copy(tmp_path / "saved" / "data-00000-of-00001.arrow", tmp_path / "faces.arrow")
    (tmp_path / "folder" / "list.txt").write_text("\n".join(NAMES), encoding="utf-8")
    (tmp_path / "folder" / "list.csv").write_text("\n".join(["image", *NAMES]), encoding="utf-8")
    return tmp_path


KINDS = {
    "folder": FolderSource,
    "faces.zip": ZipSource,
    "faces.tar": TarSource,
    "faces.parquet": DatasetSource,
    "faces.arrow": DatasetSource,
    "tables": DatasetSource,
    "saved": DatasetSource,
    "splits": DatasetSource,
    "splits/train": DatasetSource,
    "folder/list.txt": ListSource,
    "folder/list.csv": ListSource,
}


def opened(path, **fields):
    return open_source(SourceConfig(source=str(path), **fields))


def refusal(path, **fields):
    with pytest.raises(SourceError) as caught:
        opened(path, **fields)
    assert "\n" not in str(caught.value)
    assert "expected" in str(caught.value)
    return str(caught.value)


def test_the_same_images_are_the_same_samples_wherever_they_lie(faces):
    for place, kind in KINDS.items():
        source = opened(faces / place)
        assert type(source) is kind, place
        names = SAVED if place in ("faces.arrow", "saved", "splits", "splits/train") else NAMES
        assert list(source.names) == names, place
        assert (sample_ids(source.names) == sample_ids(names)).all()
        assert [source.image(i)[0, 0, 0] for i in range(4)] == [0, 1, 2, 3], place
        assert source.aspect(0) is None


def test_a_packed_folder_opens_as_shards(faces):
    from pretrain.data.shards import PACK, ShardSource

    (faces / "folder" / PACK).write_text("{}")
    with pytest.raises(SourceError):  # it is taken for one, and is none
        opened(faces / "folder")
    with pytest.raises(SourceError):
        ShardSource(faces / "folder")


def test_endings_may_be_capitals_and_places_relative(faces, monkeypatch):
    (faces / "faces.zip").rename(faces / "FACES.ZIP")
    monkeypatch.chdir(faces)
    assert type(opened("FACES.ZIP")) is ZipSource
    assert type(opened("folder")) is FolderSource
    monkeypatch.setenv("HOME", str(faces))
    assert type(opened("~/faces.tar")) is TarSource


def test_the_embedded_sources_open_with_their_configs():
    few = SyntheticConfig(count=5, size=32)
    source = open_source(SourceConfig(source="synthetic", synthetic=few))
    assert type(source) is SyntheticFaces
    assert len(source.names) == 5
    source = open_source(SourceConfig(source="non_faces", non_faces=NonFacesConfig(count=7)))
    assert type(source) is NonFaces
    assert len(source.names) == 7


def test_a_mixture_opens_its_parts_in_their_order(faces):
    parts = {str(faces / "faces.zip"): 1, "synthetic": 2, str(faces / "saved"): 0.5}
    config = SourceConfig(
        source="mixture", mixture=parts, synthetic=SyntheticConfig(count=3, size=32)
    )
    source = open_source(config)
    assert type(source) is Mixture
    assert len(source.names) == 4 + 2 * 3 + 4
    assert list(source.names[:4]) == [f"0/{name}" for name in NAMES]
    assert list(source.names[10:]) == [f"2/{name}" for name in SAVED]
    assert source.partial == ((range(10, 14), 0.5),)
    assert source.image(13)[0, 0, 0] == 3


def test_a_list_may_have_its_images_elsewhere(faces):
    (faces / "elsewhere.txt").write_text(NAMES[0])
    assert "below the root" in refusal(faces / "elsewhere.txt")
    source = opened(faces / "elsewhere.txt", root=str(faces / "folder"))
    assert source.image(0)[0, 0, 0] == 0


def test_a_folder_with_images_beside_a_table_is_a_folder(faces):
    shutil.copy(faces / "faces.parquet", faces / "folder")
    assert type(opened(faces / "folder")) is FolderSource


@pytest.mark.parametrize("name", ["faces.tgz", "faces.tar.gz", "faces.TAR.XZ"])
def test_compressed_tars_are_refused_with_what_to_do(faces, name):
    with tarfile.open(faces / name, f"w:{'xz' if name.endswith('XZ') else 'gz'}") as archive:
        archive.add(faces / "folder", ".")
    assert "decompress" in refusal(faces / name)


@pytest.mark.parametrize("name", ["faces.rar", "faces.png", "faces"])
def test_files_of_unknown_kind_are_refused(faces, name):
    (faces / name).write_bytes(b"-")
    message = refusal(faces / name)
    assert message.startswith(f"{faces / name}: ")
    assert ".zip" in message


@pytest.mark.parametrize("name", ["missing", "missing.zip", "x" * 300, "faces.zip/inner"])
def test_what_is_not_there_is_refused(faces, name):
    assert refusal(faces / name).startswith(f"{faces / name}")


def test_hub_names_are_told_from_folders(faces, monkeypatch):
    monkeypatch.chdir(faces)
    assert refusal("hf://owner/faces").startswith("hf://owner/faces: Couldn't reach")
    assert "expected OWNER/NAME" in refusal("hf://saved")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"source": "mixture"}, "expected source 'mixture' and at least one source"),
        ({"mixture": {"synthetic": 1.0}}, "expected source 'mixture'"),
        ({"source": "mixture", "mixture": {"x": 0.0}}, "mixture 'x': weight 0.0"),
        ({"source": "mixture", "mixture": {"x": -1.0}}, "mixture 'x': weight -1.0"),
        ({"source": "mixture", "mixture": {"x": 1001.0}}, "mixture 'x': weight 1001.0"),
        ({"source": "mixture", "mixture": {"x": float("nan")}}, "mixture 'x': weight nan"),
        ({"source": "mixture", "mixture": {"mixture": 1.0}}, "the sources themselves"),
    ],
)
def test_configs_that_mean_nothing_are_refused(fields, message):
    with pytest.raises(ValueError, match=message) as caught:
        SourceConfig(**fields)
    assert "\n" not in str(caught.value)


def test_a_part_that_cannot_be_opened_is_named(faces):
    parts = {str(faces / "folder"): 1.0, str(faces / "gone"): 1.0}
    assert refusal("mixture", mixture=parts).startswith(f"{faces / 'gone'}: ")


def test_what_a_config_uses():
    assert SourceConfig().uses("synthetic")
    assert not SourceConfig().uses("non_faces")
    mixed = SourceConfig(source="mixture", mixture={"non_faces": 1.0, "x": 1.0})
    assert mixed.uses("non_faces")
    assert mixed.uses("x")
    assert not mixed.uses("synthetic")
    assert not mixed.uses("mixture")


def test_where_the_images_lie_may_change_on_resume():
    operational = {
        field.name
        for field in dataclasses.fields(SourceConfig)
        if field.metadata.get("operational")
    }
    assert operational == {"source", "root", "mixture"}


def test_a_zip_from_the_outside_is_the_folder_that_was_packed(faces):
    with zipfile.ZipFile(faces / "again.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in reversed(NAMES):
            archive.write(faces / "folder" / name, f"./{name}")
    assert list(opened(faces / "again.zip").names) == NAMES


def test_a_table_beside_a_folder_of_images_leaves_it_a_folder(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "a.png")
    (tmp_path / "labels.parquet").write_bytes(b"anything")
    assert list(open_source(SourceConfig(source=str(tmp_path))).names) == ["images/a.png"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"source": ""}, "source ''"),
        ({"source": "mixture", "mixture": {"": 1.0}}, "source ''"),
        ({"source": "faces", "root": "images"}, "without a list"),
    ],
)
def test_what_would_mean_something_else_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        SourceConfig(**fields)
