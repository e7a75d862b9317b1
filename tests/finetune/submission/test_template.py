"""Templates in every form, and lists that are none."""

import hashlib
from pathlib import Path

import pytest

from finetune.data.annotations import AnnotationError
from finetune.submission.challenges import challenge
from finetune.submission.template import read_template


def read(root, name, content):
    (root / "list.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_template(root / "list.txt", challenge(name))


def refused(root, name, content):
    with pytest.raises(AnnotationError) as caught:
        read(root, name, content)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(str(root / "list.txt"))


def test_one_file_has_the_listed_rows(tmp_path):
    content = "image,expression\nb/2.jpg,\na/1.jpg,\nb/2.jpg,\n"
    found = read(tmp_path, "abaw_lsd", content)
    assert list(found.images) == ["b/2.jpg", "a/1.jpg", "b/2.jpg"]
    assert list(found.lines) == [2, 3, 4]
    assert found.files == {"": range(3)}
    assert found.example is None
    assert len(found) == 3
    assert found.sha256 == hashlib.sha256(content.encode()).hexdigest()


def test_values_of_an_example_are_kept_where_every_row_has_them_all(tmp_path):
    found = read(tmp_path, "abaw_va", "a/1.jpg,0.5,-0.5\na/2.jpg, 0.25 ,1e-1\r\n")
    assert found.example.tolist() == [[0.5, -0.5], [0.25, 0.1]]
    found = read(tmp_path, "abaw_expr", "image_location,Neutral\na/1.jpg,3\na/2.jpg,0\n")
    assert found.example.tolist() == [[3], [0]]
    for row in ("a/2.jpg", "a/2.jpg,", "a/2.jpg,0.5", "a/2.jpg,0.5,x", "a/2.jpg,0.5,0.5,0"):
        assert read(tmp_path, "abaw_va", f"a/1.jpg,0.5,-0.5\n{row}\n").example is None


class TestVideos:
    def test_counted(self, tmp_path):
        found = read(tmp_path, "abaw2_va", "v2,3\n12-x_left,1\n")
        assert list(found.images) == [
            *("v2/00001.jpg", "v2/00002.jpg", "v2/00003.jpg"),
            "12-x_left/00001.jpg",
        ]
        assert found.files == {"v2.txt": range(3), "12-x_left.txt": range(3, 4)}
        assert list(found.lines) == [1, 1, 1, 2]

    def test_listed_frames_come_in_order_and_take_their_example_along(self, tmp_path):
        content = "b/00002.jpg,2,0\na/00001.jpg,3,0\nb/00001.jpg,1,0\n"
        found = read(tmp_path, "abaw3_va", content)
        assert list(found.images) == ["b/00001.jpg", "b/00002.jpg", "a/00001.jpg"]
        assert found.files == {"b.txt": range(2), "a.txt": range(2, 3)}
        assert list(found.lines) == [3, 1, 2]
        assert found.example[:, 0].tolist() == [1, 2, 3]

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("a/00001.jpg\na/00003.jpg\n", ":2: 'a/00003.jpg', expected frame 2 of a: line i"),
            ("b/1.jpg\na/00002.jpg\n", ":2: 'a/00002.jpg', expected frame 1 of a: line i"),
            ("a/0.jpg\na/1.jpg\n", ":1: 'a/0.jpg', expected frame 1 of a: line i"),
            ("a/1.jpg\na/2.jpg\na/01.jpg\n", ":3: 'a/01.jpg', expected frame 2 of a: line i"),
            ("a.jpg\n", ":1: 'a.jpg', expected <video>/<frame number>.jpg"),
            ("a,3\na,4\n", ":2: video 'a' again, expected each video once"),
            ("a,3\nb,0\n", ":2: frames 0, expected 1 to 10000000"),
            ("a,3\nb,99999999\n", ":2: frames 99999999, expected 1 to 10000000"),
            ("a,3\nb,-1\n", ":2: 'b,-1', expected <video>,<number of frames>"),
            ("a,3\nb,2.5\n", ":2: 'b,2.5', expected <video>,<number of frames>"),
            ("a,3\n\nb,2\n", ":2: '', expected <video>,<number of frames>"),
            ("v1,2O\nb,2\n", ":1: 'v1,2O', expected <video>,<number of frames>"),
            ("v,\nb,2\n", ":1: 'v,', expected <video>,<number of frames>"),
            ("a\nb\n", ":1: 'a', expected <video>,<number of frames>"),
            ("a-1\nb\n", ":1: 'a-1', expected <video>,<number of frames>"),
            ("a,3\nx/b,2\n", ":2: video 'x/b', expected the name of a video"),
            ("a,3\n..,2\n", ":2: video '..', expected the path of an image, relative"),
            ("a,3\n.,2\n", ":2: video '.', expected the name of a video"),
            ("a,3\n,2\n", ":2: video '', expected the path of an image, relative"),
            ("video,frames\n", ": a header alone, expected lines <video>,<number of frames>"),
            ("", ": empty, expected a list of images, or lines <video>,<number of frames>"),
        ],
    )
    def test_refusals(self, tmp_path, content, expected):
        assert refused(tmp_path, "abaw1_expr", content).startswith(expected)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", ": empty, expected a list of images"),
        ("image\n", ": a header alone, expected a list of images"),
        ("v1,300\nv2,200\n", ":2: image 'v2', expected the path of an image"),
        ("a/1.jpg\n\na/2.jpg\n", ":2: image '', expected the path of an image"),
        (b"a/1.jpg\n\xff.jpg\n", ":2: byte 0xff, expected a list of images in UTF-8"),
    ],
)
def test_refusals(tmp_path, content, expected):
    assert refused(tmp_path, "abaw_mtl", content).startswith(expected)


@pytest.mark.parametrize("name", ["abaw_mtl", "abaw1_au"])
def test_no_file_and_a_folder(tmp_path, name):
    for file in (tmp_path / "gone.txt", tmp_path):
        with pytest.raises(AnnotationError) as caught:
            read_template(Path(file), challenge(name))
        assert str(caught.value).startswith(f"{file}: ")
