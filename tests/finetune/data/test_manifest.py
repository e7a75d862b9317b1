"""Tables of any data: what is read, which label spaces come of it, and what is refused where."""

import csv
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.data.annotations import AnnotationError
from finetune.data.manifest import SPLITS, read, read_table
from finetune.labels import ActionUnitSpace, ExpressionSpace
from pretrain.data.lists import ListSource

#: All names, in the order in which spaces list them.
NAMES = [
    *("Neutral", "Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise"),
    *("Contempt", "Other"),
]

TABLE = """\
valence,image,AU12,expression,note,AU1,subject,arousal,video,frame
-0.25,a/1.jpg,1,Other,"x, y",0,s1,1,v1,1
,b.jpg,,happiness,,,s2,,v1,7
1e-1,a/1.jpg,0,,y,1.0,s1,-1,v2,3.0
"""


def written(root, content, name="train.csv"):
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return root / name


def refusal(root, content, **spaces):
    path = written(root, content)
    with pytest.raises(AnnotationError) as caught:
        read_table(path, **spaces)
    message = str(caught.value)
    assert "\n" not in message
    assert "expected" in message
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


def test_columns_are_found_by_name_and_empty_cells_are_missing(tmp_path):
    written(tmp_path, TABLE)
    found = read(tmp_path, "train")
    assert list(found.images) == ["a/1.jpg", "b.jpg", "a/1.jpg"]
    assert list(found.subjects) == ["s1", "s2", "s1"]
    assert list(found.videos) == ["v1", "v1", "v2"]
    assert found.frames.tolist() == [1, 7, 3]
    targets = found.targets
    assert targets.valence_arousal.tolist() == [[-0.25, 1], [0, 0], [0.1, -1]]
    assert targets.valence_arousal_valid.tolist() == [[True] * 2, [False] * 2, [True] * 2]
    assert targets.expression_space.classes == ("Happiness", "Other")
    assert targets.expression.tolist() == [1, 0, 0]
    assert targets.expression_valid.tolist() == [True, True, False]
    assert targets.action_unit_space.units == (1, 12)
    assert targets.action_units.tolist() == [[0, 1], [0, 0], [1, 0]]
    assert targets.action_units_valid.tolist() == [[True] * 2, [False] * 2, [True] * 2]


def test_every_class_and_action_unit_keeps_its_count(tmp_path):
    columns = ["AU45", "AU2", "AU10", "AU1"]  # present 1, 2, 3, 4 times
    lines = ["image,expression," + ",".join(columns)]
    for k, name in enumerate(reversed(NAMES)):
        for i in range(k + 1):
            units = ",".join(str(int(k == 8 and i <= j)) for j in range(4))
            lines.append(f"{k}/{i}.jpg,{name},{units}")
    targets = read_table(written(tmp_path, "\n".join(lines))).targets
    assert targets.expression_space.classes == tuple(NAMES)
    names = [targets.expression_space.classes[index] for index in targets.expression]
    assert [names.count(name) for name in NAMES] == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert targets.action_unit_space.units == (1, 2, 10, 45)
    assert targets.action_units.sum(0).tolist() == [4, 2, 3, 1]


def test_given_spaces_are_kept(tmp_path):
    path = written(tmp_path, "image,expression,AU4\na.jpg,Fear,1\nb.jpg,,\n")
    expressions = ExpressionSpace("mine", ("Sadness", "Fear", "Anger"))
    units = ActionUnitSpace("mine", (6, 4))
    targets = read_table(path, expressions, units).targets
    assert targets.expression_space is expressions
    assert targets.action_unit_space is units
    assert targets.expression.tolist() == [1, 0]
    assert targets.action_units.tolist() == [[0, 1], [0, 0]]
    assert targets.action_units_valid.tolist() == [[False, True], [False, False]]
    message = refusal(tmp_path, "image,expression\na.jpg,\nb.jpg,Other\n", expressions=expressions)
    assert message.startswith(":3: expression 'Other', expected one of Sadness, Fear, Anger")
    message = refusal(tmp_path, "image,AU6,AU5\na.jpg,1,0\n", action_units=units)
    assert message == ":1: column AU5, expected of AU6, AU4"


