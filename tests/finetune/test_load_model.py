"""Models and files: own round trips, released layouts, and refusal of everything else."""

import json
import os
import pickle
import re
import subprocess
import sys
import zipfile
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import released_layouts as layouts
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

import finetune
from finetune.labels import EXPRESSION_SPACES, LabelError
from finetune.load import load_model
from finetune.loading.notes import ModelNotes
from finetune.models.cnn import TimmCNNConfig
from finetune.models.cotex import CoTEX, CoTEXConfig
from finetune.models.dan import DAN, DANConfig
from finetune.models.emma import EMMA, PRESETS
from finetune.save import save_model
from pretrain.files import WriteError
from pretrain.weights import LoadError

TINY = {"width": 192, "depth": 12, "grid": 4, "patch": 8}
SIZE = {"size": "tiny", "image_size": 32, "patch_size": 8}
CNN = TimmCNNConfig(name="resnet10t", expressions="rafdb_7", mean=(0.5, 0.4, 0.3))
CONFIGS = {
    "emma": replace(PRESETS["default"], **SIZE, cnn=CNN, mean=(0.5, 0.4, 0.3)),
    "emma without a cnn": replace(
        PRESETS["paper"],
        **SIZE,
        cnn=None,
        expressions="Fear,Anger",
        action_units="AU25,AU1",
        va_parameters=99,
    ),
    "emma with dan": replace(PRESETS["paper"], **SIZE),
    "cotex": CoTEXConfig(**SIZE, views=3, combine="sum", norm_eps=1e-3),
    "dan": DANConfig(expressions="ferplus_8"),
    "timm": CNN,
}


def build(config):
    """A model whose every parameter and statistic differs from its initial value."""
    torch.manual_seed(0)
    model = config.build()
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.dtype.is_floating_point:
                value.add_(torch.rand_like(value) * 0.02)
    return model.eval()


def draw(side=32, batch=2):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8, generator=generator)


def answers(model, side=32):
    with torch.no_grad():
        found = model(draw(side))
    return {name: value for name, value in vars(found).items() if value is not None}


