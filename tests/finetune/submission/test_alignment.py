"""Where two lists of images part: what each fault is called, and that there are few of them."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.submission.alignment import Parting, partings

LISTED = "abcdefaghij"  # one image twice


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ("abcdefaghij", []),
        ("bcdefaghij", [("missing", 0, 0, 1)]),
        ("abcdefghij", [("missing", 6, 6, 1)]),  # the second time
        ("abefaghij", [("missing", 2, 2, 2)]),
        ("abcdefagh", [("missing", 9, 9, 2)]),
        ("", [("missing", 0, 0, 11)]),
        ("abdefaghj", [("missing", 2, 2, 1), ("missing", 8, 9, 1)]),
        ("abcxdefaghij", [("extra", 3, 3, 1)]),
        ("abcdefaghijxy", [("extra", 11, 11, 2)]),
        ("abccdefaghij", [("extra", 3, 3, 1)]),
        ("abcdefaghija", [("extra", 11, 11, 1)]),  # once too often
        ("axcdefaghij", [("other", 1, 1, 1)]),
        ("axyzefaghij", [("other", 1, 1, 3)]),
        ("axyzcdefaghij", [("other", 1, 1, 1), ("extra", 2, 2, 2)]),
        ("axefaghij", [("other", 1, 1, 1), ("missing", 2, 2, 2)]),
        ("abdcefaghij", [("order", 2, 2, 2)]),
        ("jihgafedcba", [("order", 0, 0, 10)]),  # the sixth is where it was
        ("bcdefaghija", [("order", 0, 0, 11)]),
        ("abdcefxghij", [("order", 2, 2, 2), ("other", 6, 6, 1)]),
    ],
)
def test_partings(images, expected):
    assert partings(images, LISTED) == [Parting(*parting) for parting in expected]


@given(st.text("abcd", max_size=9), st.text("abcde", max_size=9))
def test_rows_that_are_missing_or_too_many_are_all_counted(images, listed):
    found = Counter()
    for parting in partings(images, listed):
        found[parting.kind] += parting.count
    missing, extra = Counter(listed) - Counter(images), Counter(images) - Counter(listed)
    assert found["missing"] + found["other"] == missing.total()
    assert found["extra"] + found["other"] == extra.total()
    assert (not found) == (images == listed)


def test_fifty_thousand_rows_of_anything_are_quick():
    listed = [f"{row}.jpg" for row in range(50_000)]
    assert len(partings(listed[::-1], listed)) == 1
    assert len(partings([f"x/{name}" for name in listed], listed)) == 1
    assert len(partings(listed[::2], listed)) == 25_000
