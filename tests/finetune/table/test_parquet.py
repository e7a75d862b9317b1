"""Prediction tables as files: everything comes back, anybody's table is read, faults have a place."""

import json
import re
from dataclasses import replace

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from tables import EIGHT, TWELVE, guessed, labelled

from finetune.table import About, Step, TableError, read_table, write_table
from pretrain.files import WriteError


def written(path, columns, metadata=None):
    table = pyarrow.table(columns).replace_schema_metadata(metadata)
    pyarrow.parquet.write_table(table, path)
    return path


def refusal(path):
    with pytest.raises(TableError) as caught:
        read_table(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def test_a_table_comes_back_as_it_was(tmp_path):
    whole = guessed(labelled(rows=30))
    about = About(
        model="abc",
        trained_on=("aff_wild2_mtl", "synthetic"),
        training_groups=("video1", "émile"),
        drawn=True,
        steps=(
            Step(name="smooth", settings={"expression": 8.5}, remarks=("non-causal",)),
            Step(name="decide", fitted_on=("a", "b")),
        ),
    )
    table = replace(
        whole.without(np.arange(30) == 4),
        thresholds=np.linspace(0.1, 0.9, 12),
        biases=np.linspace(-1, 1, 8),
        filled=["nearest" if row == 9 else "" for row in range(30)],
        about=about,
    )
    write_table(tmp_path / "new" / "t.parquet", table)
    again = read_table(tmp_path / "new" / "t.parquet")
    for name, value in vars(table).items():
        if not name.startswith("_") and name != "present":
            other = getattr(again, name)
            if isinstance(value, np.ndarray):
                assert np.array_equal(value, other, equal_nan=True), name
            else:
                assert value == other, name
    assert again.present.tolist() == [row != 4 for row in range(30)]
    names = pyarrow.parquet.read_schema(tmp_path / "new" / "t.parquet").names
    assert names[:6] == ["image", "video", "frame", "valence", "arousal", "expression_Neutral"]
    assert names[-2:] == ["AU26", "filled"]


def test_a_table_without_metadata_has_the_spaces_of_its_columns(tmp_path):
    columns = {"image": ["a.jpg"], "note": ["left alone"]}
    columns |= {f"expression_{name}": [1 / 8] for name in EIGHT.classes}
    columns |= {name: [0.5] for name in TWELVE.names}
    found = read_table(written(tmp_path / "t.parquet", columns))
    assert (found.expression_space, found.action_unit_space) == (EIGHT, TWELVE)
    assert found.thresholds is found.biases is found.videos is found.valence_arousal is None
    assert found.about == About()
    odd = {
        "image": ["a"],
        "AU12": [0.5],
        "expression_Other": [0.5],
        "AU4": [1],
        "expression_Anger": [0.5],
    }
    found = read_table(written(tmp_path / "t.parquet", odd))
    assert found.expression_space.classes == ("Other", "Anger")
    assert found.action_unit_space.units == (12, 4)
    assert found.action_units.tolist() == [[0.5, 1.0]]


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "int8"])
def test_numbers_of_any_width_are_read(tmp_path, kind):
    columns = {name: pyarrow.array(np.array([1, 0], kind)) for name in ("valence", "arousal")}
    found = read_table(written(tmp_path / "t.parquet", {"image": ["a", "b"], **columns}))
    assert found.valence_arousal.dtype == np.float64
    assert found.valence_arousal.tolist() == [[1, 1], [0, 0]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"path": ["a"]}, "the columns path, expected one called image"),
        ({"image": ["a"]}, "got no predictions, expected some of valence, arousal"),
        ({"image": ["a"], "valence": [0.5]}, "column valence alone, expected valence and arousal"),
        ({"image": ["a"], "Valence": [0.5]}, "column 'Valence', expected it called valence"),
        ({"image": ["a"], "AU01": [0.5]}, "column 'AU01', expected expression_ and one of Neutral"),
        ({"image": ["a"], "expression_Happy": [1]}, "column 'expression_Happy', expected expression_"),
        ({"image": ["a"], "expression_anger": [1]}, "column 'expression_anger', expected it called expr"),
        ({"image": ["a", None], "AU1": [0.5, 1]}, "row 2: image None, expected text"),
        ({"image": [1], "AU1": [0.5]}, "row 1: image 1, expected text"),
        ({"image": ["a"], "AU1": ["0.5"]}, "column AU1: string, expected numbers"),
        ({"image": ["a", "b"], "AU1": [0.5, np.nan]}, "row 2: AU1 nan, expected a number or null"),
        ({"image": ["a"], "AU1": [2.0]}, r"row 1 (a): AU1 2, expected in [0, 1]"),
        ({"image": ["a"], "AU1": [0], "frame": [2**40]}, "row 1: frame 1099511627776, expected 0 to"),
        ({"image": ["a"], "AU1": [0], "frame": [-1]}, "row 1: frame -1, expected 0 to 2147483647"),
        ({"image": ["a"], "expression": ["Fear"]}, "column 'expression', expected a probability for"),
        ({"image": ["a"], "AU1": [1.0000001]}, "row 1 (a): AU1 1.0000001, expected in [0, 1]"),
        ({"image": ["a"], "AU1": [0], "frame": [1.5]}, "column frame: double with 0 nulls, expected whole"),
        ({"image": ["a"], "AU1": [0], "frame": pyarrow.array([None], "int64")}, "column frame: int64 with 1"),
    ],
)  # fmt: skip
def test_columns_that_are_not_as_said_are_refused(tmp_path, columns, message):
    assert refusal(written(tmp_path / "t.parquet", columns)).startswith(message)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("{", "metadata: Expecting property name"),
        ("[]", "metadata: "),
        ('{"about": {"modell": "a"}}', "metadata: "),
        ('{"about": {"training_groups": "video1"}}', "metadata: a list of texts"),
        ('{"about": {"steps": [{"settings": {}}]}}', "metadata: "),
        (
            '{"thresholds": [0.5, 0.5]}',
            r"metadata: thresholds [0.5, 0.5], expected 1 numbers in [0, 1]",
        ),
        ('{"thresholds": [1.5]}', r"metadata: thresholds [1.5], expected 1 numbers in [0, 1]"),
        ('{"action_unit_space": {"units": [2]}}', "columns 1, expected those of the metadata: 2"),
    ],
)
def test_metadata_that_is_not_as_said_is_refused(tmp_path, metadata, message):
    columns = {"image": ["a"], "AU1": [0.5]}
    path = written(tmp_path / "t.parquet", columns, {"faceprior": metadata})
    assert refusal(path).startswith(message)