@pytest.mark.parametrize("header", ["image", "image,valence,expression,AU1,subject,frame"])
def test_images_without_labels(tmp_path, header):
    empty = "," * header.count(",")
    found = read_table(written(tmp_path, f"{header}\na.jpg{empty}\nb.jpg{empty}\n"))
    assert list(found.images) == ["a.jpg", "b.jpg"]
    assert found.subjects is found.videos is found.frames is None
    assert not found.targets.valence_arousal_valid.any()
    assert not found.targets.expression_valid.any()
    assert not found.targets.action_units_valid.any()


def test_valence_alone(tmp_path):
    targets = read_table(written(tmp_path, "image,valence\na.jpg,0\nb.jpg,\n")).targets
    assert targets.valence_arousal_valid.tolist() == [[True, False], [False, False]]


def test_images_are_called_as_stage_one_calls_them(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").touch()
    for name in ("./a/1.jpg", "a//1.jpg", "a/./1.jpg", "a/1.jpg", "c d.jpg", "ü.jpg", '"e,f.jpg"'):
        path = written(tmp_path, f"image,valence\na/1.jpg,0\n{name},0\n")
        assert list(read_table(path).images) == list(ListSource(path, tmp_path).names)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"  \n"])
@pytest.mark.parametrize("tail", [b"", b"\n\n  \n"])
def test_marks_line_ends_and_blank_lines_at_the_end(tmp_path, mark, end, tail):
    lines = [b"image, expression,AU1", b"a.jpg, Fear ,1", b"b.jpg,Fear,"]
    found = read_table(written(tmp_path, mark + end.join(lines) + tail))
    assert list(found.images) == ["a.jpg", "b.jpg"]
    assert found.targets.expression_space.classes == ("Fear",)
    assert found.targets.action_units_valid[:, 0].tolist() == [True, False]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", ":1: the columns '', expected one called image"),
        ("path,valence\na.jpg,0\n", ":1: the columns 'path, valence', expected one called image"),
        ("image;valence\na.jpg;0\n", ":1: the columns 'image;valence', expected one called"),
        ("image,AU1,AU1\na.jpg,0,1\n", ":1: column AU1 twice, expected it once"),
        ("image,image\na.jpg,b.jpg\n", ":1: column image twice, expected it once"),
        ("image,Valence\na.jpg,1\n", ":1: column 'Valence', expected it called valence"),
        ("image,AU01\na.jpg,1\n", ":1: column 'AU01', expected it called AU1"),
        ("image,au_12\na.jpg,1\n", ":1: column 'au_12', expected it called AU12"),
        ("image,AU46\na.jpg,1\n", ":1: column 'AU46', expected it called AU1 to AU45"),
        ("image,AU0\na.jpg,1\n", ":1: column 'AU0', expected it called AU1 to AU45"),
        ("Image,AU1\na.jpg,1\n", ":1: column 'Image', expected it called image"),
        ("image,valence\n", ": a header alone, expected"),
        ("image,valence\na.jpg,0\n,0\n", ":3: image '', expected the path of an image"),
        ("image,valence\na.jpg,0\n./,0\n", ":3: image './', expected the path of an image"),
        ("image,valence\n/a.jpg,0\n", ":2: image '/a.jpg', expected the path of an image"),
        ("image,valence\n../a.jpg,0\n", ":2: image '../a.jpg', expected the path of an image"),
        ("image,valence\na\0.jpg,0\n", ":2: image 'a\\x00.jpg', expected the path of an image"),
        ("image,valence\na.jpg,1.01\n", ":2: valence 1.01, expected in [-1, 1]"),
        ("image,arousal\na.jpg,0\nb.jpg,-5\n", ":3: arousal -5, expected in [-1, 1]"),
        ("image,valence\na.jpg,nan\n", ":2: valence nan, expected in [-1, 1]"),
        ("image,valence\na.jpg,1e9\n", ":2: valence 1e+09, expected in [-1, 1]"),
        ("image,valence\na.jpg,low\n", ":2: valence 'low', expected a number"),
        ("image,AU12\na.jpg,0.5\n", ":2: AU12 '0.5', expected a whole number"),
        ("image,AU12\na.jpg,1\nb.jpg,-1\n", ":3: AU12 -1, expected 0 to 1"),
        ("image,AU12\na.jpg,nan\n", ":2: AU12 'nan', expected a whole number"),
        ("image,expression\na.jpg,3\n", ":2: expression '3', expected one of Neutral, Anger"),
        ("image,expression\na.jpg,Happy\n", ":2: expression 'Happy', expected one of"),
        ("image,frame\na.jpg,1\nb.jpg,-2\n", ":3: frame -2, expected 0 or more"),
        ("image,frame\na.jpg,1.5\n", ":2: frame '1.5', expected a whole number"),
        ("image,frame\na.jpg,1\nb.jpg,\n", ":3: frame is empty, expected one in every row"),
        ("image,video\na.jpg,\nb.jpg,v\n", ":2: video is empty, expected one in every row"),
        ("image,subject\na.jpg,s\nb.jpg,\n", ":3: subject is empty, expected one in every row"),
        ("image,AU1\na.jpg,0,1\n", ":2: 3 cells, expected 2"),
        ("image,AU1\na.jpg\n", ":2: 1 cells, expected 2"),
        ('image,AU1\n"a.jpg,0\nb.jpg,1\n', ":3: "),
        ('image,note,AU1\na.jpg,"two\nlines",1\nb.jpg,,2\n', ":4: AU1 2, expected 0 to 1"),
        (b"image,subject\na.jpg,s1\nb.jpg,J\xf6rg\n", ":3: byte 0xf6, expected"),
        ("image,AU1\na.jpg,1\n".encode("utf-16"), ":1: byte 0xff, expected"),
    ],
)
def test_refusals_name_line_column_and_value(tmp_path, content, expected):
    assert refusal(tmp_path, content).startswith(expected)


