"""Damaged label files: the right labels where the fault is harmless, else one line that says where."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damaged_labels import FAULTS, corpus
from every_kind import EVERY, TEXTS
from label_files import npy, write

from finetune import describe
from finetune.data.annotations import AnnotationError
from finetune.data.config import LabelledConfig
from finetune.data.opening import read_collection
from finetune.labels import VALENCE_AROUSAL
from finetune.scoring.joined import occurrences

CORPUS = list(corpus())


def read(config):
    return read_collection(config).annotations


def same(one, other):
    assert list(one.images) == list(other.images)
    assert one.videos == other.videos
    assert one.subjects == other.subjects
    assert (one.frames is None) == (other.frames is None)
    assert one.frames is None or np.array_equal(one.frames, other.frames)
    for name, value in vars(one.targets).items():
        assert np.array_equal(value, getattr(other.targets, name)), name


def in_range(annotations):
    """Whatever was read: no sentinel, no NaN, no index out of its space."""
    targets = annotations.targets
    assert (np.abs(targets.valence_arousal) <= 1).all()
    assert ((targets.expression >= 0) & (targets.expression < len(targets.expression_space))).all()
    assert np.isin(targets.action_units, (0, 1)).all()
    for name in ("valence_arousal", "expression", "action_units"):
        assert not getattr(targets, name)[~getattr(targets, f"{name}_valid")].any()


def refusal(config, file):
    """The one line of the error, behind the file that it names."""
    with pytest.raises(AnnotationError) as caught:
        read(config)
    message = str(caught.value)
    assert "\n" not in message
    assert message.isprintable()
    assert ", expected " in message
    assert len(message) < 600
    assert message.startswith(config.root)
    assert Path(file).name in message
    return message.removeprefix(str(file))


def printed(monkeypatch, capsys, config):
    """What the program says, and that it fails."""
    arguments = ["--data.kind", config.kind, "--data.root", config.root]
    arguments += ["--data.split", config.split, "--images", "false"]
    arguments += ["--data.track", config.track] if config.track else []
    monkeypatch.setattr("sys.argv", ["describe", *arguments])
    assert describe.main() == 2
    output = capsys.readouterr()
    assert output.out == ""
    return output.err


def test_the_corpus_is_large_and_of_every_kind_and_fault():
    assert len({(damaged.tree, damaged.content) for damaged in CORPUS}) > 550
    assert {damaged.tree for damaged in CORPUS} == set(TEXTS)
    assert {fault for fault, *_ in FAULTS} <= {damaged.fault for damaged in CORPUS}
    assert [*corpus()] == CORPUS


@pytest.mark.parametrize("tree", TEXTS)
def test_a_damaged_file_is_read_right_or_refused_on_one_line(tmp_path, tree):
    config = EVERY[tree].lay_out(tmp_path)
    whole = read(config)
    for damaged in (found for found in CORPUS if found.tree == tree):
        write(tmp_path / damaged.file, damaged.content)
        try:
            check(damaged, config, whole)
        except (AssertionError, pytest.fail.Exception) as error:
            raise AssertionError(f"{damaged}") from error
        write(tmp_path / damaged.file, EVERY[tree].files[damaged.file])
    same(read(config), whole)


@pytest.mark.parametrize("tree", TEXTS)
def test_the_program_prints_the_line_and_fails(tmp_path, monkeypatch, capsys, tree):
    config = EVERY[tree].lay_out(tmp_path)
    refused = [d for d in CORPUS if d.tree == tree and d.rule.startswith("refused")]
    for damaged in refused[:: len(refused) // 4]:
        write(tmp_path / damaged.file, damaged.content)
        with pytest.raises(AnnotationError) as caught:
            read(config)
        assert printed(monkeypatch, capsys, config) == f"error: {caught.value}\n"
        write(tmp_path / damaged.file, EVERY[tree].files[damaged.file])


def check(damaged, config, whole):
    """Whether a damaged file gives what its rule says."""
    try:
        found = read(config)
    except AnnotationError:
        assert damaged.rule != "harmless"
        said = refusal(config, f"{config.root}/{damaged.file}")
        # A file of a single number has no lines to name.
        if damaged.line is not None and "/Emotion/" not in f"/{damaged.file}":
            lines = {
                "refused": [damaged.line],
                "refused below": [damaged.line, damaged.line + 1],
            }.get(damaged.rule)
            assert lines is None or said.startswith(tuple(f":{line}: " for line in lines))
        return
    in_range(found)
    if damaged.rule == "cut":
        rest(found, whole)
    else:
        assert not damaged.rule.startswith("refused")
        same(found, whole)


def rest(found, whole):
    """Some rows less, and at most one with other labels: a cut number is a number."""
    known = dict(zip(occurrences(whole.images), said(whole), strict=True))
    rows = dict(zip(occurrences(found.images), said(found), strict=True))
    assert set(rows) <= set(known)
    assert list(rows) == [key for key in known if key in rows]
    shared = set(found.targets.action_unit_space.names) & set(whole.targets.action_unit_space.names)
    changed = [
        key
        for key, labels in rows.items()
        if any(
            labels[name] != known[key].get(name)
            for name in labels
            if name in shared or not name.startswith("AU")
        )
    ]
    assert len(changed) <= 1


def said(annotations):
    """The labels of each row by name, of those that are valid."""
    targets = annotations.targets
    rows = []
    for row in range(len(annotations)):
        labels = {
            name: float(targets.action_units[row, place])
            for place, name in enumerate(targets.action_unit_space.names)
            if targets.action_units_valid[row, place]
        }
        if targets.expression_valid[row]:
            labels["expression"] = targets.expression_space.classes[targets.expression[row]]
        for place in np.flatnonzero(targets.valence_arousal_valid[row]):
            labels[VALENCE_AROUSAL[place]] = float(targets.valence_arousal[row, place])
        rows.append(labels)
    return rows


def test_a_list_with_the_line_ends_of_an_old_mac_is_no_list_of_one_image(tmp_path):
    config = EVERY["lsd test"].lay_out(tmp_path)
    file = tmp_path / "LSD_Challenge_test_set_release.txt"
    for content in (b"image\r1.jpg\r0.jpg\r", b"1.jpg\r0.jpg"):
        write(file, content)
        message = refusal(config, str(file))
        assert message.startswith(":1: image ")
        assert "\\r" in message


def test_an_address_without_its_scheme_is_no_path(tmp_path):
    config = EVERY["emotionet"].lay_out(tmp_path)
    write(tmp_path / "list.csv", "URL,AU 1\n/http://host/a.jpg,1\n")
    assert refusal(config, str(tmp_path / "list.csv")).startswith(":2: URL '")


@pytest.mark.parametrize("value", [3, "-0.25", np.float32(0.5), b"1"])
def test_a_number_file_cut_anywhere_is_refused_by_name(tmp_path, value):
    config = EVERY["affectnet folders"].lay_out(tmp_path)
    whole = npy(value)
    for name in ("9_val.npy", "11_aro.npy"):
        file = tmp_path / "val_set/annotations" / name
        for content in (*(whole[:length] for length in range(0, len(whole), 7)), whole + b"0"):
            write(file, content)
            refusal(config, str(file))
        write(file, EVERY["affectnet folders"].files[f"val_set/annotations/{name}"])
    read(config)


def test_a_damaged_parquet_file_is_read_right_or_refused(tmp_path):
    columns = {
        "image": [f"{row}.jpg" for row in range(40)],
        "valence": np.linspace(-1, 1, 40),
        "expression": ["Anger", None, "Neutral", "Fear"] * 10,
        "AU4": pa.array([1, 0, None, 1] * 10, pa.int8()),
    }
    file = tmp_path / "train.parquet"
    pq.write_table(pa.table(columns), file, compression="none")
    config = LabelledConfig(kind="manifest", root=str(tmp_path), split="train")
    whole, content, rng = read(config), file.read_bytes(), np.random.default_rng(0)
    outcomes = []
    for _ in range(100):
        at = int(rng.integers(len(content)))
        cut = (
            content[:at]
            if rng.random() < 0.3
            else content[:at] + bytes(rng.integers(0, 256, 3, np.uint8)) + content[at + 3 :]
        )
        write(file, cut)
        try:
            in_range(read(config))  # values have no checksum here: other ones may be read
            outcomes.append("read")
        except AnnotationError:
            refusal(config, str(tmp_path))
            outcomes.append("refused")
    assert outcomes.count("refused") > 30
    write(file, content)
    same(read(config), whole)
