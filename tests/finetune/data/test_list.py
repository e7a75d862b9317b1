"""Lists of images without labels: order, duplicates, videos, and what is refused where."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from finetune.data.annotations import AbsentError, AnnotationError
from finetune.data.config import LabelledConfig
from finetune.data.list import read
from finetune.data.opening import read_collection, splits_of
from finetune.table import PredictionTable, write_table
from pretrain.data.images import BadImage

NAMES = ["v1/2.jpg", "v1/1.jpg", "v1/2.jpg", "w 2/1.PNG"]


def written(root, content, name):
    (root / name).write_text(content)
    return root / name


def refusal(root, content, name="list.csv"):
    file = written(root, content, name)
    with pytest.raises(AnnotationError) as caught:
        read(root, "all", file)
    message = str(caught.value)
    assert "\n" not in message
    assert ", expected " in message
    assert message.startswith(str(file))
    return message.removeprefix(str(file))


@pytest.mark.parametrize(
    "content",
    [
        "\n".join(NAMES),
        "\r\n".join(NAMES) + "\r\n\r\n",
        "\ufeff" + "\n".join(NAMES),
        "image\n" + ",\n".join(NAMES),  # as challenges release them
        "image,valence,arousal\n" + ",0.5,0.5\n".join(NAMES),
    ],
)
def test_a_text_has_a_path_a_line(tmp_path, content):
    found = read(tmp_path, "all", written(tmp_path, content, "list.txt"))
    assert list(found.images) == NAMES
    assert (found.videos, found.frames, found.subjects) == (None, None, None)


def test_a_csv_file_has_images_and_perhaps_their_videos_and_frames(tmp_path):
    content = 'frame,note,image,video\n2,"x, y",v1/2.jpg,v1\n1,,v1/1.jpg,v1\n2,,v1/2.jpg,v1\n1.0,z,w 2/1.PNG,w 2\n'
    found = read(tmp_path, "all", written(tmp_path, content, "list.csv"))
    assert list(found.images) == NAMES
    assert list(found.videos) == ["v1", "v1", "v1", "w 2"]
    assert found.frames.tolist() == [2, 1, 2, 1]


def test_empty_columns_of_videos_and_frames_are_none(tmp_path):
    content = "image,video,frame\na.jpg,,\nb.jpg,,\n"
    found = read(tmp_path, "all", written(tmp_path, content, "list.csv"))
    assert (found.videos, found.frames) == (None, None)


def test_a_parquet_file_is_read_as_a_csv_file_is(tmp_path):
    columns = {"image": NAMES, "video": [1, 1, 1, 2], "frame": [2, 1, 2, 1], "other": [None] * 4}
    pq.write_table(pa.table(columns), tmp_path / "list.parquet")
    found = read(tmp_path, "all", tmp_path / "list.parquet")
    assert list(found.images) == NAMES
    assert list(found.videos) == ["1", "1", "1", "2"]
    assert found.frames.tolist() == [2, 1, 2, 1]


def test_a_prediction_table_is_a_list_of_its_images(tmp_path):
    table = PredictionTable(
        images=NAMES, videos=list("aaab"), frames=np.array([3, 1, 4, 1]), valence_arousal=np.zeros((4, 2))
    )  # fmt: skip
    write_table(tmp_path / "t.parquet", table)
    found = read(tmp_path, "all", tmp_path / "t.parquet")
    assert list(found.images) == NAMES
    assert list(found.videos) == list("aaab")
    assert found.frames.tolist() == [3, 1, 4, 1]


def test_labels_in_a_list_are_left_alone(tmp_path):
    content = "image,expression,valence,AU1\na.jpg,4,-5,-1\nb.jpg,joy,x,999\n"
    targets = read(tmp_path, "all", written(tmp_path, content, "list.csv")).targets
    for name in ("valence_arousal_valid", "expression_valid", "action_units_valid"):
        assert len(getattr(targets, name)) == 2
        assert not getattr(targets, name).any()


def test_images_lie_below_the_root_and_may_be_absent(tmp_path):
    root = tmp_path / "faces"
    (root / "v1").mkdir(parents=True)
    Image.new("RGB", (4, 4), (7, 0, 0)).save(root / "v1" / "2.jpg", quality=100)
    file = written(tmp_path, "\n".join(NAMES), "list.txt")
    config = LabelledConfig(kind="list", root=str(root), list=str(file))
    collection = read_collection(config)
    assert (collection.kind, collection.split, collection.drawn) == ("list", "all", False)
    images = collection.open_images()
    assert list(images.names) == NAMES
    assert images.absent == (1, 3)
    assert images.image(0).shape == images.image(2).shape == (4, 4, 3)
    with pytest.raises(BadImage, match=r"v1/1.jpg: absent: listed, but no such file"):
        images.image(1)


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    written(tmp_path, "a.jpg\n", "list.txt")
    config = LabelledConfig(kind="list", root="~", list="~/list.txt")
    assert list(read_collection(config).annotations.images) == ["a.jpg"]


def test_there_are_no_splits(tmp_path):
    file = written(tmp_path, "a.jpg\n", "list.txt")
    config = LabelledConfig(kind="list", root=str(tmp_path), list=str(file), split="test")
    assert splits_of(config) == ("all",)
    with pytest.raises(AnnotationError, match="split 'test', expected one of all"):
        read_collection(config)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ":1: the columns '', expected one called image"),
        ("image\n", ": a header alone, expected a row an image"),
        ("path\na.jpg\n", ":1: the columns 'path', expected one called image"),
        ("Image\na.jpg\n", ":1: column 'Image', expected it called image"),
        ("image,Video\na.jpg,1\n", ":1: column 'Video', expected it called video"),
        ("image,image\na.jpg,b.jpg\n", ":1: column image twice, expected it once"),
        ("image,video\na.jpg,v\nb.jpg,\n", ":3: video is empty, expected one in every row or in none"),
        ("image,frame\na.jpg,1\nb.jpg,\n", ":3: frame is empty, expected one in every row or in none"),
        ("image,frame\na.jpg,1\nb.jpg,1.5\n", ":3: frame '1.5', expected a whole number"),
        ("image,frame\na.jpg,1\nb.jpg,-1\n", ":3: frame '-1', expected 0 or more"),
        ("image\n/etc/a.jpg\n", ":2: image '/etc/a.jpg', expected the path of an image, relative"),
        ("image\na.jpg\n../b.jpg\n", ":3: image '../b.jpg', expected the path of an image, relative"),
        ("image,video\na.jpg\n", ":2: 1 cells, expected 2"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_csv_file_is_named_by_line_and_column(tmp_path, content, message):
    assert refusal(tmp_path, content) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ": empty, expected a list of images"),
        ("image\n", ": a header alone, expected a list of images"),
        ("a.jpg\n# b\n", ":2: image '# b', expected the path of an image"),
        ("a.jpg\n\nb.jpg\n", ":2: image '', expected the path of an image, relative"),
        ("a.jpg\n/b.jpg\n", ":2: image '/b.jpg', expected the path of an image, relative"),
    ],
)
def test_what_is_wrong_in_a_text_is_named_by_line(tmp_path, content, message):
    assert refusal(tmp_path, content, "list.txt") == message


def test_files_that_are_none_of_these_are_refused(tmp_path):
    expected = "expected one of .txt .csv .parquet"
    assert refusal(tmp_path, "a.jpg\n", "list.json") == f": a .json file, {expected}"
    assert refusal(tmp_path, "a.jpg\n", "list") == f": no ending, {expected}"
    assert refusal(tmp_path, "a.jpg\n", "list.parquet").endswith(", expected a Parquet file")
    for ending in ("txt", "csv"):
        with pytest.raises(AbsentError):
            read(tmp_path, "all", tmp_path / f"gone.{ending}")
    with pytest.raises(AnnotationError, match=r"gone.parquet: No such file"):
        read(tmp_path, "all", tmp_path / "gone.parquet")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image": [1, 2]}, ":1: image '1', expected text"),
        ({"image": ["a.jpg", None]}, ":2: image '', expected the path of an image, relative"),
        ({"image": ["a.jpg", "b.jpg"], "frame": [1, None]}, ":2: frame is empty, expected one in"),
        ({"image": ["a.jpg", "b.jpg"], "video": [[1], [2]]}, ":1: video '[1]', expected text or a"),
        ({"image": []}, ": a header alone, expected a row an image"),
        ({"path": ["a.jpg"]}, ":1: the columns 'path', expected one called image"),
    ],
)
def test_what_is_wrong_in_a_parquet_file_is_named_by_row_and_column(tmp_path, columns, message):
    pq.write_table(pa.table(columns), file := tmp_path / "list.parquet")
    with pytest.raises(AnnotationError) as caught:
        read(tmp_path, "all", file)
    assert str(caught.value).removeprefix(str(file)).startswith(message)