def assert_same_answers(model, other):
    found, expected = answers(model), answers(other)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def refusal(path, error=LoadError, **options):
    """The message of a refusal: one line that names the path."""
    with pytest.raises(error) as caught:
        load_model(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


# Our own folders.


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_saved_model_comes_back_with_its_config_spaces_and_identical_answers(tmp_path, kind):
    model = build(CONFIGS[kind])
    save_model(model, tmp_path / "model")
    loaded, labels, report = load_model(tmp_path / "model")
    assert type(loaded) is type(model)
    assert loaded.config == model.config
    assert loaded.labels == labels == model.labels
    assert not loaded.training
    assert report.loaded == len(model.state_dict())
    assert (report.missing, report.unexpected, report.resized) == ([], [], [])
    assert report.notes == ModelNotes()
    assert_same_answers(loaded, model)


NOTES = ModelNotes(
    thresholds={"AU25": 0.25, "AU1": 0.5},
    expression_weights={"Fear": 2.0, "Anger": 0.5},
    action_unit_weights={"AU25": 1.5, "AU1": 19.75},
    trained_on=("synthetic", "lsd"),
    training_groups=("video:a", "subject:b"),
)


@pytest.fixture
def saved(tmp_path):
    model = build(CONFIGS["emma without a cnn"])
    save_model(model, tmp_path / "run" / "model", NOTES)
    (tmp_path / "run" / "run.json").write_text("{}")
    return tmp_path / "run"


@pytest.mark.parametrize("part", ["", "model", "model/model.safetensors"])
def test_every_door_to_a_run_leads_to_the_same_model(saved, part):
    loaded, _, report = load_model(saved / part)
    assert report.notes == NOTES
    assert_same_answers(loaded, build(CONFIGS["emma without a cnn"]))


def test_the_config_says_in_plain_words_what_the_columns_are(saved):
    said = json.loads((saved / "model" / "config.json").read_text())
    assert said["class"] == "EMMA"
    assert said["label_spaces"] == {
        "expressions": {"name": "Fear,Anger", "classes": ["Fear", "Anger"]},
        "action_units": {"name": "AU25,AU1", "units": [25, 1]},
        "valence_arousal": True,
    }
    assert said["normalisation"]["mean"] == [0.485, 0.456, 0.406]
    assert said["notes"]["thresholds"] == {"AU25": 0.25, "AU1": 0.5}


def test_saving_replaces_an_older_model_and_leaves_nothing_beside_it(saved):
    other = build(CONFIGS["timm"])
    save_model(other, saved / "model")
    assert sorted(os.listdir(saved)) == ["model", "run.json"]
    assert sorted(os.listdir(saved / "model")) == ["config.json", "model.safetensors"]
    assert_same_answers(load_model(saved)[0], other)


def test_a_disk_that_fails_at_the_last_moment_leaves_the_older_model(saved, monkeypatch):
    rename = Path.rename

    def failing(self, target):
        if self.name.endswith(".new"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(WriteError, match=r"run/model: cannot write: .*No space left"):
        save_model(build(CONFIGS["timm"]), saved / "model")
    assert sorted(os.listdir(saved)) == ["model", "run.json"]
    assert_same_answers(load_model(saved)[0], build(CONFIGS["emma without a cnn"]))


def test_a_folder_that_holds_something_else_is_not_replaced(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "thesis.tex").write_text("years of work")
    with pytest.raises(WriteError, match="holds something else"):
        save_model(build(CONFIGS["timm"]), tmp_path / "model")
    assert os.listdir(tmp_path) == ["model"]
    assert os.listdir(tmp_path / "model") == ["thesis.tex"]


def test_what_cannot_be_written_is_refused_by_path_and_leaves_the_older_model(saved):
    (saved / "file").write_text("")
    with pytest.raises(WriteError, match=r"file/model: cannot write"):
        save_model(build(CONFIGS["timm"]), saved / "file" / "model")
    (saved / f".model.{os.getpid()}.new").write_text("in the way")
    with pytest.raises(WriteError, match=r"run/model: cannot write"):
        save_model(build(CONFIGS["timm"]), saved / "model")
    assert_same_answers(load_model(saved)[0], build(CONFIGS["emma without a cnn"]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"thresholds": {"AU25": 0.5}}, "thresholds of AU25, expected of AU25, AU1"),
        ({"thresholds": {"AU25": 0.5, "AU1": 1.5}}, "thresholds of AU1 1.5, expected a number in"),
        ({"expression_weights": {"Fear": 1.0, "Joy": 1.0}}, "expression_weights of Fear, Joy"),
        ({"action_unit_weights": {"AU25": -1.0, "AU1": 1.0}}, "expected a number 0 or more"),
        ({"action_unit_weights": {"AU25": float("nan"), "AU1": 1.0}}, "expected a number 0 or"),
    ],
)
def test_notes_of_other_names_are_neither_written_nor_read(saved, changes, words):
    model, notes = build(CONFIGS["emma without a cnn"]), replace(NOTES, **changes)
    with pytest.raises(WriteError, match=re.escape(words)):
        save_model(model, saved / "model", notes)
    edit(saved, lambda said: said["notes"].update(changes))
    assert words in refusal(saved / "model")


