"""The probed images: which they are, how they are cut, what is refused, and their scores."""

import csv

import numpy as np
import pytest
import torch
from labelled import labelled_list
from PIL import Image

from pretrain.data.sources import FolderSource, SourceError
from pretrain.data.synthetic import SyntheticConfig, SyntheticFaces
from pretrain.errors import UserError
from pretrain.probing.config import ProbeConfig, RunProbeConfig
from pretrain.probing.encoders import FrozenEncoder
from pretrain.probing.images import ProbedImages

CPU = torch.device("cpu")


def edited(path, change):
    """The list with its rows changed: a function of the list of rows (dicts)."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows = change(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def probed(path, **options):
    return ProbedImages(ProbeConfig(source=str(path), **options))


def refusal(path, **options):
    with pytest.raises(UserError) as caught:
        probed(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def reader(read, image_size=8):
    return FrozenEncoder(torch.nn.Identity(), image_size, read)


def names_of(images):
    """Which images were chosen, by asking for those that are them."""
    return {images._source.names[index] for index in images._indices}


def test_a_list_with_a_root(tmp_path):
    path = labelled_list(tmp_path / "faces")
    away = tmp_path / "lists" / "list.csv"
    away.parent.mkdir()
    path.rename(away)
    images = probed(away, root=str(tmp_path / "faces"))
    assert len(images) == 48
    assert images.summary() == "48 images of 8 subjects"
    assert not images.drawn
    assert images.people == {f"person {number}" for number in range(8)}
    assert [task.name for task in images.tasks] == ["2 expressions", "valence"]
    assert len(probed(labelled_list(tmp_path / "own"))) == 48
    with pytest.raises(SourceError, match="expected them below the root"):
        probed(away)


def test_drawn_faces_say_so():
    config = ProbeConfig(synthetic=SyntheticConfig(split="development", count=60, size=32))
    images = ProbedImages(config)
    assert images.drawn
    assert images.summary().startswith("60 drawn faces of ")
    source = SyntheticFaces(config.synthetic)
    expected = np.stack([source.image(index) for index in range(60)]).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(images.pixels(32).numpy(), expected)


def test_the_central_squares_in_the_order_of_the_labels(tmp_path):
    path = labelled_list(tmp_path)
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    Image.fromarray(wide).save(tmp_path / "s0" / "1.png")
    Image.fromarray(wide.transpose(1, 0, 2)).save(tmp_path / "s0" / "2.png")
    Image.new("RGB", (40, 40), (9, 8, 7)).save(tmp_path / "s1" / "0.png")
    pixels = probed(path).pixels(8)
    assert pixels.shape == (48, 3, 8, 8)
    square = torch.from_numpy(wide[:, 8:16].transpose(2, 0, 1))
    assert torch.equal(pixels[1], square)
    assert torch.equal(pixels[2], square.transpose(1, 2))
    assert torch.equal(pixels[6], torch.tensor([9, 8, 7]).view(3, 1, 1).expand(3, 8, 8))


def test_another_size_is_cut_anew(tmp_path):
    images = probed(labelled_list(tmp_path))
    first = images.pixels(16)
    assert images.pixels(16) is first
    assert images.pixels(8).shape == (48, 3, 8, 8)
    assert torch.equal(images.pixels(16), first)


def test_an_unreadable_image_is_refused_by_name(tmp_path):
    path = labelled_list(tmp_path)
    (tmp_path / "s3" / "2.png").write_bytes(b"")
    images = probed(path)
    with pytest.raises(UserError) as caught:
        images.pixels(8)
    assert str(caught.value).startswith(f"probe image {tmp_path}/s3/2.png: empty file")
    assert "\n" not in str(caught.value)


def test_a_missing_image_is_refused_by_name(tmp_path):
    path = labelled_list(tmp_path)
    (tmp_path / "s7" / "5.png").unlink()
    with pytest.raises(UserError, match=r"s7/5\.png"):
        probed(path).pixels(8)
    assert len(probed(labelled_list(tmp_path / "whole")).pixels(8)) == 48


def test_a_cap_picks_the_same_images_in_any_order(tmp_path):
    path = labelled_list(tmp_path, each=10)
    first = probed(path, images=50)
    assert len(first) == 50
    edited(path, lambda rows: rows[::-1])
    again = probed(path, images=50)
    assert names_of(again) == names_of(first)
    assert again.identity == first.identity
    assert first.identity != probed(path, images=51).identity
    assert names_of(first) < names_of(probed(path, images=60)) < names_of(probed(path))
    assert len(probed(path)) == 80


def test_a_share_of_the_people_brings_all_their_images(tmp_path):
    path = labelled_list(tmp_path, subjects=20)
    images = probed(path, subjects=0.6)
    assert 5 <= len(images.people) < 20
    assert {f"s{name.split()[1]}" for name in images.people} == {
        name.split("/")[0] for name in names_of(images)
    }
    assert len(images) == 6 * len(images.people)


def test_folds_are_by_the_person_that_an_image_shows(tmp_path):
    path = labelled_list(tmp_path, subjects=20)
    edited(path, lambda rows: [rows[i] for i in np.random.default_rng(0).permutation(120)])
    images = probed(path, subjects=0.8, images=70)
    assert len(images) == 70
    folders = [images._source.names[index].split("/")[0] for index in images._indices]
    for training, test in images._folds:
        assert not {folders[row] for row in training} & {folders[row] for row in test}
    # The strength is chosen by the same people.
    assert images._subjects == [f"person {folder[1:]}" for folder in folders]


def test_people_count_as_seen_even_where_the_cap_left_their_images_out(tmp_path):
    path = labelled_list(tmp_path, each=10)
    images = probed(path, images=50)
    (tmp_path / "s9").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "s9" / "0.png")
    source = FolderSource(tmp_path)
    seen = {source.names[index] for index in images.seen_by(source)}
    assert seen == set(source.names) - {"s9/0.png"}
    assert len(seen) == 80


def test_nobody_left_is_refused(tmp_path):
    path = labelled_list(tmp_path)
    assert refusal(path, subjects=1e-9).endswith("leaves none of 8")


def test_too_few_people_left_are_refused(tmp_path):
    assert "4 subjects, expected at least 5" in refusal(labelled_list(tmp_path, 4, 12))


def test_a_list_without_labels_is_refused(tmp_path):
    path = labelled_list(tmp_path)
    edited(path, lambda rows: [{key: row[key] for key in ("image", "subject")} for row in rows])
    assert "no label with 20 images of two kinds" in refusal(path)


def test_one_class_only_is_refused(tmp_path):
    path = labelled_list(tmp_path)
    edited(path, lambda rows: [{"image": row["image"], "expression": "Happiness"} for row in rows])
    assert "no label with 20 images of two kinds" in refusal(path)


def test_labels_of_one_person_are_refused_before_anything_is_read(tmp_path):
    path = labelled_list(tmp_path, each=20)
    edited(
        path,
        lambda rows: [
            row | {"valence": row["valence"] if row["subject"] == "person 0" else ""}
            for row in rows
        ],
    )
    assert "the probe of valence: its labels belong to too few subjects" in refusal(path)


@pytest.mark.parametrize("source", [None, "faces.zip", "faces", "list.txt", "list.csv.gz"])
def test_what_is_no_list_is_refused(source, tmp_path):
    with pytest.raises(UserError, match=r"expected synthetic, or a \.csv or \.parquet list"):
        ProbedImages(ProbeConfig(source=source))


def test_a_list_that_is_not_there_is_refused(tmp_path):
    assert str(tmp_path / "no.csv") in refusal(tmp_path / "no.csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subjects": 0.0}, r"subjects 0\.0, expected in \(0, 1\]"),
        ({"subjects": 1.5}, r"subjects 1\.5"),
        ({"images": 49}, "images 49, expected at least 50"),
        ({"contrast": "happiness"}, "contrast 'happiness', expected two expressions"),
        ({"contrast": "a/b/c"}, "contrast"),
        ({"contrast": "a/ "}, "contrast"),
        ({"contrast": "Fear/fear"}, "contrast"),
        ({"every_epochs": 0.0}, r"every_epochs 0\.0, expected > 0"),
    ],
)
def test_options_without_a_meaning_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RunProbeConfig(**options)


def test_features_meet_the_labels_of_their_own_images(tmp_path):
    path = labelled_list(tmp_path)
    images = probed(path)
    bright = {"it": lambda batch: {"mean": batch.float().mean((1, 2, 3))[:, None]}}
    found = images.encoder_scores("encoder", reader(bright["it"]), CPU)
    assert list(found) == ["encoder, mean"]
    assert found["encoder, mean"]["2 expressions"].folds == (1.0,) * 5
    # Labels of the neighbours: the same images in the same order, the features know nothing.
    rng = np.random.default_rng(0)
    turned = iter(rng.permutation([row % 2 for row in range(48)]).tolist())
    edited(path, lambda rows: [row | {"expression": "ab"[next(turned)]} for row in rows])
    found = probed(path).encoder_scores("encoder", reader(bright["it"]), CPU)
    assert found["encoder, mean"]["2 expressions"].mean < 0.75


def test_plain_references_are_pixels_and_hog(tmp_path):
    found = probed(labelled_list(tmp_path)).plain_scores(32)
    assert list(found) == ["raw pixels", "HOG"]
    assert found["raw pixels"]["2 expressions"].mean > 0.95
    assert found["HOG"]["2 expressions"].mean < 0.8  # brightness has no direction


def test_the_order_of_the_list_hardly_matters(tmp_path):
    path = labelled_list(tmp_path)
    first = probed(path).plain_scores(32)["raw pixels"]
    edited(path, lambda rows: [rows[i] for i in np.random.default_rng(0).permutation(48)])
    again = probed(path).plain_scores(32)["raw pixels"]
    assert again["valence"].mean == pytest.approx(first["valence"].mean, abs=0.1)


def test_a_doubled_image_stays_with_its_person(tmp_path):
    path = labelled_list(tmp_path)
    edited(path, lambda rows: [row | {"subject": ""} for row in [*rows, *rows]])
    images = probed(path)
    assert images.summary() == "96 images of unknown subjects"
    for training, test in images._folds:
        assert not {int(row) % 48 for row in training} & {int(row) % 48 for row in test}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_features_that_are_no_numbers_are_refused(tmp_path, value):
    images = probed(labelled_list(tmp_path))
    broken = reader(lambda batch: {"mean": torch.full((len(batch), 3), value)})
    with pytest.raises(UserError, match="probe of encoder, mean: got features that are not finite"):
        images.encoder_scores("encoder", broken, CPU)


def test_other_labels_of_the_same_images_are_another_probe(tmp_path):
    path = labelled_list(tmp_path)
    before = probed(path).identity
    assert probed(path).identity == before
    edited(path, lambda rows: [row | {"subject": row["subject"][::-1]} for row in rows])
    assert probed(path).identity != before


def test_images_without_a_subject_are_said_to_be(tmp_path):
    path = labelled_list(tmp_path)
    assert probed(path).remarks() == []
    edited(path, lambda rows: [row | {"subject": ""} for row in rows[:3]] + rows[3:])
    assert probed(path).remarks()[0].startswith("3 images have no subject")


def test_an_image_under_two_subjects_is_refused(tmp_path):
    path = labelled_list(tmp_path)
    edited(path, lambda rows: [*rows, rows[0] | {"subject": "somebody else"}])
    with pytest.raises(UserError, match=r"listed with the subjects .* and 'somebody else'"):
        probed(path)
