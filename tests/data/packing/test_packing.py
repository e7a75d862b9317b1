"""Packing: what is stored, what is left out, and that nothing but the source and settings counts."""

import csv
import hashlib
import io
import json
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from pretrain.data.images import BadImage
from pretrain.data.loader import MaskedImages
from pretrain.data.order import sample_ids
from pretrain.data.packing.format import PackSettings, read_contents, read_index
from pretrain.data.packing.pack import pack
from pretrain.data.packing.stored import fit_picture, store
from pretrain.data.packing.writer import PackError, locked
from pretrain.data.shards import PACK, ShardSource
from pretrain.data.sources import FolderSource, Source, SourceError
from pretrain.data.transforms import AugmentationConfig


class Images(Source):
    """Images made in memory, or why they are none."""

    def __init__(self, images, names=None):
        self.images = images
        self.names = names or [f"{index:03d}.png" for index in range(len(images))]

    def image(self, index):
        image = self.images[index]
        if isinstance(image, BaseException):
            raise image
        return image


def noise(seed, height=16, width=16):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(seed, height, width):
    """A picture of slow waves, each colour its own."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    waves = [
        np.sin(rng.uniform(2, 5) * x + rng.uniform(2, 5) * y + rng.uniform(0, 6)) for _ in "rgb"
    ]
    return np.uint8(127.5 + 120 * np.stack(waves, axis=-1))


def make(source, folder, *, workers=1, progress=lambda done: None, **settings):
    settings = PackSettings(**{"size": 16, "min_side": 8, "shard_images": 4} | settings)
    return pack(source, folder, settings, origin="here", workers=workers, progress=progress)


def files(folder):
    """The pack's bytes; the summary tells how long it took."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "summary.txt"}


def rows(path):
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.reader(file))[1:]


def mixed():
    """Forty images: most good, some twice, some bad, some small."""
    images = [noise(seed, 16 + seed % 5, 16 + seed % 3) for seed in range(40)]
    images[3] = BadImage("3", "truncated")
    images[7], images[30], images[33] = images[2].copy(), images[29].copy(), images[2].copy()
    images[12] = noise(12, 7, 30)
    images[39] = BadImage("39", "truncated")
    return Images(images)


@pytest.mark.parametrize("settings", [{}, {"format": "raw", "fit": "squash"}])
def test_the_number_of_workers_changes_no_byte(tmp_path, settings):
    for workers in (1, 3):
        make(mixed(), tmp_path / str(workers), workers=workers, **settings)
    assert files(tmp_path / "1") == files(tmp_path / "3")
    names = {*(f"shard-{i:05d}.{e}" for i in range(9) for e in ("bin", "parquet")), "pack.json"}
    left_out = {"refused.csv", "duplicates.csv", "near_duplicates.csv"}
    assert set(files(tmp_path / "1")) == names | left_out


def test_what_is_left_out_is_listed_and_counted(tmp_path):
    contents = make(mixed(), tmp_path).contents
    assert (contents.images, contents.refused, contents.duplicates) == (34, 3, 3)
    assert rows(tmp_path / "refused.csv") == [
        ["003.png", "truncated"],
        ["012.png", "30 x 7 px, expected at least 8 px a side"],
        ["039.png", "truncated"],
    ]
    assert rows(tmp_path / "duplicates.csv") == [
        ["007.png", "002.png"],
        ["030.png", "029.png"],
        ["033.png", "002.png"],
    ]
    left_out = {3, 7, 12, 30, 33, 39}
    expected = [f"{index:03d}.png" for index in range(40) if index not in left_out]
    assert list(ShardSource(tmp_path).names) == expected
    assert [images for images, _ in contents.shards] == [4] * 8 + [2]


def test_duplicates_can_be_kept_and_are_listed_all_the_same(tmp_path):
    contents = make(mixed(), tmp_path, duplicates="keep").contents
    assert (contents.images, contents.duplicates) == (37, 3)
    expected = [["007.png", "002.png"], ["030.png", "029.png"], ["033.png", "002.png"]]
    assert rows(tmp_path / "duplicates.csv") == expected
    assert ["007.png", "002.png", "0"] in rows(tmp_path / "near_duplicates.csv")