def test_files_that_are_no_tables_are_refused(tmp_path):
    (tmp_path / "text.parquet").write_text("image,AU1\n")
    assert "expected a prediction table (Parquet)" in refusal(tmp_path / "text.parquet")
    assert refusal(tmp_path / "gone.parquet").startswith("No such file or directory, expected")
    assert refusal(tmp_path).startswith("Is a directory, expected")
    write_table(tmp_path / "t.parquet", guessed(labelled(rows=10)))
    content = (tmp_path / "t.parquet").read_bytes()
    for size in (0, 3, len(content) // 2, len(content) - 1):
        (tmp_path / "cut.parquet").write_bytes(content[:size])
        refusal(tmp_path / "cut.parquet")


def test_a_table_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=r"t\.parquet: cannot write: "):
        write_table(tmp_path / "file" / "t.parquet", guessed(labelled(rows=10)))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_metadata_are_plain_json_for_others_to_read(tmp_path):
    table = replace(guessed(labelled(rows=10)), thresholds=np.full(12, 0.25))
    write_table(tmp_path / "t.parquet", table)
    metadata = pyarrow.parquet.read_schema(tmp_path / "t.parquet").metadata[b"faceprior"]
    found = json.loads(metadata)
    assert found["action_unit_space"] == {"name": "aff_wild2_12", "units": list(TWELVE.units)}
    assert found["expression_space"]["classes"] == list(EIGHT.classes)
    assert found["thresholds"] == [0.25] * 12
    assert re.fullmatch(r"[\x20-\x7e]*", metadata.decode())
