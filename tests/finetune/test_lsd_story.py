"""CoTEX from the folders of LSD to its submission: drawn faces in the place of the licensed ones."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from finetune.data.config import LabelledConfig
from finetune.labels import EXPRESSION_SPACES
from finetune.load import load_model
from finetune.methods.cotex import CoTEX
from finetune.models.cotex import CoTEXConfig
from finetune.objectives.cotraining import CoTrainingConfig
from finetune.predict import PredictConfig, predict_table
from finetune.submit import SubmitConfig, write_submission
from finetune.train import FinetuneConfig, finetune
from finetune.training.config import FinetuneOptimConfig, HeldOutConfig, TrainDataConfig
from pretrain.data.synthetic import SyntheticConfig, SyntheticFaces
from pretrain.engine.launching import RuntimeConfig
from pretrain.engine.loop import LoopConfig
from pretrain.engine.tracking import LogConfig, read_metrics

CLASSES = EXPRESSION_SPACES["lsd_6"].classes


@pytest.fixture(scope="module")
def lsd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two faces of each expression in both splits, drawn in two styles, and three to predict."""
    root = tmp_path_factory.mktemp("lsd")
    folders = {
        "exaggerated": "training_set_synthetic_images",
        "posed": "validation_set_real_images",
    }
    for style, folder in folders.items():
        faces = SyntheticFaces(SyntheticConfig(count=200, size=32, style=style))
        left = dict.fromkeys(CLASSES, 2)
        for name in CLASSES:
            (root / folder / name.upper()).mkdir(parents=True)
        for index in range(len(faces)):
            expression = faces.labels(index)["expression"]
            if left.get(str(expression)):
                left[str(expression)] -= 1
                place = root / folder / str(expression).upper() / f"{style}{index}.png"
                Image.fromarray(faces.image(index)).save(place)
        assert not any(left.values())
    (root / "lsd_test_data").mkdir()
    names = [f"{number}.png" for number in (2, 0, 1)]
    for number, name in enumerate(names):
        Image.fromarray(faces.image(number)).save(root / "lsd_test_data" / name)
    (root / "LSD_Challenge_test_set_release.txt").write_text("\n".join(["image", *names]) + "\n")
    return root


def test_from_folders_to_a_submission(lsd: Path, tmp_path: Path) -> None:
    views = CoTEXConfig(size="tiny", image_size=32, patch_size=8, views=2)
    config = FinetuneConfig(
        output_dir=str(tmp_path / "run"),
        pictures=2,
        report=False,
        method=CoTEX(views=views, cotraining=CoTrainingConfig(mask_ratio=0.5)),
        data=TrainDataConfig(kind="lsd", root=str(lsd), workers=0),
        validation=HeldOutConfig(),
        training=LoopConfig(epochs=2, global_batch_size=6),
        optim=FinetuneOptimConfig(warmup_epochs=0.5),
        log=LogConfig(every_steps=1, trackers=()),
        runtime=RuntimeConfig(threads=1),
    )
    assert finetune(config)
    record = read_metrics(tmp_path / "run")[0]
    assert {"expression", "expression_agreement"} <= record.keys()
    model, labels, report = load_model(tmp_path / "run")
    assert labels.expressions == EXPRESSION_SPACES["lsd_6"]
    assert len(model.views) == 2
    assert report.notes.trained_on == ("lsd",)
    table = tmp_path / "test.parquet"
    test = LabelledConfig(kind="lsd", root=str(lsd), split="test")
    predict_table(PredictConfig(model=str(tmp_path / "run"), data=test, out=str(table), workers=0))
    out, listed = tmp_path / "predictions.txt", lsd / "LSD_Challenge_test_set_release.txt"
    asked = SubmitConfig(challenge="abaw_lsd", template=str(listed), table=str(table), out=str(out))
    write_submission(asked)
    lines = out.read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["image", "2.png", "0.png", "1.png"]
    assert {int(line.split(",")[1]) for line in lines[1:]} <= set(range(6))


@pytest.mark.parametrize("teacher", [False, True])
def test_a_resumed_cotraining_sees_the_same_masks(lsd: Path, tmp_path: Path, teacher: bool) -> None:
    views = CoTEXConfig(size="tiny", image_size=32, patch_size=8, views=2, shared=True)
    config = FinetuneConfig(
        output_dir=str(tmp_path / "whole"),
        report=False,
        method=CoTEX(
            views=views,
            cotraining=CoTrainingConfig(mask_ratio=0.5, ramp_epochs=2, teacher=teacher),
        ),
        data=TrainDataConfig(kind="lsd", root=str(lsd), workers=0),
        validation=HeldOutConfig(split=None),
        training=LoopConfig(epochs=3, global_batch_size=6),
        optim=FinetuneOptimConfig(warmup_epochs=0.5, ema_decay=0.5 if teacher else None),
        log=LogConfig(every_steps=1, trackers=()),
        runtime=RuntimeConfig(threads=1),
    )
    assert finetune(config)
    saved = replace(config.checkpoint, every_steps=1, keep=9)
    cut = replace(config, output_dir=str(tmp_path / "cut"), checkpoint=saved)
    assert finetune(cut)
    for later in (4, 5, 6):
        (tmp_path / "cut" / "checkpoints" / f"step-{later:08}" / "COMMITTED").unlink()
    assert finetune(replace(cut, resume="auto"))
    found = [
        [record["loss"] for record in read_metrics(tmp_path / name)] for name in ("whole", "cut")
    ]
    assert found[0] == found[1]
