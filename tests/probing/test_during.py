"""Probes while a run goes on: who is left out, what is written when, and that training is untouched."""

import csv
import json
from dataclasses import replace

import pytest
import torch
from labelled import labelled_list
from PIL import Image
from test_train import CONFIG as TINY

from pretrain.data.config import DataConfig, SourceConfig
from pretrain.data.opening import open_source
from pretrain.data.order import fingerprint, sample_ids, share_of
from pretrain.data.sources import Selection
from pretrain.data.synthetic import SyntheticConfig
from pretrain.engine.loop import LoopConfig
from pretrain.engine.optim import OptimConfig
from pretrain.engine.tracking import read_metrics
from pretrain.errors import UserError
from pretrain.models.vit import ViT, ViTShape
from pretrain.probing.config import RunProbeConfig
from pretrain.probing.during import RunProbe, separate
from pretrain.probing.images import ProbedImages
from pretrain.probing.report import read_records
from pretrain.train import pretrain

CPU = torch.device("cpu")
SHAPE = ViTShape(embed_dim=32, depth=1, num_heads=2, image_size=32, patch_size=8)


def only_numbers(path):
    """The list without its expressions: one task, whose scores move with every weight."""
    with path.open(newline="") as file:
        rows = [[row[0], row[1], row[3]] for row in csv.reader(file)]
    path.write_text("".join(",".join(row) + "\n" for row in rows))
    return path


@pytest.fixture
def faces(tmp_path):
    return only_numbers(labelled_list(tmp_path / "faces", each=10))


def probed(path, **options):
    return RunProbeConfig(source=str(path), **options)


def encoder(seed=0):
    torch.manual_seed(seed)
    return ViT(SHAPE, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)).eval()


# Keeping apart.


def test_images_of_probed_people_are_left_out(faces):
    (faces.parent / "more").mkdir()
    Image.new("RGB", (8, 8), "red").save(faces.parent / "more" / "0.png")
    Image.new("RGB", (8, 8), "blue").save(faces.parent / "more" / "1.png")
    source, images, remark = separate(
        open_source(SourceConfig(source=str(faces.parent))), probed(faces)
    )
    assert list(source.names) == ["more/0.png", "more/1.png"]
    assert source.image(1)[0, 0].tolist() == [0, 0, 255]
    assert len(images) == 80
    assert remark == "80 images of probed subjects are left out of pretraining, by name"


def test_a_list_of_pretraining_is_searched_for_people(faces):
    """Another image of a probed person, under another name, in a list that says whose it is."""
    other = faces.parent / "pretraining.csv"
    lines = faces.read_text().splitlines()
    Image.new("RGB", (8, 8)).save(faces.parent / "new.png")
    other.write_text("\n".join(["image,subject", "new.png,person 3", "s0/0.png,", "late.png,x"]))
    faces.write_text("\n".join([lines[0], *lines[11:]]) + "\n")  # person 0 is not probed
    source, _, remark = separate(open_source(SourceConfig(source=str(other))), probed(faces))
    assert list(source.names) == ["s0/0.png", "late.png"]
    assert remark.startswith("1 images")


def test_what_may_be_seen_is_marked(faces):
    config = probed(faces, exclude=False)
    source, _, remark = separate(open_source(SourceConfig(source=str(faces.parent))), config)
    assert len(source.names) == 80
    assert remark == "transductive: 80 images of probed subjects are in pretraining"


def test_strangers_are_kept_and_said_to_be(faces):
    data = SourceConfig(synthetic=SyntheticConfig(count=10, size=32))
    source, _, remark = separate(open_source(data), probed(faces))
    assert not isinstance(source, Selection)
    assert len(source.names) == 10
    assert remark == "no image of a probed subject is in pretraining, as names tell"


def test_nothing_left_to_pretrain_on_is_refused(faces):
    with pytest.raises(UserError) as caught:
        separate(open_source(SourceConfig(source=str(faces))), probed(faces))
    message = str(caught.value)
    assert "all 80 images of pretraining show probed subjects" in message
    assert "probe.subjects below 1, or probe.exclude false" in message
    assert "\n" not in message


