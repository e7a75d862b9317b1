"""Packs as a source: what is read, in which processes, and what is refused."""

import json
import multiprocessing
import os
import pickle
import resource

import numpy as np
import pytest
from PIL import Image

from pretrain.data import shards
from pretrain.data.images import BadImage
from pretrain.data.packing.format import PackSettings, read_index
from pretrain.data.packing.pack import pack
from pretrain.data.shards import PACK, ShardSource
from pretrain.data.sources import FolderSource, SourceError


def make(folder, shapes, **settings):
    """A folder of noise PNGs and its pack."""
    source = folder / "source"
    source.mkdir()
    rng = np.random.default_rng(0)
    for number, (height, width) in enumerate(shapes):
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(source / f"{number}.png")
    origin = FolderSource(source)
    pack(
        origin,
        folder / "pack",
        PackSettings(**{"size": 16, "min_side": 8, "shard_images": 4} | settings),
        origin="source",
        workers=1,
        progress=lambda done: None,
    )
    return origin, folder / "pack"


def refusal(folder):
    with pytest.raises(SourceError) as caught:
        ShardSource(folder)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(folder))
    return str(caught.value)


def test_raw_pictures_are_views_that_nobody_can_write_to(tmp_path):
    origin, folder = make(tmp_path, [(16, 16)] * 10, format="raw", fit="squash")
    source = ShardSource(folder)
    assert list(source.names) == list(origin.names)
    for index in range(10):
        picture = source.image(index)
        np.testing.assert_array_equal(picture, origin.image(index))
        assert not picture.flags.writeable
        assert not picture.flags.owndata
        assert source.encoded(index) is None


def test_jpeg_pictures_are_the_stored_bytes_decoded(tmp_path):
    _, folder = make(tmp_path, [(20, 30), (16, 16), (64, 40)])
    source = ShardSource(folder)
    assert [source.image(i).shape for i in range(3)] == [(16, 24, 3), (16, 16, 3), (26, 16, 3)]
    for index in range(3):
        encoded = source.encoded(index)
        assert encoded is not None
        assert encoded[:2] == b"\xff\xd8"


def test_aspect_is_the_originals_and_a_cut_out_has_its_own(tmp_path):
    for fit, expected in (("squash", [1.5, 0.625]), ("crop", [None, None])):
        folder = tmp_path / fit
        folder.mkdir()
        _, packed = make(folder, [(20, 30), (64, 40)], format="raw", fit=fit)
        assert [ShardSource(packed).aspect(i) for i in range(2)] == expected
    folder = tmp_path / "keep"
    folder.mkdir()
    _, packed = make(folder, [(20, 33)])
    assert ShardSource(packed).aspect(0) == 33 / 20


def test_a_pack_of_a_pack_keeps_the_originals_aspect(tmp_path):
    _, first = make(tmp_path, [(20, 33), (64, 41)], format="raw", fit="squash")
    settings = PackSettings(format="raw", size=8, fit="squash", min_side=8)
    pack(
        ShardSource(first), tmp_path / "2", settings, origin="", workers=1, progress=lambda d: None
    )
    again = ShardSource(tmp_path / "2")
    assert [again.aspect(i) for i in range(2)] == [33 / 20, 41 / 64]


def test_indices_beyond_the_end_are_refused_and_negative_ones_count_from_it(tmp_path):
    origin, folder = make(tmp_path, [(16, 16)] * 5, format="raw", fit="crop")
    source = ShardSource(folder)
    np.testing.assert_array_equal(source.image(-1), origin.image(4))
    for read in (source.image, source.aspect, source.encoded):
        with pytest.raises(IndexError):
            read(5) or source.image(5)


def test_forked_and_spawned_readers_see_the_same(tmp_path):
    origin, folder = make(tmp_path, [(16, 16)] * 9, format="raw", fit="crop")
    source = ShardSource(folder)
    source.image(0)  # a map is open
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for index, picture in enumerate(pool.map(source.image, range(9))):
            np.testing.assert_array_equal(picture, origin.image(index))
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(again.image(8), source.image(8))


def test_file_descriptors_are_bounded(tmp_path, monkeypatch):
    origin, folder = make(tmp_path, [(16, 16)] * 12, format="raw", fit="crop", shard_images=1)
    monkeypatch.setattr(shards, "_OPEN_SHARDS", 3)
    source = ShardSource(folder)
    before = len(os.listdir("/proc/self/fd"))
    kept = source.image(0)
    for index in [*range(12), *range(12)]:
        np.testing.assert_array_equal(source.image(index), origin.image(index))
    assert len(os.listdir("/proc/self/fd")) <= before + 4
    np.testing.assert_array_equal(kept, origin.image(0))  # its file is mapped as long as it lives


