from finetune.data.groups import groups_of, recording


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
