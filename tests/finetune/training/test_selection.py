"""The best weights of a run, also of one that was interrupted."""

from pathlib import Path

import torch

from finetune.loading.notes import ModelNotes
from finetune.models.affect import AffectModel
from finetune.models.emma import EMMAConfig
from finetune.training.selection import Evaluations

NOTES = ModelNotes()


def model(mark: float) -> AffectModel:
    config = EMMAConfig(size="tiny", image_size=16, patch_size=16, hidden=4, va_hidden=4, cnn=None)
    built = config.build()
    with torch.no_grad():
        built.va_head[2].bias.fill_(mark)
    return built


def look(evaluations: Evaluations, step: int, figure: float) -> bool:
    return evaluations.offer(model(step), NOTES, step, step / 2, {"ccc": 0.0}, figure)


def best(evaluations: Evaluations) -> tuple[int, float]:
    found = evaluations.best()
    assert found is not None
    return found[1], found[0].va_head[2].bias[0].item()


def test_the_best_look_is_kept_and_the_first_of_equal_ones(tmp_path: Path) -> None:
    evaluations = Evaluations(tmp_path, 0)
    kept = [look(evaluations, s, f) for s, f in ((2, 0.1), (4, 0.5), (6, 0.5), (8, float("nan")))]
    assert kept == [True, True, False, False]
    assert best(evaluations) == (4, 4.0)
    assert [path.name for path in (tmp_path / "best").iterdir()] == ["step-00000004"]


def test_a_run_that_is_set_back_chooses_among_what_was_before(tmp_path: Path) -> None:
    evaluations = Evaluations(tmp_path, 0)
    (tmp_path / "checkpoints" / "step-00000003").mkdir(parents=True)
    assert look(evaluations, 2, 0.1)
    assert look(evaluations, 4, 0.5)  # the checkpoint is of before
    again = Evaluations(tmp_path, 3)
    assert best(again) == (2, 2.0)
    assert not look(again, 4, 0.05)
    assert best(again) == (2, 2.0)


def test_what_no_checkpoint_can_lead_back_to_is_pruned(tmp_path: Path) -> None:
    evaluations = Evaluations(tmp_path, 0)
    look(evaluations, 2, 0.1)
    (tmp_path / "checkpoints" / "step-00000005").mkdir(parents=True)
    look(evaluations, 4, 0.2)
    look(evaluations, 6, 0.3)
    names = sorted(path.name for path in (tmp_path / "best").iterdir())
    assert names == ["step-00000004", "step-00000006"]


def test_scores_that_are_no_numbers_choose_nothing(tmp_path: Path) -> None:
    evaluations = Evaluations(tmp_path, 0)
    assert not look(evaluations, 2, float("nan"))
    assert evaluations.best() is None
