"""The probing program: the table, what it says of pretraining, and refusals."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from labelled import labelled_list
from programs import run
from safetensors.torch import save_file

from pretrain.data.config import DataConfig
from pretrain.engine.checkpoint import CheckpointConfig
from pretrain.engine.launching import RuntimeConfig
from pretrain.engine.loop import LoopConfig
from pretrain.engine.optim import OptimConfig
from pretrain.engine.tracking import LogConfig
from pretrain.models.mae import DecoderConfig, MAEConfig
from pretrain.probe import _pretraining_saw, main
from pretrain.probing.config import RunProbeConfig
from pretrain.train import PretrainConfig, pretrain


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A list and two runs: ``apart`` left probed people out, ``all`` saw everyone."""
    folder = tmp_path_factory.mktemp("probe")
    source = labelled_list(folder / "faces", each=10)
    config = PretrainConfig(
        pictures=2,
        output_dir=str(folder / "all"),
        model=MAEConfig(
            size="tiny",
            image_size=32,
            patch_size=16,
            decoder=DecoderConfig(embed_dim=32, depth=1, num_heads=2),
        ),
        data=DataConfig(source=str(source.parent), workers=0),
        training=LoopConfig(epochs=1, global_batch_size=4),
        optim=OptimConfig(warmup_epochs=0),
        checkpoint=CheckpointConfig(every_steps=100),
        log=LogConfig(every_steps=100, trackers=()),
        runtime=RuntimeConfig(threads=1),
    )
    assert pretrain(config)
    apart = RunProbeConfig(source=str(source), subjects=0.6)
    assert pretrain(replace(config, output_dir=str(folder / "apart"), probe=apart))
    return folder


def said(capsys, monkeypatch, *arguments):
    """Exit code, stdout and stderr of the program, without starting a process."""
    monkeypatch.setattr(sys, "argv", ["probe", *map(str, arguments)])
    code = main()
    output, errors = capsys.readouterr()
    return code, output, errors


def test_the_program_prints_a_table_and_writes_it(place, tmp_path, capsys, monkeypatch):
    source = ("--source", place / "faces/list.csv", "--subjects", "0.6")
    arguments = ("--encoder", place / "apart", *source, "--out", tmp_path / "new" / "results")
    code, output, errors = said(capsys, monkeypatch, *arguments)
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert lines[0].startswith(f"{place / 'apart'} on ")
    assert [line.split("  ")[0] for line in lines[5:11]] == [
        *("encoder, mean", "encoder, map", "untrained, mean", "untrained, map"),
        *("raw pixels", "HOG"),
    ]
    assert lines[2].split() == ["2", "expressions", "valence"]
    assert "pretraining saw no image of the probed subjects, as names tell" in lines
    results = tmp_path / "new" / "results"
    assert (results / "probe.txt").read_text() == output
    (line,) = (results / "probe.jsonl").read_text().splitlines()
    assert len(json.loads(line)["scores"]["HOG"]["valence"]) == 5
    assert {path.name for path in results.iterdir()} == {"probe.txt", "probe.jsonl"}


def test_a_bad_option_is_one_line_and_a_non_zero_exit():
    code, output, errors = run("-m", "pretrain.probe", "--encodr", "x")
    assert (code, output) == (2, "")
    assert errors == "error: --encodr: unknown key, expected perhaps 'encoder'\n"


def test_a_run_that_saw_the_images_is_transductive(place, capsys, monkeypatch):
    source = ("--source", place / "faces/list.csv", "--contrast", "null")
    code, output, _ = said(capsys, monkeypatch, "--encoder", place / "all/encoder", *source)
    assert code == 0
    assert "transductive: pretraining saw 80 images of the probed subjects, by name" in output
    # Others than those whom the run left out are probed: it saw those who were left.
    start = json.loads((place / "apart/run.json").read_text())["starts"][0]
    code, output, _ = said(capsys, monkeypatch, "--encoder", place / "apart", *source)
    assert code == 0
    assert 0 < start["images"] < 40
    assert f"transductive: pretraining saw {start['images']} images" in output