def test_other_columns_are_left_alone(tmp_path):
    path = written(tmp_path, "image,AU1_intensity,note,note,split\na.jpg,3.5,1,2,train\n")
    assert list(read_table(path).images) == ["a.jpg"]


def test_a_split_is_one_file(tmp_path):
    assert SPLITS == ("train", "validation", "test")
    with pytest.raises(AnnotationError, match=r"expected exactly one of test\.csv, test\.parquet"):
        read(tmp_path, "test")
    for number, split in enumerate(SPLITS):
        written(tmp_path, f"image\n{number}.jpg\n", f"{split}.csv")
    assert [list(read(tmp_path, split).images) for split in SPLITS] == [
        *(["0.jpg"], ["1.jpg"], ["2.jpg"])
    ]
    written(tmp_path, "", "test.parquet")
    with pytest.raises(AnnotationError, match=r"test\.csv and test\.parquet, expected exactly one"):
        read(tmp_path, "test")
    with pytest.raises(AnnotationError, match="split 'all', expected one of train"):
        read(tmp_path, "all")


def test_missing_files_folders_and_other_kinds_are_refused(tmp_path):
    for kind in ("csv", "parquet"):
        with pytest.raises(AnnotationError, match=f"gone.{kind}: No such file or directory"):
            read_table(tmp_path / f"gone.{kind}")
        (tmp_path / f"train.{kind}").mkdir()
        with pytest.raises(AnnotationError, match=f"train.{kind}: .*expected"):
            read_table(tmp_path / f"train.{kind}")
    with pytest.raises(AnnotationError, match=r"x\.tsv: a \.tsv file, expected one of \.csv"):
        read_table(tmp_path / "x.tsv")


