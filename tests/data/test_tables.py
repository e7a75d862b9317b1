"""Images in table rows: which column, which names, which split, and what is refused."""

import io
import os
import time

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pretrain.data import tables
from pretrain.data.images import BadImage
from pretrain.data.sources import SourceError
from pretrain.data.tables import DatasetSource, hub_dataset, is_dataset, local_dataset


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Copies of Parquet files go into a folder of the test; nothing reaches for a network."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def png(value):
    stream = io.BytesIO()
    Image.fromarray(np.full((2, 3, 3), value, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def value(source, index):
    pixels = source.image(index)
    assert pixels.shape == (2, 3, 3)
    return int(pixels[0, 0, 0])


def values(source):
    return [value(source, index) for index in range(len(source.names))]


def pictures(numbers, column="image"):
    rows = [{"bytes": png(number), "path": f"face{number}.png"} for number in numbers]
    features = datasets.Features({column: datasets.Image(), "label": datasets.Value("int32")})
    return datasets.Dataset.from_dict({column: rows, "label": list(numbers)}, features=features)


def refusal(call, *arguments):
    with pytest.raises(SourceError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    assert "expected" in str(caught.value)
    return str(caught.value)


STRUCT = pa.struct({"bytes": pa.binary(), "path": pa.string()})
LARGE = pa.struct({"path": pa.large_string(), "bytes": pa.large_binary()})


class TestDatasetSource:
    def test_rows_are_images_under_their_paths(self):
        source = DatasetSource(pictures([3, 1, 2]), "here")
        assert list(source.names) == ["face3.png", "face1.png", "face2.png"]
        assert values(source) == [3, 1, 2]
        assert source.aspect(0) is None

    def test_rows_that_were_selected_and_shuffled_keep_their_names(self):
        rows = pictures(range(50)).shuffle(seed=1).select(range(5, 30)).filter(lambda row: True)
        source = DatasetSource(rows, "here")
        assert [f"face{number}.png" for number in rows["label"]] == list(source.names)
        assert values(source) == list(rows["label"])

    def test_joined_datasets_are_read(self):
        source = DatasetSource(
            datasets.concatenate_datasets([pictures([1, 2]), pictures([3])]), "here"
        )
        assert list(source.names) == ["face1.png", "face2.png", "face3.png"]
        assert values(source) == [1, 2, 3]

    def test_a_format_that_was_set_before_does_not_matter(self):
        source = DatasetSource(pictures([1, 2]).with_format("numpy", columns=["label"]), "here")
        assert list(source.names) == ["face1.png", "face2.png"]
        assert values(source) == [1, 2]

    @pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
    def test_plain_bytes_are_named_by_their_row(self, kind):
        table = pa.table({"image": pa.array([png(4), png(5)], kind)})
        source = DatasetSource(datasets.Dataset(table), "here")
        assert list(source.names) == ["000000000", "000000001"]
        assert values(source) == [4, 5]

    @pytest.mark.parametrize("kind", [STRUCT, LARGE])
    def test_structs_of_bytes_and_path_need_no_declaration(self, kind):
        rows = [{"bytes": png(4), "path": "b.png"}, {"bytes": png(5), "path": "a.png"}]
        source = DatasetSource(datasets.Dataset(pa.table({"image": pa.array(rows, kind)})), "here")
        assert list(source.names) == ["b.png", "a.png"]
        assert values(source) == [4, 5]

    def test_bytes_without_path_in_one_row_name_all_by_their_rows(self):
        rows = [{"bytes": png(4), "path": "b.png"}, {"bytes": png(5), "path": None}]
        source = DatasetSource(
            datasets.Dataset(pa.table({"image": pa.array(rows, STRUCT)})), "here"
        )
        assert list(source.names) == ["000000000", "000000001"]
        assert values(source) == [4, 5]

    def test_rows_that_only_point_at_files_are_read_from_there(self, tmp_path):
        (tmp_path / "face.png").write_bytes(png(6))
        paths = [str(tmp_path / "face.png"), str(tmp_path / "gone.png")]
        rows = datasets.Dataset.from_dict({"image": paths}).cast_column("image", datasets.Image())
        source = DatasetSource(rows, "here")
        assert list(source.names) == ["000000000", "000000001"]  # where they lie is not their name
        assert value(source, 0) == 6
        with pytest.raises(BadImage, match=r"gone\.png: No such file"):
            source.image(1)

    def test_the_image_need_not_be_the_first_column(self):
        rows = pictures([5, 6]).select_columns(["label", "image"])
        assert values(DatasetSource(rows, "here")) == [5, 6]

    def test_a_row_that_is_null_as_a_whole_has_no_name_of_its_own(self):
        fields = [pa.array([png(1), png(2)]), pa.array(["a.png", "b.png"])]
        column = pa.StructArray.from_arrays(fields, ["bytes", "path"], mask=pa.array([False, True]))
        source = DatasetSource(datasets.Dataset(pa.table({"image": column})), "here")
        assert list(source.names) == ["000000000", "000000001"]
        with pytest.raises(BadImage, match="no image in this row"):
            source.image(1)

    def test_two_rows_may_share_a_name(self):
        source = DatasetSource(pictures([7, 7]), "here")
        assert list(source.names) == ["face7.png", "face7.png"]

    def test_rows_without_an_image_are_refused_one_by_one(self):
        rows = [{"bytes": png(4), "path": "b.png"}, None, {"bytes": None, "path": None}]
        source = DatasetSource(
            datasets.Dataset(pa.table({"image": pa.array(rows, STRUCT)})), "here"
        )
        assert value(source, 0) == 4
        for index in (1, 2):
            with pytest.raises(BadImage) as caught:
                source.image(index)
            assert str(caught.value) == f"here/00000000{index}: no image in this row"

    def test_a_damaged_image_is_refused_by_name(self):
        table = pa.table({"image": pa.array([{"bytes": b"no", "path": "x.png"}], STRUCT)})
        with pytest.raises(BadImage) as caught:
            DatasetSource(datasets.Dataset(table), "here").image(0)
        assert caught.value.name == "here/x.png"

    def test_the_only_declared_column_is_taken_whatever_its_name(self):
        assert values(DatasetSource(pictures([1], column="photo"), "here")) == [1]

    def test_a_column_called_image_that_holds_none_does_not_hide_the_declared_one(self):
        rows = pictures([9], column="photo").add_column("image", ["a title"])
        assert values(DatasetSource(rows, "here")) == [9]

    def test_a_column_called_image_comes_before_others(self):
        other = pictures([1], column="mask").rename_column("label", "other")
        both = datasets.concatenate_datasets([pictures([2]), other], axis=1)
        assert values(DatasetSource(both, "here")) == [2]

    def test_without_a_clear_column_the_columns_are_listed(self):
        message = refusal(DatasetSource, datasets.Dataset.from_dict({"image": ["a"]}), "here")
        assert message.startswith("here: got the columns image (string), expected")
        one, two = pictures([1], column="left"), pictures([1], column="right")
        both = datasets.concatenate_datasets([one, two.remove_columns("label")], axis=1)
        message = refusal(DatasetSource, both, "here")
        assert "left (struct<bytes: binary, path: string>)" in message
        assert "right (" in message
        assert "label (int32)" in message

    def test_a_dataset_without_rows_is_refused(self):
        assert "no images" in refusal(DatasetSource, pictures([]), "here")

    def test_names_are_found_without_touching_the_bytes(self, tmp_path):
        schema = pa.schema({"image": STRUCT})
        with pa.ipc.new_stream(str(tmp_path / "x.arrow"), schema) as writer:
            for number in range(32):
                row = {"bytes": bytes(2**20), "path": f"{number}.png"}
                writer.write_batch(pa.record_batch([pa.array([row], STRUCT)], schema=schema))
        usual = pa.default_memory_pool()
        counted = pa.proxy_memory_pool(usual)
        pa.set_memory_pool(counted)
        try:
            rows = datasets.Dataset.from_file(str(tmp_path / "x.arrow")).shuffle(seed=0)
            source = DatasetSource(rows, "here")
        finally:
            pa.set_memory_pool(usual)
        assert sorted(source.names) == sorted(f"{number}.png" for number in range(32))
        assert counted.max_memory() < 2**20

    def test_processes_read_it_at_the_same_time(self, tmp_path):
        pictures(range(100)).save_to_disk(tmp_path / "x")
        source = local_dataset(tmp_path / "x")
        children = []
        for _ in range(2):
            child = os.fork()
            if child == 0:
                os._exit(0 if values(source) == list(range(100)) else 1)
            children.append(child)
        assert values(source) == list(range(100))
        assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]


class TestLocalDataset:
    def test_a_parquet_file_is_read(self, tmp_path):
        pictures([1, 2, 3]).to_parquet(tmp_path / "x.parquet")
        source = local_dataset(tmp_path / "x.parquet")
        assert list(source.names) == ["face1.png", "face2.png", "face3.png"]
        assert values(source) == [1, 2, 3]

    def test_a_parquet_file_of_others_is_read(self, tmp_path):
        table = pa.table({"image": [png(1), png(2)], "x": [0.5, 1.5]})
        pq.write_table(table, tmp_path / "x.parquet")
        assert values(local_dataset(tmp_path / "x.parquet")) == [1, 2]

    def test_a_changed_parquet_file_is_read_anew(self, tmp_path):
        path = tmp_path / "x.parquet"
        pq.write_table(pa.table({"image": [png(1)]}), path)
        assert values(local_dataset(path)) == [1]
        pq.write_table(pa.table({"image": [png(2)]}), path)
        os.utime(path, (time.time() + 10, time.time() + 10))
        assert values(local_dataset(path)) == [2]

    @pytest.mark.parametrize("name", ["a [1]*?.parquet", "hf:,ü 日本.parquet", "a{b,c}.parquet"])
    def test_odd_paths_are_no_patterns(self, tmp_path, monkeypatch, name):
        pq.write_table(pa.table({"image": [png(1)]}), tmp_path / name)
        assert values(local_dataset(tmp_path / name)) == [1]
        monkeypatch.chdir(tmp_path)
        assert values(local_dataset(type(tmp_path)(name))) == [1]

    @pytest.mark.parametrize("new", [pa.ipc.new_stream, pa.ipc.new_file])
    def test_both_layouts_of_arrow_are_read(self, tmp_path, new):
        table = pa.table({"image": [png(1), png(2)]})
        with new(str(tmp_path / "x.arrow"), table.schema) as writer:
            writer.write_table(table)
        assert values(local_dataset(tmp_path / "x.arrow")) == [1, 2]

    def test_a_folder_of_files_is_read_in_the_order_of_their_names(self, tmp_path):
        for number in (3, 1, 2):
            pictures([number]).to_parquet(tmp_path / f"part-{number}.parquet")
        assert values(local_dataset(tmp_path)) == [1, 2, 3]

    def test_a_folder_of_arrow_files_is_read_where_it_is(self, tmp_path):
        pictures(range(4)).save_to_disk(tmp_path / "saved", num_shards=2)
        for name in ("state.json", "dataset_info.json"):
            (tmp_path / "saved" / name).unlink()
        source = local_dataset(tmp_path / "saved")
        assert values(source) == [0, 1, 2, 3]
        assert source.names[3] == "face3.png"
        assert not any(datasets.config.HF_DATASETS_CACHE.iterdir())

    def test_of_the_files_of_several_splits_those_of_train_are_taken(self, tmp_path):
        (tmp_path / "data").mkdir()
        for number, name in enumerate(
            ["test-00000-of-00001", "train-00000-of-00002", "train-00001-of-00002", "validation"]
        ):
            pictures([number]).to_parquet(tmp_path / "data" / f"{name}.parquet")
        assert values(local_dataset(tmp_path)) == [1, 2]

    def test_without_files_of_train_one_split_is_asked_for(self, tmp_path):
        for name in ("test", "val-0"):
            pictures([1]).to_parquet(tmp_path / f"{name}.parquet")
        message = refusal(local_dataset, tmp_path)
        assert "test, validation" in message
        assert str(tmp_path / "test.parquet") in message
        (tmp_path / "test.parquet").unlink()
        assert values(local_dataset(tmp_path)) == [1]

    def test_a_mix_of_kinds_is_refused(self, tmp_path):
        pictures([1]).to_parquet(tmp_path / "a.parquet")
        (tmp_path / "b.arrow").write_bytes(b"ARROW1")
        assert ".arrow and .parquet" in refusal(local_dataset, tmp_path)

    def test_a_saved_dataset_is_read(self, tmp_path):
        pictures(range(10)).shuffle(seed=3).save_to_disk(tmp_path / "saved")
        source = local_dataset(tmp_path / "saved")
        assert source.names[0] == f"face{value(source, 0)}.png"
        assert sorted(values(source)) == list(range(10))

    def test_of_several_saved_splits_train_is_taken_or_the_only_one(self, tmp_path):
        both = datasets.DatasetDict({"test": pictures([1]), "train": pictures([2])})
        both.save_to_disk(tmp_path / "both")
        assert values(local_dataset(tmp_path / "both")) == [2]
        assert values(local_dataset(tmp_path / "both" / "test")) == [1]
        datasets.DatasetDict({"faces": pictures([3])}).save_to_disk(tmp_path / "one")
        assert values(local_dataset(tmp_path / "one")) == [3]

    def test_without_train_the_saved_splits_are_listed(self, tmp_path):
        both = datasets.DatasetDict({"a": pictures([1]), "b": pictures([2])})
        both.save_to_disk(tmp_path / "x")
        message = refusal(local_dataset, tmp_path / "x")
        assert f"{tmp_path / 'x' / 'a'}, {tmp_path / 'x' / 'b'}" in message

    @pytest.mark.parametrize("name", ["x.parquet", "x.arrow"])
    @pytest.mark.parametrize("content", [b"", b"no table", b"PAR1 no table PAR1", b"ARROW1\0\0 no"])
    def test_files_that_are_no_tables_are_refused(self, tmp_path, name, content):
        (tmp_path / name).write_bytes(content)
        assert refusal(local_dataset, tmp_path / name).startswith(f"{tmp_path / name}: ")

    @pytest.mark.parametrize("name", ["x.parquet", "x.arrow"])
    def test_cut_off_files_are_refused(self, tmp_path, name):
        table = pa.table({"image": [bytes([i]) * 9000 for i in range(9)]})
        if name == "x.parquet":
            pq.write_table(table, tmp_path / name, compression="none", use_dictionary=False)
        else:
            with pa.ipc.new_stream(str(tmp_path / name), table.schema) as writer:
                writer.write_table(table)
        os.truncate(tmp_path / name, 5000)
        assert refusal(local_dataset, tmp_path / name).startswith(f"{tmp_path / name}: ")

    def test_a_damaged_parquet_file_is_refused_with_the_first_cause(self, tmp_path):
        path = tmp_path / "x.parquet"
        table = pa.table({"image": [bytes([i]) * 500 for i in range(50)]})
        pq.write_table(table, path, compression="none", use_dictionary=False)
        content = path.read_bytes()
        path.write_bytes(content[:2000] + b"\xff" * 4000 + content[6000:])
        message = refusal(local_dataset, path)
        assert message.startswith(f"{path}: ")
        assert "generating the dataset" not in message

    def test_files_of_different_columns_are_refused(self, tmp_path):
        pq.write_table(pa.table({"image": [png(1)]}), tmp_path / "a.parquet")
        pq.write_table(pa.table({"other": [1]}), tmp_path / "b.parquet")
        assert "other: int64" in refusal(local_dataset, tmp_path)

    def test_a_cache_that_cannot_be_written_is_named(self, tmp_path, monkeypatch):
        (tmp_path / "file").touch()
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "file" / "cache")
        pictures([1]).to_parquet(tmp_path / "x.parquet")
        message = refusal(local_dataset, tmp_path / "x.parquet")
        assert f"Not a directory ({tmp_path / 'file'}" in message

    def test_a_damaged_saved_dataset_is_refused(self, tmp_path):
        pictures([1]).save_to_disk(tmp_path / "x")
        (tmp_path / "x" / "data-00000-of-00001.arrow").unlink()
        assert refusal(local_dataset, tmp_path / "x").startswith(f"{tmp_path / 'x'}: ")
        (tmp_path / "x" / "state.json").write_text("{")
        assert refusal(local_dataset, tmp_path / "x").startswith(f"{tmp_path / 'x'}: ")

    def test_progress_bars_are_left_as_they_were(self, tmp_path):
        pictures([1]).to_parquet(tmp_path / "x.parquet")
        assert not datasets.are_progress_bars_disabled()
        local_dataset(tmp_path / "x.parquet")
        assert not datasets.are_progress_bars_disabled()

    def test_nothing_is_drawn_for_a_file(self, tmp_path, capfd):
        pictures([1]).to_parquet(tmp_path / "x.parquet")
        capfd.readouterr()
        local_dataset(tmp_path / "x.parquet")
        assert capfd.readouterr() == ("", "")


class TestIsDataset:
    def test_saved_datasets_and_folders_of_tables(self, tmp_path):
        pictures([1]).save_to_disk(tmp_path / "saved")
        datasets.DatasetDict({"a": pictures([1])}).save_to_disk(tmp_path / "splits")
        for name in ("tables/x.parquet", "arrows/x.ARROW", "repository/data/x.parquet"):
            (tmp_path / name).parent.mkdir(parents=True)
            (tmp_path / name).touch()
        (tmp_path / "repository" / "README.md").touch()
        found = [folder.name for folder in tmp_path.iterdir() if is_dataset(folder)]
        assert sorted(found) == ["arrows", "repository", "saved", "splits", "tables"]

    def test_folders_of_images_are_none_whatever_lies_beside_them(self, tmp_path):
        for name in (
            "images/a.png",
            "images/labels.parquet",
            "images/data/x.parquet",
            "below/data/a.png",
            "below/data/labels.parquet",
            "deep/more/x.parquet",
            "hidden/.x.parquet",
            "half/dataset_info.json",
            "empty/notes.txt",
        ):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        (tmp_path / "folders" / "x.parquet").mkdir(parents=True)
        assert not [folder.name for folder in tmp_path.iterdir() if is_dataset(folder)]

    def test_what_is_not_there_is_none(self, tmp_path):
        assert not is_dataset(tmp_path / "missing")
        assert not is_dataset(tmp_path / ("x" * 300))

    def test_a_folder_of_images_is_known_by_the_first(self, tmp_path, monkeypatch):
        for number in range(100):
            (tmp_path / f"{number}.png").touch()
        looked_at = []
        splitext = os.path.splitext
        monkeypatch.setattr(
            tables.os.path, "splitext", lambda name: looked_at.append(name) or splitext(name)
        )
        assert not is_dataset(tmp_path)
        assert len(looked_at) == 1


class TestHubDataset:
    @pytest.mark.parametrize(
        "name", ["", "parquet", "a b/c", "a/b/c", "../x", "@main", ":train", "/x"]
    )
    def test_names_that_are_none_are_refused(self, name):
        assert "expected OWNER/NAME" in refusal(hub_dataset, name)

    def test_a_folder_of_that_name_is_not_taken_for_it(self, tmp_path, monkeypatch):
        pictures([1]).save_to_disk(tmp_path / "owner" / "faces")
        monkeypatch.chdir(tmp_path)
        assert "exists here" in refusal(hub_dataset, "owner/faces")

    @pytest.mark.parametrize("name", ["owner/faces", "owner/faces@main", "owner/faces:test[:10%]"])
    def test_without_a_network_it_says_so(self, name):
        message = refusal(hub_dataset, name)
        assert message.startswith(f"hf://{name}: Couldn't reach 'owner/faces' on the Hub")
