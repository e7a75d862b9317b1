"""The drawn faces as a collection: their own labels by name, disjoint people, documented gaps."""

import numpy as np
import pytest

from finetune.data import synthetic
from finetune.data.config import LabelledConfig
from finetune.data.opening import read_collection
from pretrain.data.synthetic import SyntheticConfig, SyntheticFaces

CONFIG = SyntheticConfig(count=3000, subjects=40, size=32)
SPLITS = {"train": "train", "validation": "development", "test": "test"}
UNITS = (1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25, 26)
CLASSES = ("Neutral", "Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise", "Other")


@pytest.fixture(scope="module")
def collections():
    return {
        split: read_collection(LabelledConfig(split=split, synthetic=CONFIG)) for split in SPLITS
    }


def test_no_subject_and_no_image_is_in_two_splits(collections):
    people = [set(c.annotations.subjects) for c in collections.values()]
    images = [set(c.annotations.images) for c in collections.values()]
    assert [len(who) for who in people] == [40] * 3
    assert len(set().union(*people)) == 120
    assert len(set().union(*images)) == sum(map(len, images))
    pretrained = SyntheticFaces(SyntheticConfig(count=3000, subjects=40, size=32))
    assert not set().union(*people) & {str(pretrained.labels(i)["subject"]) for i in range(100)}


@pytest.mark.parametrize("split", SPLITS)
def test_labels_are_those_of_the_source_by_name(collections, split):
    source = SyntheticFaces(SyntheticConfig(count=3000, subjects=40, size=32, split=SPLITS[split]))
    known = collections[split].annotations
    assert list(known.images) == [f"{name}.png" for name in source.names]
    targets = known.targets
    assert (targets.expression_space.classes, targets.action_unit_space.units) == (CLASSES, UNITS)
    for row in range(0, 3000, 7):
        labels = source.labels(row)
        assert known.subjects[row] == labels["subject"]
        for place, name in enumerate(("valence", "arousal")):
            assert targets.valence_arousal_valid[row, place] == (labels[name] is not None)
            assert targets.valence_arousal[row, place] == (labels[name] or 0)
        assert targets.expression_valid[row] == (labels["expression"] is not None)
        if labels["expression"] is not None:
            assert CLASSES[targets.expression[row]] == labels["expression"]
        for column, unit in enumerate(UNITS):
            assert targets.action_units_valid[row, column] == (labels[f"AU{unit}"] is not None)
            assert targets.action_units[row, column] == (labels[f"AU{unit}"] or 0)


@pytest.mark.parametrize("split", SPLITS)
def test_labels_are_missing_as_often_as_in_the_challenge_and_whole_tasks_at_a_time(
    collections, split
):
    targets = collections[split].annotations.targets
    affect, expression = targets.valence_arousal_valid, targets.expression_valid
    units = targets.action_units_valid
    assert (affect.all(1) == affect.any(1)).all()
    assert (units.all(1) == units.any(1)).all()
    tasks = np.stack([affect.any(1), expression, units.any(1)])
    # 3,000 draws: five standard deviations of a share are at most .046.
    assert tasks.mean(1) == pytest.approx([0.73, 0.64, 0.73], abs=0.045)
    assert tasks.all(0).mean() == pytest.approx(0.37, abs=0.045)
    assert tasks.any(0).all()
    assert not targets.expression[~expression].any()
    assert not targets.action_units[~units].any()


def test_every_class_and_action_unit_occurs(collections):
    for collection in collections.values():
        targets = collection.annotations.targets
        counts = np.bincount(targets.expression[targets.expression_valid], minlength=8)
        assert (counts > 20).all()
        present = (targets.action_units * targets.action_units_valid).sum(0)
        assert (present > 20).all()
        assert (present < targets.action_units_valid.sum(0)).all()


def test_images_are_the_sources_and_all_are_there(collections):
    images = collections["validation"].open_images()
    source = SyntheticFaces(SyntheticConfig(count=3000, subjects=40, size=32, split="development"))
    assert images.absent == ()
    assert images.to_train_on() == (images, "")
    for row in (0, 17, 2999):
        assert np.array_equal(images.image(row), source.image(row))


def test_the_split_of_the_collection_counts_and_not_the_dials_own():
    config = SyntheticConfig(count=5, subjects=2, size=32, split="cnn")
    found = synthetic.faces(config, "test")
    assert found.config.split == "test"
    assert list(found.names) == list(
        synthetic.faces(SyntheticConfig(count=5, subjects=2), "test").names
    )


def test_the_same_config_gives_the_same_labels_and_another_seed_others():
    def read(seed):
        config = SyntheticConfig(count=50, subjects=10, size=32, seed=seed)
        return synthetic.annotate(synthetic.faces(config, "train"))

    one, again, other = read(3), read(3), read(4)
    assert list(one.images) == list(again.images)
    assert np.array_equal(one.targets.valence_arousal, again.targets.valence_arousal)
    assert not np.array_equal(one.targets.valence_arousal, other.targets.valence_arousal)
