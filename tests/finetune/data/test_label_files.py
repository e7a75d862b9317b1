"""Every reader on files that are not as they should be: the right labels, or one line that says where."""

import os
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_files import TREES, lay_out, one_line, reader, refusal, write

from finetune.data.annotations import AnnotationError

#: Readers of label files, and those of them whose files are text.
WITH_FILES = [kind for kind in TREES if kind != "fer2013 folders"]
TEXTS = [kind for kind in WITH_FILES if kind != "affectnet folders"]


def same(one, other):
    assert list(one.images) == list(other.images)
    assert one.videos == other.videos
    assert one.subjects == other.subjects
    for name, value in vars(one.targets).items():
        assert np.array_equal(value, getattr(other.targets, name)), name


@pytest.mark.parametrize("kind", TREES)
def test_labels_are_in_the_files_range_and_zero_where_missing(tmp_path, kind):
    split = lay_out(tmp_path, kind)
    found = reader(kind).read(tmp_path, split)
    targets = found.targets
    assert len(found) == len(targets) > 0
    assert all(isinstance(name, str) and not name.startswith("/") for name in found.images)
    for name in ("valence_arousal", "expression", "action_units"):
        values, valid = getattr(targets, name), getattr(targets, f"{name}_valid")
        assert valid.dtype == bool
        assert not values[~valid].any()
    assert np.abs(targets.valence_arousal).max() <= 1
    assert set(targets.action_units.ravel().tolist()) <= {0, 1}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", " \t\n"),
        lambda text: text.rstrip("\n"),
        lambda text: text + "\n \n\n",
    ],
    ids=["BOM", "CRLF", "trailing spaces", "no last newline", "blank lines at the end"],
)
def test_ways_of_writing_text_make_no_difference(tmp_path, kind, change):
    split = lay_out(tmp_path / "plain", kind)
    for name, content in TREES[kind][1].items():
        write(tmp_path / "changed" / name, change(content))
    same(
        reader(kind).read(tmp_path / "plain", split), reader(kind).read(tmp_path / "changed", split)
    )


@pytest.mark.parametrize("kind", TREES)
def test_another_split_is_refused(tmp_path, kind):
    lay_out(tmp_path, kind)
    assert "split 'traim', expected one of " in refusal(tmp_path, kind, "traim")


@pytest.mark.parametrize("kind", TREES)
def test_an_empty_and_a_missing_root_are_refused(tmp_path, kind):
    refusal(tmp_path, kind)
    assert not os.listdir(tmp_path)
    refusal(tmp_path / "gone", kind)


@pytest.mark.parametrize("kind", WITH_FILES)
def test_an_empty_file_is_refused_by_name(tmp_path, kind):
    lay_out(tmp_path, kind)
    name = min(TREES[kind][1])
    write(tmp_path / name, b"")
    assert refusal(tmp_path, kind).startswith(name)


@pytest.mark.parametrize("kind", WITH_FILES)
def test_a_folder_in_a_files_place_is_refused_by_name(tmp_path, kind):
    lay_out(tmp_path, kind)
    name = min(TREES[kind][1])
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    assert refusal(tmp_path, kind).startswith(f"{name}: Is a directory")


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("coding", ["utf-16", "cp1252"])
def test_another_encoding_is_refused_with_its_line(tmp_path, kind, coding):
    lay_out(tmp_path, kind)
    name = min(TREES[kind][1])
    content = (tmp_path / name).read_text()
    second = content.index("\n") + 1 if "\n" in content else 1
    write(tmp_path / name, (content[:second] + "é" + content[second:]).encode(coding))
    line = "" if kind == "afew_va" else ":1" if coding == "utf-16" else ":2"
    byte = "0xff" if coding == "utf-16" else "0xe9"
    assert refusal(tmp_path, kind).startswith(f"{name}{line}: byte {byte}, expected ")


@pytest.mark.parametrize("kind", [kind for kind in TEXTS if kind not in ("ckplus", "afew_va")])
def test_a_blank_line_among_the_rows_is_refused_where_it_stands(tmp_path, kind):
    lay_out(tmp_path, kind)
    name = min(TREES[kind][1])
    write(tmp_path / name, (tmp_path / name).read_text().replace("\n", "\n\n", 1))
    assert refusal(tmp_path, kind).startswith(f"{name}:2: ")


@pytest.mark.parametrize("kind", WITH_FILES)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_no_damage_is_a_traceback(tmp_path, kind, data):
    shutil.rmtree(tmp_path)
    split = lay_out(tmp_path, kind)
    name = data.draw(st.sampled_from(sorted(TREES[kind][1])))
    content = (tmp_path / name).read_bytes()
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 20)) | st.just(len(content)))
    new = data.draw(
        st.sampled_from(
            [
                *(b"", b"nan", b"-inf", b"1e9", b"9" * 400, b"1e400", b"1_0", b"-", b"+", b"U"),
                *(b"\n", b",", b" ", b'"', b"\0", b"\r", b"\xff", "٣".encode(), b"../"),
                *(b"{", b"[" * 5000),
            ]
        )
        | st.binary(max_size=5)
    )
    write(tmp_path / name, content[:start] + new + content[end:])
    try:
        found = reader(kind).read(tmp_path, split)
    except AnnotationError as error:
        one_line(error, tmp_path)
    else:
        assert np.abs(found.targets.valence_arousal).max() <= 1  # False for NaN
        assert (found.targets.expression < len(found.targets.expression_space)).all()