def test_what_a_run_started_from_is_not_known(place, tmp_path, capsys, monkeypatch):
    """A copy of a run that says that it started from other weights."""
    copy = tmp_path / "copy"
    (copy / "encoder").mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (copy / "encoder" / name).write_bytes((place / "apart/encoder" / name).read_bytes())
    text = (place / "apart/config.yaml").read_text()
    (copy / "config.yaml").write_text(text.replace("init_from: null", "init_from: before.pth"))
    arguments = ("--source", place / "faces/list.csv", "--subjects", "0.6")
    code, output, _ = said(capsys, monkeypatch, "--encoder", copy / "encoder", *arguments)
    assert code == 0
    assert "as names tell; what before.pth had seen is unknown" in output


def test_a_run_whose_images_are_gone_is_not_known(place, tmp_path, capsys, monkeypatch):
    copy = tmp_path / "copy"
    (copy / "encoder").mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (copy / "encoder" / name).write_bytes((place / "all/encoder" / name).read_bytes())
    text = (place / "all/config.yaml").read_text()
    (copy / "config.yaml").write_text(text.replace(str(place / "faces"), "/no/such/folder"))
    arguments = ("--source", place / "faces/list.csv", "--subjects", "0.8")
    code, output, _ = said(capsys, monkeypatch, "--encoder", copy / "encoder", *arguments)
    assert code == 0
    assert "is unknown: /no/such/folder: no such folder" in output


def test_of_a_foreign_encoder_it_is_not_known(place, tmp_path, capsys, monkeypatch):
    """A CNN of timm, which takes images of another size than the list has."""
    folder = tmp_path / "cnn"
    folder.mkdir()
    cfg = {"input_size": [3, 48, 48], "mean": [0.5] * 3, "std": [0.2] * 3, "num_classes": 0}
    config = {"architecture": "test_resnet", "num_classes": 0, "pretrained_cfg": cfg}
    (folder / "config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    weights = timm.create_model("test_resnet", num_classes=0).state_dict()
    save_file(weights, folder / "model.safetensors")
    source = ("--source", place / "faces/list.csv", "--subjects", "0.8")
    code, output, _ = said(capsys, monkeypatch, "--encoder", folder, *source)
    assert code == 0
    assert "whether pretraining saw these images is unknown here" in output
    assert [line.split("  ")[0] for line in output.splitlines()[5:9]] == [
        *("encoder, pooled", "untrained, pooled", "raw pixels", "HOG")
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "encoder '', expected a folder, file or timm name"),
        (("--encoder", "/no/such/run"), "/no/such/run"),
        (("--encoder", "no_such_model"), "no_such_model"),
        (("--encoder", "ALL", "--source", "null"), "probe source None: expected synthetic"),
        (("--encoder", "ALL", "--source", "/no/such.csv"), "/no/such.csv"),
        (("--encoder", "ALL", "--seed", "-1"), "seed -1, expected at least 0"),
        (("--encoder", "ALL", "--subjects", "0"), "subjects 0"),
        (("--encoder", "ALL", "--subjects", "nan"), "subjects"),
        (("--encoder", "ALL", "--contrast", "a"), "contrast 'a', expected two expressions"),
        (("--encoder", "ALL", "--images", "many"), "images"),
        (("--encoder", "ALL", "--out", "ALL/run.json"), "run.json: File exists, expected a folder"),
        (("--encoder", "ALL/checkpoints"), "checkpoints: no config.json"),
    ],
)
def test_bad_options_are_one_line(place, capsys, monkeypatch, arguments, message):
    arguments = [argument.replace("ALL", str(place / "all")) for argument in arguments]
    code, output, errors = said(capsys, monkeypatch, *arguments)
    assert (code, output) == (2, "")
    assert errors.startswith("error: ")
    assert message in errors
    assert errors.count("\n") == 1


def test_a_name_says_nothing_of_the_folder_we_are_in(place, monkeypatch):
    monkeypatch.chdir(place / "all")
    assert Path("config.yaml").is_file()
    assert "unknown here" in _pretraining_saw("resnet10t", None)


def test_drawn_faces_need_no_list(place, capsys, monkeypatch):
    few = ("--synthetic.count", "60", "--synthetic.size", "32", "--synthetic.subjects", "10")
    code, output, _ = said(capsys, monkeypatch, "--encoder", place / "all", *few)
    assert code == 0
    assert "on 60 drawn faces of 10 subjects" in output
    assert "pretraining saw no image" in output
