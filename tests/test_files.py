import os
import stat
from pathlib import Path

import pytest

from pretrain.files import WriteError, check_out, new_folder, write_folder, write_text


def test_text_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "one")
    write_text(tmp_path / "a.txt", "two")
    assert (tmp_path / "a.txt").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    with pytest.raises(WriteError, match="cannot write"):
        write_text(tmp_path / "a.txt" / "b.txt", "three")


def test_a_folder_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    write_folder(tmp_path / "out", {"a.txt": b"1", "b.txt": b"2"})
    assert {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()} == {
        "a.txt": b"1",
        "b.txt": b"2",
    }
    with pytest.raises(WriteError, match="out: is there already, expected a new folder"):
        write_folder(tmp_path / "out", {"c.txt": b"3"})
    with pytest.raises(WriteError, match="cannot write: No such file or directory"):
        write_folder(tmp_path / "new", {"a.txt": b"1", "missing/b.txt": b"2"})
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_link_is_followed_and_a_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path):
        with pytest.raises(WriteError, match="is no regular file, expected a file to write"):
            write_text(place, "x")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_result_does_not_replace_what_is_read(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in ("t.parquet", "validation.csv", "scores.json"):
        (data / name).write_text(name)
    (tmp_path / "link").symlink_to(data / "t.parquet")
    with pytest.raises(WriteError, match="is read as well, expected another file"):
        check_out(tmp_path / "link", [data / "t.parquet"])
    with pytest.raises(WriteError, match="is a file of the collection, expected another place"):
        check_out(data / ".." / "data" / "validation.csv", [], data)
    with pytest.raises(WriteError, match=r"validation\.csv is no folder, expected one"):
        check_out(data / "validation.csv" / "s.json", [])
    for name in ("scores.json", "new.csv", "new/s.json"):
        check_out(data / name, [data / "t.parquet"], data)
    check_out(tmp_path / "other.csv", [], data)


def test_a_folder_that_is_filled_slowly_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "out"
    killed = tmp_path / ".out.draft"  # what a killed process has left
    killed.mkdir()
    (killed / "old").touch()

    def fill(*, fails: bool) -> None:
        with new_folder(out) as draft:
            (draft / "new").touch()
            if fails:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill(fails=True)
    assert not list(tmp_path.iterdir())
    fill(fails=False)
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "new"]
    with pytest.raises(WriteError, match=r"out: .*not empty, expected a new folder"):
        fill(fails=False)
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "new"]
