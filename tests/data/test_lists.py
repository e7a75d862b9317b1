"""Listed images and their labels: what is read, and what is refused where."""

import io
import math
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pretrain.data.images import BadImage
from pretrain.data.lists import ListSource
from pretrain.data.sources import SourceError


def png(value):
    stream = io.BytesIO()
    Image.fromarray(np.full((2, 3, 3), value, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def root(tmp_path):
    for number, name in enumerate(["a.png", "b.png", "sub/c, d.png", "ünï.png"]):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).write_bytes(png(number))
    return tmp_path / "images"


def listed(root, content, ending="csv"):
    path = root.parent / f"list.{ending}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return ListSource(path, root)


def refusal(root, content, ending="csv"):
    with pytest.raises(SourceError) as caught:
        listed(root, content, ending)
    message = str(caught.value)
    assert "\n" not in message
    assert "expected" in message
    assert message.startswith(str(root.parent / f"list.{ending}"))
    return message.removeprefix(str(root.parent / f"list.{ending}"))


class TestText:
    def test_a_line_is_a_path(self, root):
        source = listed(root, "b.png\n\n# a note\nsub/c, d.png\n  \nb.png\nünï.png", "txt")
        assert list(source.names) == ["b.png", "sub/c, d.png", "b.png", "ünï.png"]
        assert [source.image(i)[0, 0, 0] for i in range(4)] == [1, 2, 1, 3]
        assert source.labels(0) == {}
        assert source.aspect(0) is None

    @pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
    @pytest.mark.parametrize("end", [b"\n", b"\r\n"])
    def test_marks_and_line_ends_of_windows_are_no_part_of_a_name(self, root, mark, end):
        source = listed(root, mark + end.join([b"a.png", b"b.png", b""]), "txt")
        assert list(source.names) == ["a.png", "b.png"]

    def test_names_are_normalised_and_may_be_absolute(self, root):
        source = listed(root, f"./a.png\nsub//./c, d.png\n{root}/b.png\n", "txt")
        assert list(source.names) == ["a.png", "sub/c, d.png", f"{root}/b.png"]
        assert [source.image(i)[0, 0, 0] for i in range(3)] == [0, 2, 1]

    def test_spaces_belong_to_names(self, root):
        (root / " spaced .png ").write_bytes(png(9))
        source = listed(root, " spaced .png \n", "txt")
        assert source.image(0)[0, 0, 0] == 9

    def test_an_absent_image_is_refused_when_it_is_read(self, root):
        source = listed(root, "a.png\ngone.png\n", "txt")
        with pytest.raises(BadImage) as caught:
            source.image(1)
        assert caught.value.name == str(root / "gone.png")

    def test_a_list_of_nothing_is_refused(self, root):
        assert "lists no images" in refusal(root, "\n# nothing\n", "txt")

    def test_other_alphabets_are_refused_with_their_line(self, root):
        message = refusal(root, b"a.png\nb.png\ncaf\xe9.png\n", "txt")
        assert message.startswith(":3: got the byte 0xe9, expected text in UTF-8")
        assert "expected text in UTF-8" in refusal(root, "a.png\n".encode("utf-16"), "txt")

    @pytest.mark.parametrize("line", ["./", "/", "a\0.png"])
    def test_lines_that_are_no_path_are_refused(self, root, line):
        assert refusal(root, f"a.png\n{line}\n", "txt").startswith(":2: image ")


class TestManifest:
    def test_labels_are_what_is_there(self, root):
        source = listed(
            root,
            "valence,image,AU1,expression,note,AU45,subject,arousal\n"
            "-0.25,a.png,1,Happy,x,0,s1,1\n"
            ",b.png,,,,1.0,,\n"
            '1e-1,"sub/c, d.png",0,"Very, ""very"" sad",y,,s1,-1\n',
        )
        assert list(source.names) == ["a.png", "b.png", "sub/c, d.png"]
        assert source.labels(0) == {
            "valence": -0.25,
            "arousal": 1.0,
            "AU1": 1.0,
            "AU45": 0.0,
            "expression": "Happy",
            "subject": "s1",
        }
        assert source.labels(1) == {"AU45": 1.0}
        assert source.labels(2) == {
            "valence": 0.1,
            "arousal": -1.0,
            "AU1": 0.0,
            "expression": 'Very, "very" sad',
            "subject": "s1",
        }
        assert source.image(2)[0, 0, 0] == 2

    def test_labels_are_plain_numbers(self, root):
        labels = listed(root, "image,valence,AU4\na.png,0.5,1\n").labels(0)
        assert [type(label) for label in labels.values()] == [float, float]

    @pytest.mark.parametrize("mark", ["", "\ufeff"])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_marks_line_ends_quotes_and_blank_lines(self, root, mark, end):
        lines = [f'{mark}"image", valence', '"a.png",0.5', "", "b.png,"]
        source = listed(root, end.join(lines) + end)
        assert list(source.names) == ["a.png", "b.png"]
        assert [source.labels(i) for i in range(2)] == [{"valence": 0.5}, {}]

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("", ": got the columns none, expected one called image"),
            (
                "path,valence\na.png,0\n",
                ": got the columns path, valence, expected one called image",
            ),
            ("image;valence\na.png;0\n", ": got the columns image;valence, expected"),
            ("image,AU1,AU1\na.png,0,1\n", ": column AU1 is given twice, expected once"),
            ("image,image\na.png,b.png\n", ": column image is given twice, expected once"),
            ("image,valence\n", ": lists no images"),
            ("image,valence\na.png,0\n,0\n", ":3: image is empty, expected a path"),
            ("image,valence\na.png,1.01\n", ":2: valence '1.01', expected a number in [-1, 1]"),
            ("image,arousal\na.png,-1.5\n", ":2: arousal '-1.5', expected a number in [-1, 1]"),
            ("image,valence\na.png,-5\n", ":2: valence '-5', expected"),
            ("image,valence\na.png,nan\n", ":2: valence 'nan', expected"),
            ("image,valence\na.png,inf\n", ":2: valence 'inf', expected"),
            ("image,valence\n\na.png,0\nb.png,low\n", ":4: valence 'low', expected"),
            ("image,AU12\na.png,0.5\n", ":2: AU12 '0.5', expected 0 or 1"),
            ("image,AU12\na.png,-1\n", ":2: AU12 '-1', expected 0 or 1"),
            ("image,AU1\na.png,0,1\n", ":2: got 3 cells, expected 2"),
            ("image,AU1\na.png\n", ":2: got 1 cells, expected 2"),
            ('image,AU1\n"a.png,0\nb.png,1\n', ":3: "),
            ('image,AU1\n"a"b.png,0\n', ":2: "),
            (b"image,subject\na.png,s1\nb.png,J\xf6rg\n", ":3: got the byte 0xf6, expected text"),
        ],
    )
    def test_refusals_name_line_column_and_value(self, root, content, expected):
        assert refusal(root, content).startswith(expected)

    def test_quoted_line_breaks_count_as_lines(self, root):
        message = refusal(root, 'image,note,AU1\na.png,"two\nlines",1\nb.png,,2\n')
        assert message.startswith(":4: AU1 '2'")

    def test_columns_that_are_no_labels_are_left_alone(self, root):
        source = listed(root, "image,AU0,AU46,AU01,x,x,video,frame\na.png,7,7,7,1,2,v1,12\n")
        assert source.labels(0) == {}

    @settings(
        suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None
    )
    @given(
        st.lists(
            st.tuples(
                st.none() | st.floats(-1, 1),
                st.none() | st.sampled_from([0, 1]),
                st.none() | st.text(st.characters(exclude_categories=("C",)), min_size=1),
            ),
            min_size=1,
        )
    )
    def test_csv_and_parquet_say_the_same(self, root, rows):
        import csv

        with (root.parent / "t.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["image", "valence", "AU2", "expression"])
            writer.writerows(
                ["a.png", *("" if cell is None else cell for cell in row)] for row in rows
            )
        valence, unit, expression = (list(column) for column in zip(*rows, strict=True))
        table = pa.table(
            {
                "image": ["./a.png"] * len(rows),
                "expression": pa.array(expression, pa.string()),
                "other": [b"?"] * len(rows),
                "valence": pa.array(valence, pa.float64()),
                "AU2": pa.array(unit, pa.int8()),
            }
        )
        pq.write_table(table, root.parent / "t.parquet")
        text = ListSource(root.parent / "t.csv", root)
        binary = ListSource(root.parent / "t.parquet", root)
        assert list(text.names) == list(binary.names) == ["a.png"] * len(rows)
        for index, (v, au, name) in enumerate(rows):
            # Spaces around a name are none of it; of spaces alone, nothing is left.
            expected = {"valence": v, "AU2": au, "expression": (name and name.strip()) or None}
            expected = {key: label for key, label in expected.items() if label is not None}
            assert text.labels(index) == binary.labels(index) == expected


class TestParquet:
    def write(self, root, **columns):
        path = root.parent / "list.parquet"
        pq.write_table(pa.table(columns), path)
        return path

    def refused(self, path, root):
        with pytest.raises(SourceError) as caught:
            ListSource(path, root)
        assert "\n" not in str(caught.value)
        return str(caught.value).removeprefix(str(path))

    def test_yes_and_no_are_action_units(self, root):
        path = self.write(root, image=["a.png", "b.png"], AU1=[True, False])
        source = ListSource(path, root)
        assert [source.labels(i) for i in range(2)] == [{"AU1": 1.0}, {"AU1": 0.0}]

    def test_repeated_names_stored_as_a_dictionary(self, root):
        names = pa.array(["s1", "s1"]).dictionary_encode()
        source = ListSource(self.write(root, image=["a.png", "b.png"], subject=names), root)
        assert source.labels(1) == {"subject": "s1"}

    def test_refusals_name_row_column_and_value(self, root):
        path = self.write(root, image=["a.png", "b.png"], valence=[0.5, math.nan])
        assert self.refused(path, root).startswith(":2: valence nan, expected")
        path = self.write(root, image=["a.png"], expression=[3])
        assert self.refused(path, root).startswith(":1: expression 3, expected text")
        path = self.write(root, image=["a.png", None])
        assert self.refused(path, root).startswith(":2: image is empty")
        path = self.write(root, image=[b"\x89PNG" * 10**5])
        message = self.refused(path, root)
        assert message.startswith(":1: image b'")
        assert len(message) < 200
        path = self.write(root, path=["a.png"])
        assert "expected one called image" in self.refused(path, root)

    def test_a_file_that_is_none_is_refused(self, root):
        assert "expected a Parquet file" in refusal(root, b"PAR1 no", "parquet")


def test_a_wrong_root_is_refused_at_once(root, tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("a.png\nb.png\n")
    with pytest.raises(SourceError) as caught:
        ListSource(path, tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "a.png" in message
    assert str(tmp_path) in message


def test_one_image_that_is_there_is_enough(root):
    names = [f"gone{i}.png" for i in range(99)]
    listed(root, "\n".join([*names, "a.png"]), "txt")
    assert "none of the first 100" in refusal(root, "\n".join([*names, "gone.png", "a.png"]), "txt")


def test_names_that_no_file_system_takes_are_absent(root):
    assert "is there" in refusal(root, "x" * 5000, "txt")


def test_missing_files_folders_and_other_kinds_are_refused(root, tmp_path):
    for name, reason in (("gone.csv", "No such file"), ("x.tsv", "got a .tsv file")):
        with pytest.raises(SourceError, match=reason):
            ListSource(tmp_path / name, root)
    os.mkdir(tmp_path / "folder.txt")
    with pytest.raises(SourceError, match="Is a directory"):
        ListSource(tmp_path / "folder.txt", root)
    with pytest.raises(SourceError, match="No such file"):
        ListSource(tmp_path / "gone.parquet", root)


@pytest.mark.parametrize(
    "header", ["image,Subject", "image,Expression ", "Image,subject", "image,au12"]
)
def test_a_column_that_is_nearly_right_is_refused(tmp_path, header):
    (tmp_path / "list.csv").write_text(f"{header}\na.png,x\n")
    with pytest.raises(SourceError, match="in this spelling"):
        ListSource(tmp_path / "list.csv", tmp_path)


def test_spaces_around_a_name_make_no_other_name(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "list.csv").write_text("image,expression,subject\na.png, Neutral ,  \n")
    source = ListSource(tmp_path / "list.csv", tmp_path)
    assert source.labels(0) == {"expression": "Neutral"}
