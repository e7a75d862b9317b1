"""Folders of images: which files count, under which names, and what is refused."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from pretrain.data.images import SUFFIXES, BadImage
from pretrain.data.order import sample_ids
from pretrain.data.sources import FolderSource, SourceError


def write(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        Image.fromarray(np.full((2, 3, 3), value, np.uint8)).save(file, "PNG")


def refusal(root):
    with pytest.raises(SourceError) as caught:
        FolderSource(root)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{root}: ")
    return str(caught.value)


def test_images_are_listed_recursively_and_sorted(tmp_path):
    listed = ["b.png", "a/z.png", "a/b/c/deep.png", "c/1.png", "a.png", "B.png"]
    for value, name in enumerate(listed):
        write(tmp_path / name, value)
    source = FolderSource(tmp_path)
    assert list(source.names) == sorted(listed)
    for index, name in enumerate(source.names):
        pixels = source.image(index)
        assert pixels.shape == (2, 3, 3)
        assert pixels[0, 0, 0] == listed.index(name)


def test_names_do_not_depend_on_where_the_folder_lies(tmp_path, monkeypatch):
    first = tmp_path / "first" / "faces"
    for name in ("one.png", "two/three.png"):
        write(first / name)
    second = tmp_path / "elsewhere, renamed"
    shutil.copytree(first, second)
    link = tmp_path / "link"
    link.symlink_to(first)
    monkeypatch.chdir(tmp_path)
    expected = ["one.png", "two/three.png"]
    for root in (
        first,
        second,
        link,
        first.relative_to(tmp_path),
        tmp_path / "first/../first/faces",
    ):
        assert list(FolderSource(root).names) == expected
    monkeypatch.chdir(first)
    assert list(FolderSource(type(first)(".")).names) == expected


def test_names_do_not_depend_on_the_order_in_which_files_were_made(tmp_path):
    names = [f"{folder}/{i}.png" for folder in "abc" for i in range(20)]
    for name in names:
        write(tmp_path / "forward" / name)
    for name in reversed(names):
        write(tmp_path / "backward" / name)
    forward, backward = FolderSource(tmp_path / "forward"), FolderSource(tmp_path / "backward")
    assert list(forward.names) == list(backward.names) == sorted(names)


def test_hidden_files_and_folders_are_skipped(tmp_path):
    for name in ("shown.png", ".hidden.png", ".cache/inside.png", "a/.DS_Store.png", "._x.jpg"):
        write(tmp_path / name)
    assert list(FolderSource(tmp_path).names) == ["shown.png"]


def test_only_files_with_an_images_ending_are_listed(tmp_path):
    endings = [*sorted(SUFFIXES), ".JPG", ".Png", ".TIFF"]
    for ending in endings:
        write(tmp_path / f"image{ending}")
    for name in ("notes.txt", "labels.csv", "image.png.tmp", "image.jpg~", "png", "jpg", "x.npy"):
        (tmp_path / name).write_text("not an image")
    assert set(FolderSource(tmp_path).names) == {f"image{ending}" for ending in endings}


def test_a_folder_with_an_images_name_is_a_folder(tmp_path):
    write(tmp_path / "album.jpg" / "face.png")
    assert list(FolderSource(tmp_path).names) == ["album.jpg/face.png"]


@pytest.mark.parametrize(
    "name",
    [
        "with space.png",
        "ünïcödé/日本語 😀.png",
        "quote'\"$(x)`.png",
        "#1&2;.png",
        "-dash.png",
        "tab\tname.png",
        "two.dots.in.png",
        "%41.png",
        "back\\slash.png",
        "x" * 200 + ".png",
    ],
)
def test_odd_names_are_read(tmp_path, name):
    write(tmp_path / name, 7)
    source = FolderSource(tmp_path)
    assert list(source.names) == [name]
    assert source.image(0)[0, 0, 0] == 7


def test_names_that_are_no_utf8_are_read(tmp_path):
    raw = [b"caf\xe8.png", b"caf\xe9.png"]
    for value, name in enumerate(raw):
        try:
            write(tmp_path / os.fsdecode(name), value)
        except OSError:
            pytest.skip("this file system takes UTF-8 names only")
    source = FolderSource(tmp_path)
    assert [os.fsencode(name) for name in source.names] == raw
    assert [source.image(i)[0, 0, 0] for i in range(2)] == [0, 1]
    assert len(set(sample_ids(source.names).tolist())) == 2


def test_links_to_files_and_folders_are_followed(tmp_path):
    store = tmp_path / "store"
    write(store / "inner" / "face.png", 5)
    root = tmp_path / "root"
    write(root / "own.png", 1)
    (root / "linked").symlink_to(store)
    (root / "alias.png").symlink_to(store / "inner" / "face.png")
    source = FolderSource(root)
    assert list(source.names) == ["alias.png", "linked/inner/face.png", "own.png"]
    assert [source.image(i)[0, 0, 0] for i in range(3)] == [5, 5, 1]


def test_a_hidden_folder_is_read_under_the_name_of_a_link_to_it(tmp_path):
    write(tmp_path / ".store" / "face.png")
    (tmp_path / "faces").symlink_to(".store")
    assert list(FolderSource(tmp_path).names) == ["faces/face.png"]


def test_link_loops_end(tmp_path):
    write(tmp_path / "a" / "b" / "face.png")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "again").symlink_to("../a")
    (tmp_path / "itself").symlink_to("itself")
    (tmp_path / "there").symlink_to("back")
    (tmp_path / "back").symlink_to("there")
    assert list(FolderSource(tmp_path).names) == ["a/b/face.png"]


@pytest.mark.parametrize("folder_first", [True, False])
@pytest.mark.parametrize(("folder", "link"), [("real", "alias"), ("real", "zalias")])
def test_a_folder_keeps_its_own_name_beside_a_link_to_it(tmp_path, folder, link, folder_first):
    if folder_first:
        write(tmp_path / folder / "deep" / "face.png")
    (tmp_path / link).symlink_to(folder)
    (tmp_path / f"{link}-deep").symlink_to(f"{folder}/deep")
    if not folder_first:
        write(tmp_path / folder / "deep" / "face.png")
    assert list(FolderSource(tmp_path).names) == [f"{folder}/deep/face.png"]


def test_of_several_links_to_a_folder_the_first_by_name_counts(tmp_path):
    write(tmp_path / "outside" / "face.png")
    root = tmp_path / "root"
    root.mkdir()
    for name in ("d", "b", "f", "a", "e", "c"):
        (root / name).symlink_to(tmp_path / "outside")
    assert list(FolderSource(root).names) == ["a/face.png"]


def test_broken_links_and_damaged_files_are_listed_and_refused_when_read(tmp_path):
    write(tmp_path / "good.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "empty.png").touch()
    source = FolderSource(tmp_path)
    assert list(source.names) == ["empty.png", "gone.png", "good.png"]
    for index, reason in ((0, "empty file (0 bytes)"), (1, "No such file or directory")):
        with pytest.raises(BadImage) as caught:
            source.image(index)
        assert caught.value.name == str(tmp_path / source.names[index])
        assert caught.value.reason == reason
    assert source.image(2).shape == (2, 3, 3)


def test_an_empty_folder_is_refused(tmp_path):
    assert "no images" in refusal(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "notes.txt").touch()
    message = refusal(tmp_path)
    assert ".jpg" in message
    assert ".png" in message


def test_a_missing_folder_is_refused(tmp_path):
    assert "no such folder" in refusal(tmp_path / "missing")


def test_a_file_is_refused(tmp_path):
    write(tmp_path / "face.png")
    assert "a file" in refusal(tmp_path / "face.png")


def test_a_folder_below_a_file_is_refused(tmp_path):
    write(tmp_path / "face.png")
    refusal(tmp_path / "face.png" / "below")


def test_a_path_that_no_file_system_takes_is_refused(tmp_path):
    assert "File name too long" in refusal(tmp_path / ("x" * 300))


def test_a_link_to_itself_is_refused(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    refusal(tmp_path / "loop")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_refused_by_name(tmp_path):
    write(tmp_path / "good.png")
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0)
    try:
        with pytest.raises(SourceError, match="locked: Permission denied"):
            FolderSource(tmp_path)
    finally:
        locked.chmod(0o700)
