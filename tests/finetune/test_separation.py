"""Held-out rows that are trained on: refused by name, or allowed and said; equal images are told."""

import pytest
from pictures import encoded, listed

from finetune.data.annotations import Annotations
from finetune.data.columns import make_targets
from finetune.separation import OverlapError, check_separate, equal_images
from pretrain.errors import UserError

OPTION = ", expected none; --allow_overlap true goes on and marks every score"


def stills(*images, subjects=None):
    return Annotations(images, make_targets(len(images)), subjects=subjects)


def films(*videos, subjects=None):
    images = [f"{video}/{place:05d}.jpg" for place, video in enumerate(videos)]
    return Annotations(images, make_targets(len(videos)), videos=videos, subjects=subjects)


def refusal(training, held_out, split="validation"):
    """What is refused; with leave it is a remark."""
    with pytest.raises(OverlapError) as caught:
        check_separate(training, held_out, split=split, allow_overlap=False)
    message = str(caught.value)
    assert isinstance(caught.value, UserError)
    assert "\n" not in message
    assert message.endswith(OPTION)
    remark, *_ = check_separate(training, held_out, split=split, allow_overlap=True)
    assert remark == f"overlap allowed: {message.removesuffix(OPTION)}"
    return message.removesuffix(OPTION)


def test_the_same_video_is_refused():
    assert refusal(films("a", "b", "b"), films("b", "b", "c", "d")) == (
        "validation shares 1 of its 3 recordings (b) with the training rows"
    )


def test_three_names_are_shown_of_many():
    names = [f"v{place}" for place in range(5)]
    message = refusal(films(*names), films(*reversed(names), "w"), "test")
    assert message == "test shares 5 of its 6 recordings (v0, v1, v2, ...) with the training rows"


@pytest.mark.parametrize(
    ("trained", "scored", "recording"),
    [
        ("8-30-1280x720_left", "8-30-1280x720_right", "8-30-1280x720"),
        ("8-30-1280x720", "8-30-1280x720_right", "8-30-1280x720"),
        ("video45_1", "video45_5", "video45"),
        ("video45_2_left", "video45", "video45"),
    ],
)
def test_parts_and_persons_of_one_source_are_one(trained, scored, recording):
    message = refusal(films("x", trained), films(scored, "y"))
    assert (
        message == f"validation shares 1 of its 2 recordings ({recording}) with the training rows"
    )


def test_the_same_person_is_refused():
    message = refusal(stills("1", "2", subjects=["ann", "bob"]), stills("3", subjects=["bob"]))
    assert message == "validation shares 1 of its 1 subjects (bob) with the training rows"


def test_a_person_in_another_video_is_refused():
    message = refusal(films("u", subjects=["ann"]), films("v", "w", subjects=["ann", "bob"]))
    assert message == "validation shares 1 of its 2 subjects (ann) with the training rows"


def test_a_recording_and_a_person_are_both_said():
    message = refusal(films("u", subjects=["ann"]), films("u", subjects=["ann"]))
    assert message == (
        "validation shares 1 of its 1 recordings (u) and 1 of its 1 subjects (ann) with the"
        " training rows"
    )


def test_stills_are_compared_by_image():
    message = refusal(stills("a.jpg", "b.jpg", "b.jpg"), stills("b.jpg", "c.jpg", "c.jpg"))
    assert message == "validation shares 1 of its 2 images (b.jpg) with the training rows"


@pytest.mark.parametrize("allow_overlap", [True, False])
@pytest.mark.parametrize(
    ("training", "held_out"),
    [
        (stills("a.jpg"), stills("b.jpg")),
        (films("a", "video4_1"), films("b", "video5_1")),
        (stills("1", "2", subjects=["ann", "bob"]), stills("1", subjects=["cid"])),
        (films("u", subjects=["ann"]), films("v", subjects=["bob"])),
        (stills("a.jpg"), films("a.jpg")),
        (films("u"), stills()),
    ],
)
def test_what_shares_nothing_goes_on_without_a_remark(training, held_out, allow_overlap):
    found = check_separate(training, held_out, split="test", allow_overlap=allow_overlap)
    assert found == ()


def test_groups_named_by_person_in_one_list_and_by_video_in_the_other_are_compared():
    # Where persons are known too, the groups are called by them: the recording is in both.
    training, held_out = films("u_left", "w", subjects=["ann", "bob"]), films("u_right", "v")
    assert not set(training.groups) & set(held_out.groups)
    known = "validation shares 1 of its 2 recordings (u) with the training rows"
    assert refusal(training, held_out) == known
    assert refusal(held_out, training) == known


def test_a_person_is_no_recording_of_the_same_name():
    # Both lists count from 1: nothing can be known but which images are in both.
    people = stills("a.jpg", "b.jpg", subjects=["1", "2"])
    unknown = (
        "whether validation shares people with the training rows is unknown: of those subjects are"
        " known, of these recordings"
    )
    for allow_overlap in (True, False):
        found = check_separate(
            people, films("1", "2"), split="validation", allow_overlap=allow_overlap
        )
        assert found == (unknown,)
    films_of_stills = Annotations(["b.jpg", "c.jpg"], make_targets(2), videos=["1", "2"])
    known = "validation shares 1 of its 2 images (b.jpg) with the training rows"
    assert refusal(people, films_of_stills) == known
    remarks = check_separate(people, films_of_stills, split="validation", allow_overlap=True)
    assert remarks == (f"overlap allowed: {known}", unknown)


def test_rows_that_a_model_is_selected_on_have_a_name_of_their_own():
    with pytest.raises(OverlapError, match=r"1 subjects \(bob\) with the selection rows, expected"):
        check_separate(
            stills("1", subjects=["bob"]),
            stills("2", subjects=["bob"]),
            split="validation",
            allow_overlap=False,
            against="the selection rows",
        )


def test_equal_and_similar_images_are_remarked_on(tmp_path):
    training = {f"t/{number}.png": encoded(number) for number in range(8)}
    held_out = {
        "v/1.png": encoded(50),
        "v/2.png": encoded(7),
        "v/3.jpg": encoded(3, side=40, kind="JPEG"),
        "v/4.png": None,
        "v/5.png": b"torn",
    }
    same, like = equal_images(listed(tmp_path / "a", training), listed(tmp_path / "b", held_out))
    counted = "; compared 3 of 4 with 8 of 8"
    assert same == (
        "images of the held-out rows that are files of the training rows: 1 (v/2.png = t/7.png)"
        + counted
    )
    assert like.startswith(
        "images of the held-out rows that look like images of the training rows: 1"
        " (v/3.jpg ~ t/3.png, "
    )
    assert like.endswith(f" bits apart){counted}")


def test_images_that_share_nothing_are_not_remarked_on(tmp_path):
    training = listed(tmp_path / "a", {f"{number}.png": encoded(number) for number in range(8)})
    held_out = listed(tmp_path / "b", {f"{number}.png": encoded(number) for number in range(8, 12)})
    assert equal_images(training, held_out) == ()


def test_at_most_so_many_are_looked_at_and_ten_times_as_many_to_train_on(tmp_path):
    training = listed(tmp_path / "a", {f"{number}.png": encoded(number) for number in range(21)})
    held_out = listed(tmp_path / "b", {f"v{number}.png": encoded(number) for number in range(4)})
    (line,) = equal_images(training, held_out, most=2)
    assert line.endswith("(v0.png = 0.png; v2.png = 2.png); compared 2 of 4 with 20 of 21")
