"""DISFA: units counted by hand."""

import pytest
from label_files import lay_out, refusal, refused_row, write

from finetune.data.disfa import read

FIRST = "ActionUnit_Labels/SN001/SN001_au1.txt"
FOURTH = "ActionUnit_Labels/SN001/SN001_au4.txt"


def test_frames_of_all_subjects(tmp_path):
    lay_out(tmp_path, "disfa")
    found = read(tmp_path, "all")
    assert len(found) == 13 + 15
    assert found.images[0] == "SN001/00001.jpg"
    assert found.images[13] == "SN002/00001.jpg"
    assert found.images[-1] == "SN002/00015.jpg"
    assert found.frames.tolist() == [*range(1, 14), *range(1, 16)]
    assert found.subjects == found.videos == ["SN001"] * 13 + ["SN002"] * 15
    assert found.targets.action_unit_space.name == "disfa_12"
    assert found.targets.action_units_valid.all()
    # The unit in place p is there from frame p + 2 on: 12 - p of 13 frames and 14 - p of 15.
    units = found.targets.action_units
    assert units.sum(0).tolist() == [26 - 2 * place for place in range(12)]
    assert units[0].tolist() == [0] * 12  # all at intensity 1
    assert units[2].tolist() == [1, 1] + [0] * 10


def test_a_unit_is_there_from_intensity_2(tmp_path):
    lay_out(tmp_path, "disfa")
    write(tmp_path / FIRST, "".join(f"{frame},{min(frame - 1, 5)}\n" for frame in range(1, 14)))
    found = read(tmp_path, "all").targets.action_units[:7, 0]
    assert found.tolist() == [0, 0, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("\n7,4\n", "\n7,6\n", ":7: intensity 6, expected 0 to 5"),
        ("\n7,4\n", "\n7,-1\n", ":7: intensity -1, expected 0 to 5"),
        ("\n7,4\n", "\n7,2.5\n", ":7: intensity '2.5', expected a whole number"),
        ("\n7,4\n", "\n7,nan\n", ":7: intensity 'nan', expected a whole number"),
        ("\n7,4\n", "\n7,1e9\n", ":7: intensity 1000000000, expected 0 to 5"),
        ("\n7,4\n", "\n8,4\n", ":7: frame 8, expected 7 as in SN001_au1.txt"),
        ("\n7,4\n", "\nx,4\n", ":7: frame 'x', expected a number"),
        ("\n7,4\n", "\n-7,4\n", ":7: frame -7, expected 0 or more"),
        ("\n7,4\n", "\n7\n", ":7: 1 cells, expected 2"),
        ("\n7,4\n", "\n7,4,0\n", ":7: 3 cells, expected 2"),
        ("\n7,4\n", "\n", ": 12 lines, expected 13 as SN001_au1.txt has"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, old, new, said):
    assert refused_row(tmp_path, "disfa", FOURTH, old, new).startswith(said)


def test_an_absent_file_and_another_folder_are_refused(tmp_path):
    lay_out(tmp_path, "disfa")
    (tmp_path / "ActionUnit_Labels/SN1").mkdir()
    assert "SN1', expected folders SN001 and so on" in refusal(tmp_path, "disfa")
    (tmp_path / "ActionUnit_Labels/SN1").rmdir()
    (tmp_path / FOURTH).unlink()
    assert refusal(tmp_path, "disfa").startswith(f"{FOURTH}: No such file or directory, expected")
