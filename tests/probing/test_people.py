"""Who is probed, and which images of pretraining show them: by names, and by nothing else."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pretrain.data.lists import ListSource
from pretrain.data.mixture import Mixture
from pretrain.data.sources import Selection, Source
from pretrain.data.synthetic import SyntheticConfig, SyntheticFaces
from pretrain.probing.people import probed_people, same_images, showing, subjects_of


class Named(Source):
    """Names without pixels."""

    def __init__(self, names):
        self.names = names


def a_list(folder, rows, header="image,subject"):
    """A list of images; one of them is really there."""
    folder.mkdir(exist_ok=True)
    first = folder / rows[0].split(",")[0]
    first.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(first)
    path = folder / "list.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return ListSource(path, folder)


@settings(deadline=None)
@given(st.lists(st.text(max_size=5), max_size=30), st.floats(0.01, 1), st.randoms())
def test_the_choice_depends_on_the_names_alone(names, share, random):
    chosen = probed_people(names, share)
    shuffled = [*names, *names]
    random.shuffle(shuffled)
    assert probed_people(shuffled, share) == chosen <= set(names)
    # Others who come or go change nobody's place.
    assert probed_people([*names, "somebody else"], share) - {"somebody else"} == chosen


def test_the_share_is_kept_and_grows_by_adding_people():
    names = [f"person {number}" for number in range(4000)]
    parts = [probed_people(names, share) for share in (0.001, 0.1, 0.5, 1.0)]
    assert [len(part) / 4000 for part in parts] == pytest.approx([0.001, 0.1, 0.5, 1.0], abs=0.02)
    assert parts[0] <= parts[1] <= parts[2] <= parts[3] == set(names)


def test_an_image_without_a_subject_is_a_person_of_its_own(tmp_path):
    source = a_list(tmp_path, ["a.png,anna", "b.png,", "c.png,anna", "d.png,"])
    assert subjects_of(source) == ["anna", "image b.png", "anna", "image d.png"]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("b/a.jpg", "b/a.jpg"),
        ("faces/b/a.jpg", "b/a.jpg"),
        ("a.jpg", "faces/b/a.jpg"),
        ("b/a.png", "b/a.jpg"),
        ("b/a", "b/a.jpg"),
        ("b/a.JPEG", "faces/b/a"),
        ("b/a.1.png", "b/a.1.jpg"),
        ("/data/faces/a.jpg", "faces/a.jpg"),
        ("./a.jpg", "a.png"),
        ("b/.a", ".a"),
        ("d.e/a.jpg", "a.jpg"),
        ("b/\udcff.jpg", "\udcff.png"),
    ],
)
def test_names_that_mean_one_image(name, wanted):
    assert same_images(["other.jpg", name], [wanted]).tolist() == [1]
    assert same_images(["other.jpg", wanted], [name]).tolist() == [1]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("b/a.jpg", "c/a.jpg"),
        ("b/a.jpg", "b/aa.jpg"),
        ("xb/a.jpg", "b/a.jpg"),
        ("b/a.jpg", "b/A.jpg"),
        ("b/a.1.jpg", "b/a.2.jpg"),
        ("b/a.1", "b/a.2"),
        ("b/a/c.jpg", "b/a.jpg"),
        ("d.e/a.jpg", "d.f/a.jpg"),
        (".a", ".b"),
    ],
)
def test_names_that_mean_two_images(name, wanted):
    assert same_images([name], [wanted]).tolist() == []
    assert same_images([wanted], [name]).tolist() == []


PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4)


@settings(deadline=None)
@given(st.lists(PATHS, max_size=12), st.lists(PATHS, max_size=6))
def test_one_is_the_end_of_the_other(names, wanted):
    expected = [
        index
        for index, name in enumerate(names)
        if any(
            name[-min(len(name), len(other)) :] == other[-min(len(name), len(other)) :]
            for other in wanted
        )
    ]
    found = same_images(
        ["/".join(n) + ".png" for n in names], ["/".join(w) + ".jpg" for w in wanted]
    )
    assert found.dtype == np.int64
    assert found.tolist() == expected


def test_a_list_that_names_the_people_is_searched_for_them(tmp_path):
    source = a_list(tmp_path, ["a.png,anna", "b.png,bert", "c.png,anna", "d.png,", "e.png,carl"])
    assert showing(source, ["e.png"], {"anna"}).tolist() == [0, 2, 4]
    assert showing(source, ["f.png"], {"image d.png"}).tolist() == [3]
    assert showing(Named(source.names), ["e.png"], {"anna"}).tolist() == [4]


def test_a_selection_is_searched_as_what_it_was_selected_from(tmp_path):
    source = a_list(tmp_path, ["a.png,anna", "b.png,bert", "c.png,anna", "d.png,dora"])
    assert showing(Selection(source, np.array([1, 2, 3])), ["d.png"], {"anna"}).tolist() == [1, 2]


def test_a_part_of_a_mixture_is_searched_under_its_own_names():
    mixture = Mixture([(Named(["a.jpg", "b.jpg"]), 1), (Named(["x/a.jpg", "x/c.jpg"]), 1.5)])
    assert showing(mixture, ["faces/a.jpg"], set()).tolist() == [0]
    assert showing(mixture, ["c.png"], set()).tolist() == [3, 5]
    assert showing(mixture, ["1/b.jpg"], set()).tolist() == [1]


def test_a_list_in_a_mixture_is_searched_for_the_people(tmp_path):
    rows = ["a.png,ann", "b.png,bob", "c.png,ann"]
    others = SyntheticFaces(SyntheticConfig(count=5))
    source = Mixture([(others, 1), (a_list(tmp_path, rows), 1.5)])
    found = showing(source, ["elsewhere.png"], {"ann"})
    assert [source.names[index] for index in found] == ["1/a.png", "1/c.png"] * 2


def test_drawn_faces_are_searched_for_the_people_as_well():
    few = SyntheticFaces(SyntheticConfig(count=10, subjects=4, size=32))
    many = SyntheticFaces(SyntheticConfig(count=40, subjects=4, size=32))
    person = few.labels(3)["subject"]
    expected = [index for index in range(40) if many.labels(index)["subject"] == person]
    assert len(expected) > 2
    assert showing(many, [few.names[3]], {person}).tolist() == expected
    others = SyntheticFaces(SyntheticConfig(count=40, subjects=4, size=32, split="development"))
    assert not len(showing(others, list(few.names), set(subjects_of(few))))


def test_lists_of_other_folders_find_each_other(tmp_path):
    """The same photographs, listed from two roots, in two formats, by two people."""
    probed = a_list(tmp_path / "one", ["s1/a.png,1", "s2/b.png,2"])
    source = a_list(tmp_path / "two", ["faces/s2/b.jpg,zwei", "faces/s3/b.jpg,drei"])
    people = set(subjects_of(probed))
    assert showing(source, probed.names, people).tolist() == [0]
    assert Path(source.names[0]).suffix != Path(probed.names[1]).suffix