def test_a_mixture_keeps_its_fractions_when_images_are_left_out(faces, tmp_path):
    labelled_list(tmp_path / "strangers", subjects=5)
    for folder in (tmp_path / "strangers").glob("s*"):
        folder.rename(folder.with_name(f"stranger {folder.name}"))
    weights = {str(tmp_path / "strangers"): 1.5, str(faces.parent): 0.5}
    data = SourceConfig(source="mixture", mixture=weights)
    source, _, remark = separate(open_source(data), probed(faces, subjects=0.6))
    people = ProbedImages(probed(faces, subjects=0.6)).people
    left = 80 - 10 * len(people)
    assert 5 <= len(people) < 8
    assert (
        remark
        == f"{10 * len(people)} images of probed subjects are left out of pretraining, by name"
    )
    assert len(source.names) == 30 + 30 + left
    assert source.partial == [(range(30, 60), 0.5), (range(60, 60 + left), 0.5)]
    gone = {f"1/s{name.split()[1]}" for name in people}
    assert not gone & {name.rpartition("/")[0] for name in source.names}
    assert share_of(*source.partial[1]) == left // 2


# A probe of a run.


@pytest.fixture
def probe(faces, tmp_path):
    made = RunProbe(ProbedImages(probed(faces)), "how they are related", seed=0)
    made.start(tmp_path / "run", 0, 32)
    return made


def test_a_probe_leaves_a_record_a_table_and_a_plot(probe, tmp_path):
    text = probe(encoder(), 4, 0.5, CPU)
    folder = tmp_path / "run"
    assert {path.name for path in folder.iterdir()} == {"probe.jsonl", "probe.txt", "pictures"}
    assert (folder / "probe.txt").read_text() == f"{text}\n"
    lines = text.splitlines()
    assert lines[0] == "Probe at epoch 0.5 on 80 images of 8 subjects"
    assert "how they are related" in lines
    assert [line.split("  ")[0] for line in lines[5:11]] == [
        "encoder, mean",
        "encoder, map",
        "untrained, mean",
        "untrained, map",
        "raw pixels",
        "HOG",
    ]
    with Image.open(folder / "pictures" / "probe.png") as picture:
        picture.load()
        assert picture.width > picture.height * 0.8 > 300


def test_a_step_is_probed_once(probe, tmp_path):
    first = probe(encoder(1), 4, 0.5, CPU)
    assert probe(encoder(2), 4, 0.5, CPU) == first
    assert len(read_records(tmp_path / "run")) == 1
    second = probe(encoder(2), 8, 1.0, CPU)
    assert second != first
    one, two = read_records(tmp_path / "run")
    assert (one["step"], two["step"], two["epoch"]) == (4, 8, 1.0)
    for row in ("encoder, mean", "encoder, map"):
        assert one["scores"][row] != two["scores"][row]
    for row in ("untrained, mean", "untrained, map", "raw pixels", "HOG"):
        assert one["scores"][row] == two["scores"][row]


def test_a_resumed_run_drops_later_probes_and_finds_the_same(probe, faces, tmp_path):
    folder = tmp_path / "run"
    for step in (2, 4, 6):
        probe(encoder(step), step, step / 8, CPU)
    whole = (folder / "probe.jsonl").read_bytes()
    again = RunProbe(ProbedImages(probed(faces)), "how they are related", seed=0)
    again.start(folder, 4, 32)
    assert [entry["step"] for entry in read_records(folder)] == [2, 4]
    again(encoder(6), 6, 6 / 8, CPU)
    assert (folder / "probe.jsonl").read_bytes() == whole


def test_a_run_that_goes_on_with_another_probe_keeps_both(probe, faces, tmp_path):
    folder = tmp_path / "run"
    probe(encoder(), 4, 0.5, CPU)
    lines = faces.read_text().splitlines()
    faces.write_text("\n".join(lines[:-3]) + "\n")
    other = RunProbe(ProbedImages(probed(faces)), "", seed=0)
    other.start(folder, 4, 32)
    assert "77 images of 8 subjects" in other(encoder(), 4, 0.5, CPU)
    kinds = [entry["images"].split("-")[0] for entry in read_records(folder)]
    assert kinds == ["80", "77"]


