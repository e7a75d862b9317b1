from pathlib import Path

import pytest

from pretrain.files import WriteError, write_folder, write_text


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