def test_the_same_bytes_in_another_shape_are_no_duplicate(tmp_path):
    pixels = noise(0, 16, 32)
    source = Images([pixels, pixels.reshape(32, 16, 3)])
    assert make(source, tmp_path).contents.images == 2


def test_near_duplicates_are_reported_and_kept(tmp_path):
    face = smooth(1, 64, 64)
    brighter = np.minimum(face.astype(int) + 3, 255).astype(np.uint8)
    make(Images([face, noise(5, 64, 64), brighter]), tmp_path, size=64)
    ((name, like, distance),) = rows(tmp_path / "near_duplicates.csv")
    assert (name, like) == ("002.png", "000.png")
    assert 0 <= int(distance) <= 16
    assert len(ShardSource(tmp_path).names) == 3


def test_every_row_tells_the_truth_about_its_picture(tmp_path):
    source = mixed()
    make(source, tmp_path, size=12)
    for shard in range(9):
        data = (tmp_path / f"shard-{shard:05d}.bin").read_bytes()
        end = 0
        for row in read_index(tmp_path / f"shard-{shard:05d}.parquet").to_pylist():
            stored = data[row["offset"] : row["offset"] + row["length"]]
            original = source.images[row["source_index"]]
            assert row["offset"] == end
            end += row["length"]
            assert row["crc32"] == zlib.crc32(stored)
            assert Image.open(io.BytesIO(stored)).size == (row["width"], row["height"])
            assert original.shape[:2] == (row["source_height"], row["source_width"])
            assert row["aspect"] == row["source_width"] / row["source_height"]
            digest = hashlib.blake2b(str(original.shape).encode(), digest_size=16)
            digest.update(original.tobytes())
            assert row["pixels"] == digest.digest()
        assert end == len(data)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_jpeg_that_needs_no_change_is_stored_as_it_is(tmp_path, mode, subsampling):
    folder = tmp_path / "source"
    folder.mkdir()
    image = Image.fromarray(smooth(0, 14, 30)).convert(mode)
    image.save(folder / "a.jpg", quality=40, subsampling=subsampling, comment="left alone")
    make(FolderSource(folder), tmp_path / "pack")
    assert (tmp_path / "pack/shard-00000.bin").read_bytes() == (folder / "a.jpg").read_bytes()


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ({}, {"size": 10}),
        ({}, {"fit": "crop"}),
        ({}, {"fit": "squash"}),
        ({"mode": "CMYK"}, {}),
        ({"orientation": 3}, {}),
        ({"suffix": ".png"}, {}),
    ],
)
def test_other_files_are_encoded_anew(tmp_path, options, settings):
    folder = tmp_path / "source"
    folder.mkdir()
    path = folder / f"a{options.get('suffix', '.jpg')}"
    exif = Image.Exif()
    exif[0x0112] = options.get("orientation", 1)
    Image.fromarray(smooth(0, 14, 30)).convert(options.get("mode", "RGB")).save(
        path, **({"exif": exif} if path.suffix == ".jpg" else {})
    )
    make(FolderSource(folder), tmp_path / "pack", **settings)
    stored = (tmp_path / "pack/shard-00000.bin").read_bytes()
    assert stored != path.read_bytes()
    with Image.open(io.BytesIO(stored)) as image:
        assert (image.format, image.mode) == ("JPEG", "RGB")
        assert image.getexif().get(0x0112, 1) == 1


