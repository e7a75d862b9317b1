"""RAF-AU: the strings of its list."""

import pytest
from label_files import lay_out, refusal, refused_row, write

from finetune.data.raf_au import read


def test_the_list(tmp_path):
    lay_out(tmp_path, "raf_au")
    found = read(tmp_path, "all")
    assert list(found.images) == [f"000{number}_aligned.jpg" for number in (2, 1, 3, 4)]
    assert found.targets.action_unit_space.units == (1, 4, 12, 23, 25)
    assert found.targets.action_units.tolist() == [
        [1, 1, 0, 0, 1],
        [0, 0, 1, 1, 0],
        [0, 0, 0, 0, 0],
        [1, 0, 0, 0, 1],
    ]
    assert found.targets.action_units_valid.all()
    assert not found.targets.expression_valid.any()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("L12+T23", value, f":2: action units {value!r}, expected null, or action units as in")
        for value in ("L12+", "+1", "12+x", "LL12", "12L", "0", "100", "Null", "1,2", "-1", "1.0")
    ]
    + [
        ("L12+T23", "", ":2: 1 words, expected an image and its action units"),
        ("L12+T23", "L12 + T23", ":2: 4 words, expected an image and its action units"),
        ("0001.jpg", "../0001.jpg", ":2: image '../0001.jpg', expected the path of an image"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, old, new, said):
    assert refused_row(tmp_path, "raf_au", "RAFAU_label.txt", old, new).startswith(said)


def test_a_list_without_any_action_unit_is_refused(tmp_path):
    write(tmp_path / "RAFAU_label.txt", "0001.jpg null\n")
    assert refusal(tmp_path, "raf_au") == "RAFAU_label.txt: no action unit, expected some"
