"""Which rows are trained on, chosen on and scored on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from labelled import labelled_images

from finetune.methods.cnn import TimmCNN
from finetune.methods.emma import EMMA
from finetune.methods.method import Method
from finetune.objectives.supervised import LossConfig
from finetune.separation import OverlapError
from finetune.training.config import HeldOutConfig, SelectionConfig, TrainDataConfig
from finetune.training.rows import Rows, check_weights, look_alike, open_rows
from pretrain.data.synthetic import SyntheticConfig
from pretrain.errors import UserError

DRAWN = TrainDataConfig(synthetic=SyntheticConfig(count=60, size=32, subjects=10))
NONE = HeldOutConfig(split=None)
LOSSES = LossConfig(action_unit_weights="none")


def rows(data: TrainDataConfig = DRAWN, **changes: object) -> Rows:
    wanted = {
        "validation": HeldOutConfig(count=20),
        "selection": SelectionConfig(),
        "method": EMMA(losses=LOSSES),
        "seed": 0,
        "refit": False,
        "allow_overlap": False,
    }
    return open_rows(data, **(wanted | changes))


def people(found: Rows) -> tuple[set[str], set[str], set[str]]:
    held = [
        set() if one is None else set(one.images.annotations.subjects or ())
        for one in (found.selection, found.validation)
    ]
    return set(found.groups), *held


def test_no_person_is_in_two_parts() -> None:
    found = rows(selection=SelectionConfig(share=0.3))
    training, selection, validation = people(found)
    assert len(selection) == 3
    assert len(training) == 7
    assert not training & selection
    assert not (training | selection) & validation


def test_what_is_held_out_depends_on_the_seed_alone() -> None:
    share = SelectionConfig(share=0.3)
    first, again, other = (people(rows(selection=share, seed=seed))[1] for seed in (0, 0, 1))
    assert first == again != other


def test_a_share_of_the_people_is_a_share_of_all_that_is_used() -> None:
    found = rows(replace(DRAWN, share=0.2))
    assert len(found.groups) == 2
    smaller, larger = (set(rows(replace(DRAWN, share=s)).groups) for s in (0.2, 0.5))
    assert smaller < larger


def test_rows_that_teach_nothing_are_left_out_and_counted() -> None:
    found = rows(method=TimmCNN(class_balanced=False))
    targets = found.training.targets
    assert targets.expression_valid.all()
    left = 60 - len(targets)
    assert left > 0
    assert any(line.startswith(f"{left} of 60 images have no label") for line in found.said)


def test_labels_that_the_model_cannot_answer_are_said(tmp_path: Path) -> None:
    labelled_images(tmp_path, "train", range(6), each=1)
    rows_of_file = (tmp_path / "train.csv").read_text().splitlines()
    cells = [",Contempt,0,1", ",Anger,1,0", *[",Happiness,0,1"] * 4]
    names = [line.split(",")[0] for line in rows_of_file[1:]]
    lines = [name + cell for name, cell in zip(names, cells, strict=True)]
    (tmp_path / "train.csv").write_text("image,expression,AU9,AU12\n" + "\n".join(lines) + "\n")
    data = TrainDataConfig(kind="manifest", root=str(tmp_path))
    method = EMMA(losses=LossConfig(valence_arousal=0, action_unit_weights="none"))
    said = rows(data, validation=NONE, method=method).said
    assert [line.split(" are left out")[0] for line in said] == [
        "labels of AU9",
        "1 labels of Contempt",
    ]
    alone = replace(method, losses=replace(method.losses, action_units=0))
    assert len(rows(data, validation=NONE, method=alone).said) == 2  # the row, and its label


def test_balanced_rows_show_every_expression_equally_often() -> None:
    data = replace(DRAWN, synthetic=SyntheticConfig(count=400, size=32, subjects=10))
    found = rows(data, method=TimmCNN())
    part = dict(found.training.partial)
    passes = np.ones(len(found.training.targets))
    for places, fraction in part.items():
        passes[places.start : places.stop] = fraction
    shown = np.bincount(found.training.targets.expression, passes, minlength=8)
    occurring = shown[shown > 0]
    assert len(occurring) == 7  # AffectNet's order has no Other
    assert occurring == pytest.approx([occurring.mean()] * 7, rel=1e-9)


def test_refit_joins_both_splits_and_scores_nothing(tmp_path: Path) -> None:
    labelled_images(tmp_path, "train", range(4))
    labelled_images(tmp_path, "validation", range(4, 6))
    data = TrainDataConfig(kind="manifest", root=str(tmp_path))
    method: Method = EMMA(losses=LossConfig(action_units=0))
    found = rows(data, validation=HeldOutConfig(), method=method, refit=True)
    assert found.validation is None
    assert len(found.training.targets) == 36
    assert set(found.groups) == {f"person {n}" for n in range(6)}
    apart = rows(data, validation=HeldOutConfig(), method=method)
    assert len(apart.training.targets) == 24


def test_shared_people_are_refused_in_the_selection_too(tmp_path: Path) -> None:
    labelled_images(tmp_path, "train", range(4))
    labelled_images(tmp_path, "validation", range(3, 6))
    labelled_images(tmp_path, "test", range(5, 7))
    data = TrainDataConfig(kind="manifest", root=str(tmp_path))
    method = EMMA(losses=LossConfig(action_units=0))
    common = {"method": method, "selection": SelectionConfig(split="validation")}
    with pytest.raises(OverlapError, match=r"selection shares .*person 3.* the training rows"):
        rows(data, validation=NONE, **common)
    found = rows(data, validation=HeldOutConfig(split="test"), allow_overlap=True, **common)
    assert found.validation is not None
    (remark,) = found.validation.remarks
    assert "person 5" in remark
    assert "the selection rows" in remark


def test_the_same_picture_under_another_name_is_reported(tmp_path: Path) -> None:
    labelled_images(tmp_path, "train", range(2))
    labelled_images(tmp_path, "validation", range(2, 4))
    (tmp_path / "s2" / "0.png").write_bytes((tmp_path / "s0" / "3.png").read_bytes())
    data = TrainDataConfig(kind="manifest", root=str(tmp_path))
    found = rows(data, validation=HeldOutConfig(), method=EMMA(losses=LossConfig(action_units=0)))
    assert found.validation is not None
    assert any("s2/0.png" in line for line in look_alike(found, found.validation))


def test_one_person_cannot_be_split(tmp_path: Path) -> None:
    labelled_images(tmp_path, "train", range(1))
    data = TrainDataConfig(kind="manifest", root=str(tmp_path))
    with pytest.raises(UserError, match="1 subjects, expected at least 2"):
        rows(data, validation=NONE, selection=SelectionConfig(share=0.2))


def test_what_a_share_leaves_out_can_stay_without_its_labels() -> None:
    method = EMMA(losses=LOSSES, views=2)
    found = rows(replace(DRAWN, share=0.2, unlabelled="rest"), method=method)
    targets, used = found.training.targets, rows(replace(DRAWN, share=0.2))
    labelled = len(used.training.targets)
    blind = targets.select(np.arange(labelled, len(targets)))
    assert len(blind) == 60 - len(used.parts[0])
    assert not blind.expression_valid.any()
    assert not blind.valence_arousal_valid.any()
    assert not blind.action_units_valid.any()
    assert not blind.expression.any()
    assert found.groups == used.groups  # nobody's labels were seen but theirs


def test_other_images_can_be_added_without_labels(tmp_path: Path) -> None:
    labelled_images(tmp_path, "list", range(3))
    data = replace(DRAWN, unlabelled=str(tmp_path), unlabelled_passes=0.5)
    found = rows(data, method=EMMA(losses=LOSSES, views=2))
    ((places, fraction),) = found.training.partial
    assert (len(places), fraction) == (18, 0.5)


def test_unlabelled_images_need_views_that_can_agree() -> None:
    with pytest.raises(UserError, match=r"data.unlabelled with method EMMA .*method.views"):
        rows(replace(DRAWN, share=0.5, unlabelled="rest"))


def test_another_spelling_of_the_same_folder_hides_nothing(tmp_path: Path) -> None:
    labelled_images(tmp_path / "data", "train", range(2))
    (tmp_path / "x").mkdir()
    data = TrainDataConfig(kind="manifest", root=str(tmp_path / "data"))
    spelt = str(tmp_path / "x" / ".." / "data")
    held_out = HeldOutConfig(kind="manifest", root=spelt, split="train")
    with pytest.raises(OverlapError, match="person 0"):
        rows(data, validation=held_out, method=EMMA(losses=LossConfig(action_units=0)))


def test_equal_names_of_another_collection_are_other_people(tmp_path: Path) -> None:
    for name in ("one", "two"):
        labelled_images(tmp_path / name, "train", range(2))
    data = TrainDataConfig(kind="manifest", root=str(tmp_path / "one"))
    other = HeldOutConfig(kind="manifest", root=str(tmp_path / "two"), split="train")
    found = rows(data, validation=other, method=EMMA(losses=LossConfig(action_units=0)))
    assert found.validation is not None
    assert found.validation.remarks == ()


def test_weights_that_know_the_rows_to_score_are_refused_or_marked() -> None:
    found = rows()
    assert found.validation is not None
    person = sorted(found.validation.images.annotations.keys)[0]
    with pytest.raises(OverlapError, match=f"labels of 1 groups of validation .{person}"):
        check_weights(found, [person, "another"], ["synthetic"], allow_overlap=False)
    marked = check_weights(found, [person], ["synthetic"], allow_overlap=True).validation
    assert marked is not None
    assert person in marked.remarks[0]
    assert check_weights(found, [person], ["affectnet"], allow_overlap=False) == found
    # The challenges of Aff-Wild2 are of the same recordings.
    held = replace(
        found.validation,
        config=replace(found.validation.config, kind="aff_wild2_video", root="x", track="VA"),
    )
    videos = replace(found, validation=held)
    with pytest.raises(OverlapError, match="labels of 1 groups of validation"):
        check_weights(videos, [person], ["aff_wild2_mtl"], allow_overlap=False)
    assert check_weights(found, None, None, allow_overlap=False) == found
