from dataclasses import replace

from filmed import filmed

from finetune.data.groups import groups_of, keys_of, recording


def test_the_parts_and_persons_of_a_recording_belong_together():
    groups = {
        "video45": ["video45_1", "video45_5", "video45"],
        "video9": ["video9_left", "video9_right", "video9"],
        "video4": ["video4_2_left", "video4_2"],
        "10-60-1280x720": ["10-60-1280x720_right", "10-60-1280x720"],
        "122-60-1920x1080-1": ["122-60-1920x1080-1"],
        "426": ["426"],
        "left_turn": ["left_turn"],
    }
    for group, videos in groups.items():
        assert {recording(video) for video in videos} == {group}


def test_rows_are_grouped_by_recording_or_else_by_image():
    assert groups_of(["a.jpg", "b.jpg"], None) == ["a.jpg", "b.jpg"]
    assert groups_of(["a.jpg", "b.jpg"], None, ["s1", "s1"]) == ["s1", "s1"]
    assert groups_of(["1.jpg", "2.jpg"], ["video5_1", "video5_2"]) == ["video5", "video5"]


def test_annotations_know_what_their_groups_are():
    _, known = filmed(rows=24, videos=4)
    pairs = replace(known, videos=["x_left", "x_right", "video4_1", "video4_2"] * 6)
    assert (pairs.groups, pairs.grouped_by) == (["x", "x", "video4", "video4"] * 6, "recordings")
    stills = replace(known, videos=None, frames=None)
    people = replace(stills, subjects=["s"] * 24)
    assert (people.groups, people.grouped_by) == (["s"] * 24, "subjects")
    assert (stills.groups, stills.grouped_by) == (list(known.images), "images")


def test_recordings_that_share_a_person_are_one_group():
    videos = ["a", "b_left", "b_right", "c", "d"]
    people = ["eve", "eve", "bob", "bob", "dan"]
    assert groups_of(videos, videos, people) == ["bob", "bob", "bob", "bob", "dan"]
    assert keys_of(videos, videos, people) == {"a", "b", "c", "d", "eve", "bob", "dan"}
    assert keys_of(["x.jpg"], None) == {"x.jpg"}
    assert keys_of(["x.jpg"], None, ["ann"]) == {"ann"}
