"""EmotioNet: one list of addresses and action units."""

import pytest
from label_files import lay_out, refusal, refused_row, write

from finetune.data.emotionet import read

LIST = "list.csv"


def test_the_list(tmp_path):
    lay_out(tmp_path, "emotionet")
    found = read(tmp_path, "all")
    assert list(found.images) == ["N_1/x y.jpg", "N_2/b.jpg", "N_1/c.jpg", "N_2/b.jpg"]
    targets = found.targets
    assert targets.action_unit_space.units == (12, 1, 4, 51)
    assert targets.action_units.tolist() == [[1, 0, 0, 0], [1, 0, 1, 0], [1, 0, 1, 1], [0, 1, 0, 0]]
    assert targets.action_units_valid.tolist() == [
        [True, True, False, True],
        [True, False, True, True],
        [True, True, True, True],
        [True, True, True, False],
    ]


@pytest.mark.parametrize("name", ["image", "Image", "url", "URL"])
def test_names_of_the_column_of_images(tmp_path, name):
    write(tmp_path / "x.CSV", f"AU 1,{name}\n1,a/b.jpg\n")
    assert list(read(tmp_path, "all").images) == ["a/b.jpg"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("N_2/b.jpg,1,", "N_2/b.jpg,2,", ":3: AU12 2, expected 0 to 1, or 999 for none"),
        ("N_2/b.jpg,1,", "N_2/b.jpg,-1,", ":3: AU12 -1, expected 0 to 1, or 999 for none"),
        ("N_2/b.jpg,1,", "N_2/b.jpg,0.5,", ":3: 'AU 12' '0.5', expected a whole number"),
        ("N_2/b.jpg,1,", "N_2/b.jpg,,", ":3: 'AU 12' '', expected a number"),
        ("N_2/b.jpg,1,", "N_2/b.jpg,", ":3: 5 cells, expected 6"),
        ("N_2/b.jpg,1,", ",1,", ":3: URL '', expected the address of an image"),
        ("N_2/b.jpg,1,", "http://host/,1,", ":3: URL 'http://host/', expected the address"),
        ("N_2/b.jpg,1,", "http://h/../b.jpg,1,", ":3: URL '../b.jpg', expected the path"),
        ("N_2/b.jpg,1,", "http://[x/b.jpg,1,", ":3: URL 'http://[x/b.jpg', expected the address"),
        ("URL,", "link,", ":1: 0 columns of images and 4 of action units, expected image or URL"),
        ("note", "Image", ":1: 2 columns of images and 4 of action units"),
        ("AU4", "AU 012", ":1: the header AU12, AU1, AU12, AU51, expected distinct action units"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, old, new, said):
    assert refused_row(tmp_path, "emotionet", LIST, old, new).startswith(said)


def test_columns_of_the_same_name_are_refused(tmp_path):
    write(tmp_path / LIST, "URL,AU1,AU1\na.jpg,1,0\n")
    assert refusal(tmp_path, "emotionet").startswith(f"{LIST}:1: 2 columns AU1 in the header")


def test_two_lists_are_refused(tmp_path):
    lay_out(tmp_path, "emotionet")
    write(tmp_path / "other.csv", "")
    assert refusal(tmp_path, "emotionet") == ": 2 CSV files, expected one"