def test_an_unreadable_image_is_refused_at_the_start(faces, tmp_path):
    (faces.parent / "s2" / "1.png").write_bytes(b"")
    late = RunProbe(ProbedImages(probed(faces)), "", seed=0)
    with pytest.raises(UserError, match=r"s2/1\.png: empty file"):
        late.start(tmp_path / "run", 0, 32)


# A whole run.

CONFIG = replace(TINY, data=DataConfig(synthetic=SyntheticConfig(count=32, size=32), workers=0))


def test_a_run_is_the_same_with_and_without_a_probe_and_after_an_interruption(faces, tmp_path):
    config = replace(CONFIG, probe=probed(faces, every_epochs=0.5))
    with_it, without = tmp_path / "with", tmp_path / "without"
    assert pretrain(replace(config, output_dir=str(with_it)))
    assert pretrain(replace(CONFIG, output_dir=str(without)))
    for a, b in zip(read_metrics(with_it), read_metrics(without), strict=True):
        assert (a["step"], a["loss"], a["grad_norm"]) == (b["step"], b["loss"], b["grad_norm"])
    whole = (with_it / "mae.safetensors").read_bytes()
    assert whole == (without / "mae.safetensors").read_bytes()
    for name in ("probe.jsonl", "probe.txt", "pictures/probe.png"):
        assert (with_it / name).stat().st_size > 100
        assert not (without / name).exists()
    records = (with_it / "probe.jsonl").read_bytes()
    entries = read_records(with_it)
    assert [(entry["step"], entry["epoch"]) for entry in entries] == [
        *((1, 0.5), (2, 1.0), (3, 1.5), (4, 2.0))
    ]
    moved = [entry["scores"]["encoder, map"] for entry in entries]
    assert any(scores != moved[0] for scores in moved)
    # Killed after the third step, and the last whole checkpoint was that of the second.
    last = with_it / "checkpoints" / "step-00000004"
    for path in sorted(last.iterdir()):
        path.unlink()
    last.rmdir()
    assert pretrain(replace(config, output_dir=str(with_it), resume="auto"))
    assert (with_it / "mae.safetensors").read_bytes() == whole
    assert (with_it / "probe.jsonl").read_bytes() == records


def test_images_of_probed_people_are_not_among_those_of_the_run(faces, tmp_path):
    data = DataConfig(source=str(faces.parent), workers=0)
    short = LoopConfig(epochs=1, global_batch_size=4)
    optim = OptimConfig(warmup_epochs=0)
    probe = probed(faces, subjects=0.6)
    run = tmp_path / "run"
    config = replace(CONFIG, data=data, training=short, optim=optim, probe=probe)
    assert pretrain(replace(config, output_dir=str(run)))
    people = ProbedImages(probe).people
    left = [f"s{n}/{m}.png" for n in range(8) if f"person {n}" not in people for m in range(10)]
    assert 0 < len(left) < 40
    start = json.loads((run / "run.json").read_text())["starts"][0]
    assert start["images"] == len(left)
    assert start["defining"]["images"] == fingerprint(sample_ids(left))
    assert "are left out of pretraining" in (run / "probe.txt").read_text()
    assert [entry["step"] for entry in read_records(run)] == [start["steps"]]


def test_what_is_handed_on_is_probed_at_the_end(faces, tmp_path):
    """Averaged weights replace the model's own after the last step."""
    averaged = replace(CONFIG, optim=replace(CONFIG.optim, ema_decay=0.9))
    for name, interval in (("often", 0.5), ("end", None)):
        config = replace(averaged, probe=probed(faces, every_epochs=interval))
        assert pretrain(replace(config, output_dir=str(tmp_path / name)))
    often, end = (read_records(tmp_path / name) for name in ("often", "end"))
    assert [entry["step"] for entry in often] == [1, 2, 3, 4]
    assert often[-1] == end[-1]


def test_a_source_without_names_is_not_called_free_of_probed_people(faces, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = sorted(faces.parent.rglob("*.png"))
    table = pa.table({"image": [file.read_bytes() for file in files]})
    pq.write_table(table, tmp_path / "nameless.parquet")
    data = SourceConfig(source=str(tmp_path / "nameless.parquet"))
    source, _, remark = separate(open_source(data), probed(faces))
    assert len(source.names) == len(files)
    assert "unknown" in remark