class TestParquet:
    def read(self, root, **columns):
        pq.write_table(pa.table(columns), root / "train.parquet")
        return read(root, "train")

    def refused(self, root, **columns):
        with pytest.raises(AnnotationError) as caught:
            self.read(root, **columns)
        assert "\n" not in str(caught.value)
        return str(caught.value).removeprefix(str(root / "train.parquet"))

    def test_numbers_text_and_nulls(self, tmp_path):
        found = self.read(
            tmp_path,
            video=[3, 3],
            image=["./b.jpg", "a.jpg"],
            AU4=[True, None],
            AU2=pa.array([0, 1], pa.int8()),
            valence=pa.array([None, 0.5], pa.float32()),
            expression=pa.array(["Anger", None]).dictionary_encode(),
            frame=[2.0, 5.0],
            subject=["s", "t"],
            other=[b"?", b"\xff"],
        )
        assert list(found.images) == ["b.jpg", "a.jpg"]
        assert list(found.videos) == ["3", "3"]
        assert found.frames.tolist() == [2, 5]
        assert list(found.subjects) == ["s", "t"]
        targets = found.targets
        assert targets.action_unit_space.units == (2, 4)
        assert targets.action_units.tolist() == [[0, 1], [1, 0]]
        assert targets.action_units_valid.tolist() == [[True, True], [True, False]]
        assert targets.valence_arousal.tolist() == [[0, 0], [0.5, 0]]
        assert targets.valence_arousal_valid.tolist() == [[False, False], [True, False]]
        assert targets.expression_space.classes == ("Anger",)
        assert targets.expression_valid.tolist() == [True, False]

    def test_refusals_name_row_and_column(self, tmp_path):
        two = ["a.jpg", "b.jpg"]
        message = self.refused(tmp_path, image=two, valence=[0.5, math.nan])
        assert message.startswith(":2: valence nan, expected in [-1, 1]")
        message = self.refused(tmp_path, image=two, expression=[None, 3])
        assert message.startswith(":2: expression '3', expected text")
        message = self.refused(tmp_path, image=["a.jpg", None])
        assert message.startswith(":2: image '', expected the path of an image")
        message = self.refused(tmp_path, image=[b"\x89PNG" * 10**5])
        assert message.startswith(":1: image ")
        assert len(message) < 200
        message = self.refused(tmp_path, image=two, AU1=[[1], [0]])
        assert message.startswith(":1: AU1 '[1]', expected text or a number")
        message = self.refused(tmp_path, path=two)
        assert message.startswith(":1: the columns 'path', expected one called image")
        assert self.refused(tmp_path, image=pa.array([], pa.string())).startswith(
            ": a header alone"
        )

    def test_a_file_that_is_none_is_refused(self, tmp_path):
        pq.write_table(pa.table({"image": ["a.jpg"] * 99}), tmp_path / "train.parquet")
        content = (tmp_path / "train.parquet").read_bytes()
        for damaged in (b"", b"PAR1 no", content[:-9], content[: len(content) // 2]):
            (tmp_path / "train.parquet").write_bytes(damaged)
            with pytest.raises(AnnotationError, match="expected a Parquet file") as caught:
                read(tmp_path, "train")
            assert "\n" not in str(caught.value)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None
)
@given(
    st.lists(
        st.tuples(
            st.none() | st.floats(-1, 1),
            st.none() | st.sampled_from([0, 1]),
            st.none() | st.sampled_from(NAMES),
        ),
        min_size=1,
    )
)
def test_csv_parquet_and_the_values_themselves_agree(tmp_path, rows):
    with (tmp_path / "t.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "arousal", "AU2", "expression"])
        writer.writerows(["a.jpg", *("" if cell is None else cell for cell in row)] for row in rows)
    arousal, unit, expression = (list(column) for column in zip(*rows, strict=True))
    table = pa.table(
        {
            "image": ["a.jpg"] * len(rows),
            "expression": pa.array(expression, pa.string()),
            "arousal": pa.array(arousal, pa.float64()),
            "AU2": pa.array(unit, pa.int8()),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        targets = read_table(tmp_path / name).targets
        classes = targets.expression_space.classes
        read_back = [
            (
                float(targets.valence_arousal[i, 1])
                if targets.valence_arousal_valid[i, 1]
                else None,
                int(targets.action_units[i, 0]) if targets.action_units_valid[i, 0] else None,
                classes[targets.expression[i]] if targets.expression_valid[i] else None,
            )
            for i in range(len(rows))
        ]
        assert read_back == rows
        if any(expression):
            assert classes == tuple(n for n in NAMES if n in expression)
