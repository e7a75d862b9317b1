"""FER+ against votes that were counted by hand."""

import numpy as np
import pytest
from label_files import lay_out, refused_row

from finetune.data.ferplus import read

LIST = "fer2013new.csv"


def test_the_answer_with_the_most_votes_is_the_label(tmp_path):
    lay_out(tmp_path, "ferplus")
    found = read(tmp_path, "train")
    assert list(found.images) == [
        f"FER2013Train/fer000000{number}.png" for number in (0, 1, 3, 4, 5, 6, 8, 9)
    ]
    targets = found.targets
    names = [
        targets.expression_space.classes[index] if valid else None
        for index, valid in zip(targets.expression, targets.expression_valid, strict=True)
    ]
    assert names == ["Neutral", "Happiness", None, None, None, "Contempt", None, "Surprise"]


def test_votes_are_shares_of_the_expressions(tmp_path):
    lay_out(tmp_path, "ferplus")
    votes = read(tmp_path, "train").targets.expression_votes
    assert np.allclose(votes[0], [0.4, 0, 0, 0.1, 0.3, 0.2, 0, 0])
    assert votes[1].tolist() == [0, 1, 0, 0, 0, 0, 0, 0]  # the four unknown do not count
    assert votes[5].tolist() == [0.1, 0, 0, 0, 0, 0, 0, 0.9]
    assert votes[7].tolist() == [0, 0, 0.3, 0.2, 0.2, 0.2, 0.1, 0]
    assert not votes[[2, 3, 4, 6]].any()


@pytest.mark.parametrize(
    ("split", "image", "index"),
    [
        ("validation", "FER2013Valid/fer0000002.png", 3),
        ("test", "FER2013Test/fer0000007.png", 6),
    ],
)
def test_the_other_splits(tmp_path, split, image, index):
    lay_out(tmp_path, "ferplus")
    found = read(tmp_path, split)
    assert list(found.images) == [image]
    assert found.targets.expression.tolist() == [index]


def test_a_row_that_nobody_voted_on_has_no_label(tmp_path):
    lay_out(tmp_path, "ferplus")
    file = tmp_path / LIST
    file.write_text(file.read_text() + "Training,a.png,0,0,0,0,0,0,0,0,0,0\n")
    targets = read(tmp_path, "train").targets
    assert not targets.expression_valid[-1]
    assert not targets.expression_votes[-1].any()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("png,0,5,0,0,5", "png,0,11,0,0,5", ":6: happiness '11', expected 0 to 10 votes"),
        ("png,0,5,0,0,5", "png,0,-1,0,0,5", ":6: happiness '-1', expected 0 to 10 votes"),
        ("png,0,5,0,0,5", "png,0,5,0,0,2.5", ":6: anger '2.5', expected a whole number"),
        ("png,0,5,0,0,5", "png,0,5,0,0,", ":6: anger '', expected a number"),
        ("png,0,5,0,0,5", "png,0,5,0,0", ":6: 11 cells, expected 12"),
        ("Training,fer0000003", "Train,fer0000003", ":6: Usage 'Train', expected one of Training"),
        (",contempt,", ",Contempt,", ":1: 0 columns contempt in the header, expected one each"),
        (",NF", "", ":1: 0 columns NF in the header, expected one each"),
        ("PublicTest,fer0000002.png", "Training,/x", ":5: Image name '/x', expected the path"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, old, new, said):
    assert refused_row(tmp_path, "ferplus", LIST, old, new).startswith(said)