def test_a_run_or_folder_without_a_model_is_refused(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    assert "holds no config.json" in refusal(tmp_path)
    assert "no such file or folder" in refusal(tmp_path / "nowhere")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    assert "holds no model.safetensors" in refusal(tmp_path)


def edit(run, change):
    file = run / "model" / "config.json"
    said = json.loads(file.read_text())
    change(said)
    file.write_text(json.dumps(said))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda said: said.update({"class": "FaceNet"}), "class 'FaceNet', expected one of EMMA"),
        (lambda said: said.update({"class": "DAN"}), "config.json: "),
        (lambda said: said.update({"form": "2"}), "form '2', expected 'faceprior model 1'"),
        (lambda said: said.update({"extra": 1}), "extra, expected class"),
        (lambda said: said.pop("label_spaces"), "label_spaces, expected class"),
        (lambda said: said["config"].update({"size": "small"}), "has shape [192], expected [384]"),
        (lambda said: said["config"].update({"size": "odd"}), "size 'odd'"),
        (lambda said: said["config"].update({"image_size": "32"}), "image_size '32'"),
        (lambda said: said["config"].update({"image_size": 32.0}), "image_size 32.0"),
        (lambda said: said["config"].update({"future": 1}), "future"),
        (lambda said: said["config"].pop("scores"), "no key 'scores'"),
        (lambda said: said["config"].update({"va_parameters": "9"}), "va_parameters '9'"),
        (lambda said: said["config"].update({"cnn": "dan"}), "cnn 'dan'"),
        (lambda said: said["config"].update({"cnn": {"class": "X", "config": {}}}), "class 'X'"),
        (lambda said: said["config"].update({"expressions": "Anger,Fear"}), "label spaces"),
        (lambda said: said["config"].update({"image_size": 64}), "positions of another grid"),
        (lambda said: said["config"].update({"mean": [0.1, 0.2, 0.3]}), "normalisation mean"),
        (lambda said: said["label_spaces"]["expressions"]["classes"].reverse(), "(Anger, Fear)"),
        (lambda said: said["label_spaces"]["action_units"]["units"].reverse(), "(AU1, AU25)"),
        (lambda said: said["label_spaces"].update({"valence_arousal": False}), "label spaces"),
        (lambda said: said["notes"].update({"trained_on": "lsd"}), "a list of texts"),
        (lambda said: said["notes"].update({"thresholds": [0.5]}), "thresholds"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(saved, change, words):
    edit(saved, change)
    message = refusal(saved / "model")
    assert words in message


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 100_000])
def test_a_config_that_is_no_object_is_refused(saved, text):
    (saved / "model" / "config.json").write_text(text)
    assert "config.json" in refusal(saved / "model")


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("va_head.2.bias", None, "1 tensors are missing: va_head.2.bias"),
        ("cnn.fc.weight", torch.zeros(1), "1 tensors have no place: cnn.fc.weight"),
        ("head.2.bias", torch.zeros(20), "'head.2.bias' has shape [20], expected [4]"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(saved, name, change, words):
    file = saved / "model" / "model.safetensors"
    tensors = {**load_file(file), name: change}
    save_file({n: v for n, v in tensors.items() if v is not None}, file)
    assert words in refusal(saved / "model")


def test_damaged_weights_are_refused(saved):
    file = saved / "model" / "model.safetensors"
    for content in (b"", b"hello", file.read_bytes()[:-9]):
        file.write_bytes(content)
        assert "model.safetensors: not a readable checkpoint" in refusal(saved / "model")


@pytest.mark.parametrize("may_miss", ["va_head.", ["va_head."]])
def test_a_part_that_may_miss_is_left_out_whole_and_named(saved, may_miss):
    file = saved / "model" / "model.safetensors"
    tensors = load_file(file)
    del tensors["va_head.2.bias"]
    save_file(tensors, file)
    loaded, _, report = load_model(saved, may_miss=may_miss)
    expected = [f"va_head.{layer}.{part}" for layer in (0, 2) for part in ("bias", "weight")]
    assert report.missing == expected
    assert report.loaded == len(tensors) - 3
    assert not torch.equal(loaded.va_head[0].weight, tensors["va_head.0.weight"])
    assert torch.equal(loaded.head[0].weight, tensors["head.0.weight"])


def test_the_label_space_that_is_asked_for_has_to_be_the_models(saved):
    load_model(saved, expressions="Fear,Anger", action_units="AU25,AU1")
    assert "expressions" in refusal(saved / "model", expressions="Anger,Fear")
    message = refusal(saved / "model", action_units="AU1,AU25")
    assert "AU25,AU1" in message
    with pytest.raises(LabelError):
        load_model(saved, expressions="lsd_66")


@pytest.mark.parametrize("side", [64, 16])
def test_another_image_size_is_interpolated_when_asked(saved, side):
    loaded, _, report = load_model(saved, image_size=side)
    assert report.resized == ["encoder.pos_embed"]
    assert loaded.config.image_size == side
    own = load_file(saved / "model" / "model.safetensors")["encoder.pos_embed"]
    square = own[:, 1:].unflatten(1, (4, 4)).permute(0, 3, 1, 2)
    square = F.interpolate(square, (side // 8, side // 8), mode="bicubic", antialias=True)
    torch.testing.assert_close(loaded.encoder.pos_embed[:, 1:], square.flatten(2).transpose(1, 2))
    assert answers(loaded, side)["valence_arousal"].shape == (2, 2)


def test_an_image_size_that_cannot_be_is_refused(tmp_path, saved):
    assert "patch_size 8 does not divide image_size 60" in refusal(saved / "model", image_size=60)
    save_model(build(CONFIGS["emma with dan"]), tmp_path / "with_dan")
    assert "multiple of 32 for DAN" in refusal(tmp_path / "with_dan", image_size=48)


# Released layouts.


def dan_checkpoint(tensors, prefix=""):
    weight = torch.nn.Parameter(torch.zeros(2))
    weight.grad = torch.ones(2)
    optimiser = torch.optim.Adam([weight])
    optimiser.step()
    return {
        "iter": 5,
        "model_state_dict": OrderedDict((prefix + name, v) for name, v in tensors.items()),
        "optimizer_state_dict": optimiser.state_dict(),
    }


def cotex_checkpoint(views, prefix=""):
    return {
        "epoch": 5,
        "args": {"lr": 5e-4, "folds": [0, 1], "resume": None},
        "train_acc": 0.5,
        "train_mean_f1": 0.5,
        "train_loss": 1.25,
        "val_folders": ["a", "b"],
        "val_acc": [np.float64(0.5), np.float32(0.25), np.int64(3)],
        "val_mean_f1": [np.float64(0.25)],
        "val_f1_arr": [[np.float64(0.5)]],
        "state_dicts": [{prefix + name: v for name, v in view.items()} for view in views],
    }


def by_published_names(model):
    """Tensors of ours under the published names, by a table of pairs, not by our renaming."""
    pairs = [("encoder.", "vit."), ("head.", "vit.head.")]
    dan = [("trunk.conv1.", "features.0."), ("trunk.bn1.", "features.1.")]
    dan += [(f"trunk.layer{n}.", f"features.{n + 3}.") for n in range(1, 5)]
    for h in range(4):
        ours, theirs = f"heads.{h}.", f"cat_head{h}."
        dan += [
            (ours + "spatial.reduce.", theirs + "sa.conv1x1."),
            (ours + "spatial.square.", theirs + "sa.conv_3x3."),
            (ours + "spatial.row.", theirs + "sa.conv_1x3."),
            (ours + "spatial.column.", theirs + "sa.conv_3x1."),
            (ours + "channel.gate.", theirs + "ca.attention."),
        ]
    dan += [("classifier.", "fc."), ("norm.", "bn.")]
    pairs = dan if isinstance(model, DAN) else [*pairs, *((f"cnn.{o}", f"cnn.{t}") for o, t in dan)]
    found = {}
    for name, value in model.state_dict().items():
        ours, theirs = next(pair for pair in [*pairs, ("", "")] if name.startswith(pair[0]))
        found[theirs + name.removeprefix(ours)] = value
    return found


def assert_placed(found, tensors):
    assert found.keys() == tensors.keys()
    for name, value in tensors.items():
        assert torch.equal(found[name], value), name


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_released_dan_is_placed_whole(tmp_path, prefix):
    tensors, file = layouts.filled(layouts.dan()), tmp_path / "affecnet8_epoch5_acc0.6209.pth"
    torch.save(dan_checkpoint(tensors, prefix), file)
    model, labels, report = load_model(file)
    assert isinstance(model, DAN)
    assert_placed(by_published_names(model), tensors)
    assert report.loaded == 275
    assert (report.missing, report.unexpected, report.resized) == ([], [], [])
    assert report.notes == ModelNotes()
    assert labels.expressions == EXPRESSION_SPACES["affectnet_8"]
    assert model.config.mean == (0.485, 0.456, 0.406)
    assert not model.training


def test_a_released_dan_of_seven_classes_wants_to_know_their_order(tmp_path):
    file = tmp_path / "dan.pth"
    torch.save(dan_checkpoint(layouts.constant(layouts.dan(classes=7))), file)
    message = refusal(file)
    assert "7 expressions, expected 8 (affectnet_8); say 'expressions'" in message
    assert load_model(file, expressions="rafdb_7")[1].expressions.classes[0] == "Surprise"
    assert "7 expressions, expected 6 (lsd_6)" in refusal(file, expressions="lsd_6")
    assert "DAN knows none" in refusal(file, expressions="rafdb_7", action_units="disfa_8")


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_released_emma_is_placed_whole(tmp_path, prefix):
    tensors, file = layouts.filled(layouts.emma(**TINY)), tmp_path / "emma.pth"
    torch.save({"epoch": 29, "model": {prefix + n: v for n, v in tensors.items()}}, file)
    model, labels, report = load_model(file)
    assert isinstance(model, EMMA)
    assert_placed(by_published_names(model), tensors)
    assert report.loaded == 433
    assert (report.missing, report.unexpected, report.resized) == ([], [], [])
    assert model.config == replace(PRESETS["paper"], **SIZE)
    assert labels.expressions.name == "aff_wild2_8"
    assert labels.action_units.name == "aff_wild2_12"
    assert labels.valence_arousal
    assert model.cnn.labels.expressions.name == "affectnet_8"
    assert not any(parameter.requires_grad for parameter in model.cnn.parameters())
    assert answers(model)["valence_arousal"].shape == (2, 2)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_released_cotex_is_placed_view_by_view(tmp_path, prefix):
    views = [layouts.filled(layouts.cotex(**TINY), seed) for seed in range(3)]
    torch.save(cotex_checkpoint(views, prefix), tmp_path / "cotex.pth")
    model, labels, report = load_model(tmp_path / "cotex.pth")
    assert isinstance(model, CoTEX)
    assert report.loaded == 3 * len(views[0])
    assert (report.missing, report.unexpected, report.resized) == ([], [], [])
    for view, tensors in zip(model.views, views, strict=True):
        assert_placed(by_published_names(view), tensors)
    assert labels.expressions.name == "lsd_6"
    assert model.config.combine == "sum"


def test_scalars_in_files_of_an_older_numpy_are_read(tmp_path):
    file = tmp_path / "cotex.pth"
    torch.save(cotex_checkpoint([layouts.constant(layouts.cotex(**TINY))]), file)
    with zipfile.ZipFile(file) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    newer, older = b"numpy._core.multiarray", b"numpy.core.multiarray"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in records.items():
            is_pickle = name.endswith("data.pkl")
            archive.writestr(name, content.replace(newer, older) if is_pickle else content)
    assert older in file.read_bytes()
    assert load_model(file)[2].loaded == 152


def test_a_released_file_can_be_given_another_image_size(tmp_path):
    file = tmp_path / "emma.pth"
    torch.save({"model": layouts.filled(layouts.emma(**TINY))}, file)
    model, _, report = load_model(file, image_size=64)
    assert report.resized == ["encoder.pos_embed"]
    assert answers(model, 64)["expression_logits"].shape == (2, 8)


def test_a_released_emma_can_be_told_another_order(tmp_path):
    file = tmp_path / "emma.pth"
    torch.save({"model": layouts.constant(layouts.emma(**TINY))}, file)
    _, labels, _ = load_model(file, expressions="affectnet_8", action_units="bp4d_12")
    assert (labels.expressions.name, labels.action_units.name) == ("affectnet_8", "bp4d_12")
    message = refusal(file, expressions="lsd_6")
    assert "20 outputs, expected 6 expressions (lsd_6) and 12 action units" in message
    assert "8 expressions (aff_wild2_8) and 8 action units" in refusal(file, action_units="disfa_8")


def test_a_saved_released_model_is_one_of_ours(tmp_path):
    torch.save({"model": layouts.filled(layouts.emma(**TINY))}, tmp_path / "emma.pth")
    model, _, _ = load_model(tmp_path / "emma.pth")
    save_model(model, tmp_path / "model")
    assert_same_answers(load_model(tmp_path / "model")[0], model)


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("vit.blocks.7.attn.qkv.bias", None, "missing: encoder.blocks.7.attn.qkv.bias"),
        ("cnn.cat_head3.sa.conv_1x3.0.bias", None, "missing: cnn.heads.3.spatial.row.0.bias"),
        ("vit.fc_norm.weight", (192,), "no place: encoder.fc_norm.weight"),
        ("cnn.cat_head4.sa.conv1x1.0.bias", (256,), "no place: cnn.heads.4.spatial"),
        ("va_head.0.weight", (256, 20), "'va_head.0.weight' has shape [256, 20], expected"),
        ("va_head.0.weight", (256,), "'va_head.0.weight' is [256], expected a matrix"),
        ("cnn.fc.weight", (7, 512), "7 expressions, expected 8 (affectnet_8)"),
        ("vit.head.2.weight", (21, 512), "21 outputs, expected 8 expressions (aff_wild2_8) and"),
        ("vit.head.2.weight", None, "'head.2.weight' is nothing, expected a matrix"),
        ("vit.pos_embed", None, "no tensor 'pos_embed'"),
        ("vit.pos_embed", (1, 16, 192), "16 positions, expected a class token and a square grid"),
        ("vit.cls_token", (1, 1, 200), "width 200 and depth 12, expected one of tiny"),
    ],
)
def test_a_released_emma_that_does_not_fit_is_refused_by_name(tmp_path, name, shape, words):
    shapes = layouts.emma(**TINY)
    shapes.pop(name, None)
    tensors = layouts.constant(shapes | ({} if shape is None else {name: shape}))
    torch.save({"model": tensors}, tmp_path / "emma.pth")
    assert words in refusal(tmp_path / "emma.pth")


def test_an_emma_whose_images_its_cnn_cannot_take_is_refused(tmp_path):
    torch.save({"model": layouts.constant(layouts.emma(**TINY | {"grid": 5}))}, tmp_path / "e.pth")
    assert "image_size 40, expected a multiple of 32 for DAN" in refusal(tmp_path / "e.pth")


def test_views_of_different_sizes_are_refused(tmp_path):
    views = [layouts.constant(layouts.cotex(**TINY | {"grid": grid})) for grid in (4, 4)]
    views[1]["vit.norm.weight"] = torch.zeros(384)
    torch.save(cotex_checkpoint(views), tmp_path / "cotex.pth")
    assert "'views.1.encoder.norm.weight' has shape [384]" in refusal(tmp_path / "cotex.pth")
    views[1] = layouts.constant(layouts.cotex(**TINY | {"grid": 5}))
    torch.save(cotex_checkpoint(views), tmp_path / "cotex.pth")
    assert "views.1.encoder.pos_embed" in refusal(tmp_path / "cotex.pth")


@pytest.mark.parametrize("content", [[], {}, 7, [{}], [{"a": 1}]])
def test_state_dicts_that_are_none_are_refused(tmp_path, content):
    torch.save({"state_dicts": content}, tmp_path / "cotex.pth")
    refusal(tmp_path / "cotex.pth")


def test_files_of_other_models_are_refused(tmp_path):
    file = tmp_path / "mae_pretrain_vit.pth"
    tensors = layouts.constant(layouts.vit(**TINY))
    torch.save({"model": {n.removeprefix("vit."): v for n, v in tensors.items()}}, file)
    assert "expected a released EMMA, DAN or CoTEX file" in refusal(file)


# Safety.


class Payload:
    """Runs a command when it is unpickled without a guard."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("where", ["alone", "args", "score", "tensor", "plain pickle"])
def test_a_malicious_pickle_is_refused_and_does_not_run(tmp_path, where):
    harm, file = tmp_path / "harm", tmp_path / "cotex.pth"
    payload = Payload(f"touch {harm}")
    content = cotex_checkpoint([layouts.constant(layouts.cotex(**TINY))])
    if where == "args":
        content["args"]["lr"] = payload
    elif where == "score":
        content["val_acc"].append(payload)
    elif where == "tensor":
        content["state_dicts"][0]["vit.norm.bias"] = payload
    else:
        content = payload
    if where == "plain pickle":
        file.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, file)
    assert "refused to unpickle" in refusal(file)
    assert not harm.exists()
    pickle.loads(pickle.dumps(payload))  # it would have
    assert harm.exists()


@pytest.mark.parametrize("content", [b"", b"hello world\n", b"\x00" * 64])
def test_files_that_are_no_checkpoint_are_refused(tmp_path, content):
    (tmp_path / "emma.pth").write_bytes(content)
    refusal(tmp_path / "emma.pth")


def test_a_truncated_checkpoint_is_refused(tmp_path):
    file = tmp_path / "cotex.pth"
    torch.save(cotex_checkpoint([layouts.constant(layouts.cotex(**TINY))]), file)
    whole = file.read_bytes()
    for length in (9, len(whole) // 3, len(whole) - 1):
        file.write_bytes(whole[:length])
        refusal(file)


# The package, and the layouts at their real size.


def test_the_package_offers_the_loader_and_stays_light():
    assert finetune.load_model is load_model
    code = "import sys, finetune, finetune.labels; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("kind", ["emma", "cotex"])
def test_vit_base_files_are_placed_whole(tmp_path, kind):
    file = tmp_path / f"{kind}.pth"
    if kind == "emma":
        tensors = layouts.constant(layouts.emma())
        torch.save({"epoch": 29, "model": tensors}, file)
    else:
        tensors = layouts.constant(layouts.cotex())
        torch.save(cotex_checkpoint([tensors]), file)
    model, _, report = load_model(file)
    assert report.loaded == len(tensors)
    assert_placed(by_published_names(model if kind == "emma" else model.views[0]), tensors)
    assert (model.config.size, model.config.image_size) == ("base", 224)
    if kind == "emma":
        assert model.config == PRESETS["paper"]