def test_a_damaged_picture_is_a_bad_image_named_by_pack_and_name(tmp_path):
    _, folder = make(tmp_path, [(16, 16)] * 2)
    data = folder / "shard-00000.bin"
    data.write_bytes(b"x" * data.stat().st_size)
    with pytest.raises(BadImage) as caught:
        ShardSource(folder).image(1)
    assert str(caught.value).startswith(f"{folder}: 1.png: ")


def test_what_is_missing_or_of_another_length_is_refused(tmp_path):
    _, folder = make(tmp_path, [(16, 16)] * 10)
    data, index = folder / "shard-00001.bin", folder / "shard-00001.parquet"
    whole = data.read_bytes()
    data.write_bytes(whole[:-1])
    assert refusal(folder) == f"{data}: {len(whole) - 1} bytes, expected {len(whole)}"
    data.write_bytes(whole + b" ")
    refusal(folder)
    data.unlink()
    assert "No such file" in refusal(folder)
    data.write_bytes(whole)
    table = index.read_bytes()
    index.unlink()
    assert "No such file" in refusal(folder)
    index.write_bytes(b"")
    assert "damaged" in refusal(folder)
    for at in range(0, len(table), 97):  # a flipped bit: refused, or of no consequence
        index.write_bytes(table[:at] + bytes([table[at] ^ 4]) + table[at + 1 :])
        try:
            names = ShardSource(folder).names
        except SourceError as error:
            assert str(error).startswith(str(index))
            assert "\n" not in str(error)
        else:
            assert list(names) == [f"{i}.png" for i in range(10)]
    index.write_bytes((folder / "shard-00002.parquet").read_bytes())
    assert "rows, expected 4" in refusal(folder)


def test_a_flipped_bit_of_a_checksum_is_found(tmp_path):
    _, folder = make(tmp_path, [(16, 16)] * 4)
    index = folder / "shard-00000.parquet"
    content = bytearray(index.read_bytes())
    at = content.find(read_index(index)["pixels"][2].as_py())
    assert at > 0  # random bytes are not compressed
    content[at] ^= 1
    index.write_bytes(content)
    with pytest.raises(SourceError, match=f"{index}: damaged"):
        read_index(index)


def test_an_index_of_other_columns_is_refused(tmp_path):
    import pyarrow.parquet as pq

    _, folder = make(tmp_path, [(16, 16)] * 2)
    index = folder / "shard-00000.parquet"
    pq.write_table(read_index(index).drop_columns(["crc32"]), index)
    assert "other columns" in refusal(folder)


def test_an_index_that_points_outside_of_its_file_is_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    _, folder = make(tmp_path, [(16, 16)] * 2)
    index = folder / "shard-00000.parquet"
    table = read_index(index)
    wrong = pa.array([0, 10**6], pa.int64())
    at = table.schema.get_field_index("offset")
    pq.write_table(table.set_column(at, table.schema.field(at), wrong), index)
    assert "outside of their file" in refusal(folder)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"version": 2}, "format version 2, expected 1"),
        ({"complete": False}, "an unfinished pack, expected a complete one"),
        ({"settings": None}, "damaged"),
        ({"contents": {}}, "damaged"),
        ({"source_images": "many"}, "damaged"),
    ],
)
def test_another_version_and_unfinished_or_damaged_packs_are_refused(tmp_path, change, expected):
    _, folder = make(tmp_path, [(16, 16)] * 2)
    values = json.loads((folder / PACK).read_text())
    (folder / PACK).write_text(json.dumps(values | change))
    assert expected in refusal(folder)


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff\xfe", b"{}", b"null", b'"pack"'])
def test_a_pack_json_that_is_none_is_refused(tmp_path, text):
    _, folder = make(tmp_path, [(16, 16)])
    (folder / PACK).write_bytes(text)
    assert "damaged" in refusal(folder)
    (folder / PACK).unlink()
    assert "No such file" in refusal(folder)


def test_reading_takes_no_memory_of_its_own(tmp_path):
    _, folder = make(tmp_path, [(16, 16)] * 4, format="raw", fit="crop", size=1024)
    source = ShardSource(folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pictures = [source.image(index % 4) for index in range(200)]  # 600 MB, were they copies
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
    assert pictures[0].shape == (1024, 1024, 3)