def test_a_rotated_file_is_stored_upright_with_upright_sizes(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    pixels, exif = smooth(0, 16, 24), Image.Exif()
    exif[0x0112] = 6  # the viewer turns it by 90 degrees clockwise
    Image.fromarray(pixels).save(folder / "a.jpg", exif=exif, quality=100, subsampling=0)
    make(FolderSource(folder), tmp_path / "pack")
    row = read_index(tmp_path / "pack/shard-00000.parquet").to_pylist()[0]
    assert [row[k] for k in ("height", "width", "source_height", "source_width")] == [
        24,
        16,
        24,
        16,
    ]
    upright = np.rot90(pixels, -1).astype(int)
    assert np.abs(ShardSource(tmp_path / "pack").image(0) - upright).mean() < 3


def test_raw_squares_are_pillows(tmp_path):
    images = [noise(0, 40, 30), noise(1, 9, 24), noise(2, 16, 16), noise(3, 11, 10)]
    for fit in ("squash", "crop"):
        make(Images(images), tmp_path / fit, format="raw", fit=fit)
        source = ShardSource(tmp_path / fit)
        for index, pixels in enumerate(images):
            image = Image.fromarray(pixels)
            if fit == "crop":
                side = min(image.size)
                left, top = (image.width - side) // 2, (image.height - side) // 2
                image = image.crop((left, top, left + side, top + side))
            expected = np.asarray(image.resize((16, 16), Image.Resampling.BICUBIC))
            np.testing.assert_array_equal(source.image(index), expected)


@hypothesis_settings(max_examples=100, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(8, 40), st.sampled_from(["jpeg", "raw"]))
def test_sizes_follow_from_format_and_fit(height, width, size, kind):
    pixels, aspect = noise(0, height, width), width / height
    shorter = min(size, height, width)
    for fit in ("squash", "crop") if kind == "raw" else ("keep", "squash", "crop"):
        settings = PackSettings(format=kind, fit=fit, size=size)
        picture = fit_picture(pixels, aspect, settings)
        if fit != "keep":
            assert picture.size == ((size, size) if kind == "raw" else (shorter, shorter))
            continue
        assert min(picture.size) == shorter
        assert abs(picture.width - shorter * width / min(height, width)) <= 0.5
        assert abs(picture.height - shorter * height / min(height, width)) <= 0.5


def test_a_squashed_source_is_cropped_as_its_original(tmp_path):
    class Squashed(Images):
        def aspect(self, index):
            return 2.0

    pixels = noise(0, 16, 16)
    picture = store(
        Squashed([pixels]), 0, PackSettings(format="raw", fit="crop", size=16, min_side=8)
    )
    expected = Image.fromarray(pixels[:, 4:12]).resize((16, 16), Image.Resampling.BICUBIC)
    assert picture.data == expected.tobytes()


def test_what_is_no_jpeg_of_its_own_is_refused_by_name_not_by_a_crash(tmp_path):
    long = np.zeros((8, 65_536, 3), np.uint8)
    make(Images([noise(0), long]), tmp_path)
    ((name, reason),) = rows(tmp_path / "refused.csv")
    assert name == "001.png"
    assert reason.startswith("65536 x 8 px: no JPEG: ")


def training(source, **augmentation):
    dataset = MaskedImages(
        source,
        seed=3,
        image_size=32,
        num_patches=4,
        augmentation=AugmentationConfig(**augmentation),
    )
    return dataset[(1, np.arange(len(source.names)))]


def test_training_sees_the_same_crops_of_the_source_and_of_its_packs(tmp_path):
    shapes = [(96, 96), (96, 150), (160, 90), (300, 128), (131, 97)]
    source = Images([smooth(seed, *shape) for seed, shape in enumerate(shapes)])
    expected = training(source)
    for kind, fit in (("jpeg", "keep"), ("jpeg", "squash"), ("raw", "squash")):
        folder = tmp_path / f"{kind}-{fit}"
        make(source, folder, format=kind, fit=fit, size=96)
        packed = ShardSource(folder)
        np.testing.assert_array_equal(sample_ids(packed.names), sample_ids(source.names))
        seen = training(packed)
        np.testing.assert_array_equal(seen.noise, expected.noise)
        assert (seen.images.float() - expected.images.float()).abs().mean() < 3
    # The check would see another box: crops of the squashed squares taken as they lie differ.
    wrong = training(Images([packed.image(i) for i in range(5)]))
    assert (wrong.images.float() - expected.images.float()).abs().mean() > 6


def test_names_that_are_not_utf_8_survive(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    Image.fromarray(noise(0)).save(folder / "ok.png")
    os.link(folder / "ok.png", os.fsencode(folder) + b"/caf\xe9, \n.png")
    (Path(os.fsdecode(os.fsencode(folder) + b"/bad\xff.png"))).write_bytes(b"")
    source = FolderSource(folder)
    make(source, tmp_path / "pack", duplicates="keep")
    packed = ShardSource(tmp_path / "pack")
    assert sorted(packed.names) == sorted(n for n in source.names if not n.startswith("bad"))
    assert "caf\udce9, \n.png" in packed.names
    assert rows(tmp_path / "pack/refused.csv") == [["bad\udcff.png", "empty file (0 bytes)"]]
    assert [n for row in rows(tmp_path / "pack/duplicates.csv") for n in row] == [
        "ok.png",
        "caf\udce9, \n.png",
    ]


def test_a_pipe_among_the_files_is_refused_and_nobody_waits_for_its_writer(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    os.mkfifo(folder / "a.jpg")
    (folder / "b.jpg").symlink_to(folder / "gone.jpg")
    Image.fromarray(noise(0)).save(folder / "c.png")
    make(FolderSource(folder), tmp_path / "pack")
    assert rows(tmp_path / "pack/refused.csv") == [
        ["a.jpg", "not a regular file"],
        ["b.jpg", "No such file or directory"],
    ]


def test_a_name_that_comes_twice_is_packed_twice(tmp_path):
    source = Images([noise(0), noise(1), noise(2)], ["a.png", "b.png", "a.png"])
    make(source, tmp_path)
    np.testing.assert_array_equal(sample_ids(ShardSource(tmp_path).names), sample_ids(source.names))


def test_a_source_without_a_good_image_is_refused_and_can_be_tried_otherwise(tmp_path):
    source = Images([noise(0, 10, 10), BadImage("1", "truncated")])
    with pytest.raises(PackError) as caught:
        make(source, tmp_path / "pack", min_side=11)
    assert str(caught.value) == (
        "here: none of 2 images can be packed ('000.png': 10 x 10 px, expected at least 11 px a"
        " side), expected at least one"
    )
    with pytest.raises(SourceError, match="unfinished"):
        ShardSource(tmp_path / "pack")
    assert make(source, tmp_path / "pack", min_side=10).contents.images == 1


class Interrupted(Images):
    """Fails once it comes to an image, as a full disk or a person would have it."""

    def __init__(self, images, at):
        super().__init__(images)
        self.at = at

    def image(self, index):
        if index == self.at:
            raise OSError(28, "No space left on device")
        return super().image(index)


@pytest.mark.parametrize("at", [0, 5, 17, 38, 39])
def test_an_interrupted_pack_goes_on_to_the_same_end(tmp_path, at):
    images = mixed().images
    make(Images(images), tmp_path / "whole")
    with pytest.raises(PackError, match="No space left on device; with that mended"):
        make(Interrupted(images, at), tmp_path / "pack")
    done = []
    make(Images(images), tmp_path / "pack", workers=2, progress=done.append)
    assert files(tmp_path / "pack") == files(tmp_path / "whole")
    assert not [path for path in (tmp_path / "pack").iterdir() if path.name.startswith(".")]
    if at >= 17:
        assert done[0] >= 9  # what is committed is not decoded again
    assert done[-1] == 40
    assert done == sorted(done)


def test_drafts_and_pictures_without_their_index_are_made_anew(tmp_path):
    make(mixed(), tmp_path / "whole")
    make(mixed(), tmp_path / "pack")
    pack_json = json.loads((tmp_path / "pack" / PACK).read_text())
    (tmp_path / "pack" / PACK).write_text(
        json.dumps(pack_json | {"complete": False, "contents": None})
    )
    for shard in range(5, 9):
        (tmp_path / f"pack/shard-{shard:05d}.parquet").unlink()
        (tmp_path / f"pack/shard-{shard:05d}.bin").write_bytes(b"half")
    (tmp_path / "pack/.shard-00005.bin").write_bytes(b"a draft")
    (tmp_path / "pack/.shard-00005.parquet").write_bytes(b"a draft")
    make(mixed(), tmp_path / "pack")
    assert files(tmp_path / "pack") == files(tmp_path / "whole")


def test_going_on_refuses_a_committed_shard_that_was_damaged_since(tmp_path):
    with pytest.raises(PackError):
        make(Interrupted(mixed().images, 38), tmp_path)
    data = tmp_path / "shard-00002.bin"
    data.write_bytes(data.read_bytes()[:-3])
    with pytest.raises(SourceError, match=f"{data}: "):
        make(mixed(), tmp_path)


@pytest.mark.parametrize("finished", [True, False])
def test_other_settings_or_another_source_are_refused(tmp_path, finished):
    images = mixed().images
    if finished:
        make(Images(images), tmp_path)
    else:
        with pytest.raises(PackError):
            make(Interrupted(images, 38), tmp_path)
    before = files(tmp_path)
    with pytest.raises(
        PackError, match=r"made with size 16 \(now 20\), quality 95 \(now 90\); exp"
    ):
        make(Images(images), tmp_path, size=20, quality=90)
    for names in ([f"{i}.png" for i in range(40)], [f"{i:03d}.png" for i in range(39, -1, -1)]):
        with pytest.raises(PackError, match="made with source '40-"):
            make(Images(images, names), tmp_path)
    assert files(tmp_path) == before


def test_a_finished_pack_is_left_alone(tmp_path):
    made = make(mixed(), tmp_path)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in tmp_path.iterdir()}
    again = make(Interrupted(mixed().images, 0), tmp_path)
    assert again.summary is None
    assert again.contents == made.contents == read_contents(tmp_path)
    assert before == {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in tmp_path.iterdir()}


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(PackError) as caught:
        make(mixed(), tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: holds 'thesis.txt', expected a new or an empty folder"
    )
    assert os.listdir(tmp_path) == ["thesis.txt"]
    with pytest.raises(PackError, match=r"thesis\.txt: File exists"):
        make(mixed(), tmp_path / "thesis.txt")


def test_a_second_packer_is_refused(tmp_path):
    with locked(tmp_path):
        child = os.fork()
        if child == 0:
            try:
                make(mixed(), tmp_path)
            except PackError as error:
                os._exit(7 if "another process is packing" in str(error) else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    make(mixed(), tmp_path)


def test_the_summary_counts_what_went_in_and_what_came_out(tmp_path):
    summary = make(mixed(), tmp_path).summary
    assert summary == (tmp_path / "summary.txt").read_text()
    words = [line.split() for line in summary.splitlines()]
    assert words[1:5] == [
        ["images", "in", "40"],
        ["packed", "34"],
        ["refused", "3", "refused.csv"],
        ["2", "x", "truncated"],
    ]
    assert "1 x N x N px, expected at least N px a side" in summary
    assert ["exact", "duplicates", "3", "dropped;", "duplicates.csv"] in words
    assert words[-1][:4] == ["0", "to", "63", "34"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"format": "png"}, "format 'png', expected jpeg or raw"),
        ({"format": "raw"}, "fit 'keep' with format raw, expected squash or crop"),
        ({"fit": "pad"}, "fit 'pad', expected keep or squash or crop"),
        ({"duplicates": "merge"}, "duplicates 'merge', expected drop or keep"),
        ({"size": 4}, "size 4, expected in 8..4096"),
        ({"quality": 0}, "quality 0, expected in 1..100"),
        ({"shard_images": 0}, "shard_images 0, expected in 1..1000000"),
        ({"min_side": 0}, "min_side 0, expected in 1..4096"),
    ],
)
def test_settings_out_of_range_are_refused(settings, expected):
    with pytest.raises(ValueError, match="^" + expected.replace(".", r"\.")):
        PackSettings(**settings)
