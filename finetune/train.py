"""Stage two: builds a system, its data and its losses for the loop, and scores the result."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from finetune.batches import LabelledFaces
from finetune.clips import LabelledClips
from finetune.data.config import SYNTHETIC
from finetune.data.images import LabelledImages
from finetune.data.sound.sounds import Sounds, check_preset
from finetune.generating.sheets import draw_samples, draw_sheets
from finetune.generating.watching import Watch, WatchConfig, draw_quality
from finetune.labels import Targets
from finetune.loading.notes import ModelNotes
from finetune.methods.cnn import DAN, TimmCNN
from finetune.methods.cotex import CoTEX
from finetune.methods.emma import EMMA
from finetune.methods.gan import GAN
from finetune.methods.method import Built, Method
from finetune.methods.multitask import AVCNNRNN, CNNRNN, MultiTask
from finetune.models import gan
from finetune.models.affect import AffectModel
from finetune.models.layer_decay import layer_decay_groups, scaled_groups
from finetune.objectives.cotraining import CoTraining
from finetune.objectives.objective import Losses, TrainedModel
from finetune.report import ReportConfig, report
from finetune.save import save_model
from finetune.score import ScoreConfig, score_table
from finetune.scoring.scores import Scores
from finetune.scoring.text import text
from finetune.table import write_table
from finetune.training.config import (
    REST,
    FinetuneOptimConfig,
    HeldOutConfig,
    SelectionConfig,
    TrainDataConfig,
)
from finetune.training.evaluation import (
    figure,
    predict_held_out,
    rehearse,
    scores_of,
    tasks_of,
)
from finetune.training.features import SeenClips, SeenFaces, seen_by
from finetune.training.rows import HeldOut, check_weights, look_alike, open_rows
from finetune.training.selection import Evaluations
from pretrain.engine.config import defining_fields, operational
from pretrain.engine.loop import LoopConfig
from pretrain.engine.optim import build_optimizer
from pretrain.engine.runtime import Runtime
from pretrain.engine.signals import StopSignal
from pretrain.engine.tracking import say
from pretrain.errors import UserError
from pretrain.files import write_text
from pretrain.run import Look, Run, RunConfig, train

#: Systems that ``method.class_path`` may name.
METHODS: Sequence[type[Method]] = (EMMA, DAN, TimmCNN, CoTEX, MultiTask, CNNRNN, AVCNNRNN, GAN)


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(RunConfig):
    """Trains a system on labelled faces, and scores it on others.

    Attributes:
        method: the system.
        data: what it is trained on.
        validation: what it is scored on in the end.
        selection: which weights are kept.
        refit: train on the validation rows as well, and score nothing: the last step before a
            deadline, with the settings and the number of epochs of a run that was scored.
        frozen_features: folder for what the encoder and the CNN, both frozen, see in the training
            images; heads then train in seconds, on images as they are (no crop, flip or jitter);
            null: everything but the CNN is trained.
        allow_overlap: go on where held-out rows share a recording, person or image with those
            trained on; every score says so.
        pictures: images of the first step in the sheet of samples.
        evaluation_batch_size: images at once when the model is asked.
        report: whether the validation table becomes a page (report.html).
    """

    output_dir: str = operational("runs/finetune")
    training: LoopConfig = field(
        default_factory=lambda: LoopConfig(epochs=30.0, global_batch_size=400)
    )
    optim: FinetuneOptimConfig = field(default_factory=FinetuneOptimConfig)
    method: Method = field(default_factory=EMMA)
    data: TrainDataConfig = field(default_factory=TrainDataConfig)
    validation: HeldOutConfig = field(default_factory=HeldOutConfig)
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    refit: bool = False
    frozen_features: str | None = None
    allow_overlap: bool = False
    pictures: int = operational(24)
    evaluation_batch_size: int = operational(128)
    report: bool = operational(True)

    def __post_init__(self) -> None:
        """Refuses combinations that would say something else than they seem to."""
        super().__post_init__()
        for name in ("pictures", "evaluation_batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}, expected at least 1")
        if self.selection.wanted and self.refit:
            raise ValueError("refit true with a selection, expected a fixed number of epochs")
        if self.refit and self.validation.split is None:
            raise ValueError("refit true without validation.split, expected rows to add")
        if self.selection.wanted and self.optim.ema_decay is not None:
            raise ValueError("optim.ema_decay with a selection, expected one of the two")
        if self.method.has_teacher and self.optim.ema_decay is None:
            raise ValueError("optim.ema_decay null with cotraining.teacher, expected a decay")
        if self.method.clips is not None and self.runtime.compile:
            raise ValueError(
                "runtime.compile true with a method of clips, expected false: the frames that are"
                " there vary in number"
            )
        frozen = self.frozen_features is not None
        if frozen and not self.method.can_freeze:
            raise ValueError(
                f"frozen_features with method {type(self.method).__name__}, expected EMMA with an"
                " encoder, or CNNRNN with an encoder or init_from"
            )
        if frozen and self.method.masks[0]:
            raise ValueError("frozen_features with method.views, expected one of the two")
        if self.selection.split is not None and self.selection.split in (
            self.data.split,
            self.validation.split if self.validation.kind is None else None,
        ):
            raise ValueError(
                f"selection.split {self.selection.split!r} is trained or scored on, expected"
                " another"
            )


def finetune(config: FinetuneConfig) -> bool:
    """Runs stage two.

    Returns:
        True when the run is complete, False after a stop signal (its state is saved).

    Raises:
        UserError: something the user can mend; its message is one line.
    """
    return train(config, lambda *parts: Finetuning(config, *parts))


class Finetuning(Run[FinetuneConfig]):
    """What stage two brings to a run."""

    dataset: LabelledFaces | LabelledClips | SeenFaces | SeenClips
    model: TrainedModel

    def __init__(
        self, config: FinetuneConfig, runtime: Runtime, micro_batches: int, stop: StopSignal
    ) -> None:
        super().__init__(config, config.data, runtime, micro_batches, stop)
        if config.method.has_teacher:
            self._follow_average()

    def open_images(self) -> LabelledFaces | LabelledClips:
        """See :class:`Run`."""
        config, method = self.config, self.config.method
        self.rows = open_rows(
            config.data,
            config.validation,
            config.selection,
            method,
            seed=config.seed,
            refit=config.refit,
            allow_overlap=config.allow_overlap,
        )
        for held_out, metric in (
            (self.rows.validation, None),
            (self.rows.selection, config.selection.metric),
        ):
            if held_out is not None:
                rehearse(
                    held_out,
                    method.labels,
                    method.trained_tasks,
                    metric,
                    clips=method.clips is not None,
                )
        described = f"data.kind {config.data.kind}, split {config.data.split}"
        if method.clips is not None:
            return LabelledClips(
                self._one_list_of_videos(),
                method.clips,
                sounds=self._sounds(),
                described=described,
                seed=config.seed,
                image_size=method.image_size,
                augmentation=config.data.augmentation,
            )
        return LabelledFaces(
            self.rows.training,
            self.rows.training.targets,
            described=described,
            seed=config.seed,
            image_size=method.image_size,
            augmentation=config.data.augmentation,
            colour=config.data.colour,
            masks=method.masks,
        )

    def build_model(self, fresh: bool) -> TrainedModel:
        """See :class:`Run`."""
        self.built = self.config.method.build()
        for origin in self.rows.origins:
            self.built = self.built.also_from(origin)
        if self.config.frozen_features is not None:
            self._freeze(self.built.model)
        self._refuse_lonely_images(self.built.model)
        self._refuse_split_networks(self.built.model)
        self.rows = check_weights(
            self.rows, self.built.groups, self.built.seen, self.config.allow_overlap
        )
        trained, notes = self._objective(self.built.model)
        self.notes = self._notes(notes, self.built)
        if fresh and self.runtime.is_main:
            for remark in self.built.remarks:
                say(remark)
        return trained

    def empty_model(self) -> TrainedModel:
        """See :class:`Run`."""
        return self._objective(self.built.model.config.build())[0]

    def build_optimizer(self) -> torch.optim.AdamW:
        """Layers of a ViT at falling rates; what the losses learn at the heads' rate."""
        optim, inner = self.config.optim, self.model.model
        if hasattr(inner, "group_matcher"):
            groups = layer_decay_groups(
                inner, layer_decay=optim.layer_decay, weight_decay=optim.weight_decay
            )
        elif scales := inner.lr_scales():
            groups = scaled_groups(inner, scales, weight_decay=optim.weight_decay)
        else:
            return build_optimizer(self.model, optim)
        placed = {parameter for group in groups for parameter in group["params"]}
        beside = [p for p in self.model.parameters() if p.requires_grad and p not in placed]
        if beside:
            groups.append({"params": beside, "weight_decay": 0.0})
        return build_optimizer(self.model, optim, groups)

    def objective(self) -> Losses:
        """See :class:`Run`."""
        return Losses(self.model)

    def defining_fields(self) -> dict[str, Any]:
        """Config fields, without those of drawn faces that are not used, and the labels."""
        drawn = "data.synthetic."
        fields = {
            key: value
            for key, value in defining_fields(self.config).items()
            if not key.startswith(drawn) or self.config.data.kind == SYNTHETIC
        }
        return fields | {
            "frozen_features": self.config.frozen_features is not None,  # wherever they are kept
            "labels": _digest(self.rows.training.targets),
        }

    def facts(self) -> dict[str, Any]:
        """See :class:`Run`."""
        data = self.config.data
        return {
            "method": type(self.config.method).__name__,
            "kind": data.kind,
            "split": data.split,
            "trainable_parameters": sum(
                p.numel() for p in self.model.parameters() if p.requires_grad
            ),
        }

    def prepare(self) -> None:
        """Shows what goes in, and says what is odd about it."""
        if self.config.frozen_features is None:
            self.draw_samples(max(1, round(self.config.pictures / self.dataset.images_per_sample)))
        self.evaluations = Evaluations(self.folder, self.first_step)
        if (watch := self._watched()) is not None:
            network = cast(gan.GAN, self.model.model).config
            side, device = network.image_size, self.runtime.device
            self.watch = Watch(watch, self.rows.training, side, device, self.config.seed)
        for line in self.rows.said:
            say(line)
        if self.rows.validation and not self.first_step:
            for line in look_alike(self.rows, self.rows.validation):
                say(line)

    def looks(self) -> Sequence[tuple[float | None, Look]]:
        """Curves, drawn faces, scores of the validation rows, choice of weights."""
        watch = self._watched()
        return (
            (self.config.log.pictures_every_epochs, lambda *_: self._draw()),
            (None if watch is None else watch.every_epochs, self._watch),
            (self.config.validation.every_epochs if self.rows.validation else None, self._score),
            (self.config.selection.every_epochs if self.rows.selection else None, self._choose),
        )

    def hand_on(self, model: nn.Module) -> None:
        """Writes ``model/``, and what it makes of the validation rows."""
        step, kept = self.loop.progress.step, cast(TrainedModel, model).model
        if self.rows.selection:
            self._choose(model, step)
            if (best := self.evaluations.best()) is not None:
                kept, chosen = best
                kept = kept.to(self.runtime.device)
                say(f"the weights of step {chosen} are the best on the selection rows")
        save_model(kept, self.folder / "model", self.notes)
        self._draw()
        if self._watched() is not None:
            self._watch(model, step)
            draw_sheets(cast(gan.GAN, kept), self.notes.tasks, self.folder / "pictures")
        print(f"model        {self.folder / 'model'}")
        if self.rows.validation:
            self._report(kept, self.rows.validation)

    def _sounds(self) -> Sounds | None:
        opened = self.rows.collection.open_sounds
        if self.config.method.listens != (opened is not None):
            got = "null" if opened is None else self.config.data.sound.folder
            expected = "a folder" if opened is None else "null"
            raise UserError(
                f"data.sound.folder {got} with method {type(self.config.method).__name__}, expected"
                f" {expected}"
            )
        if opened is None:
            return None
        sounds, method = opened(), self.config.method
        assert isinstance(method, AVCNNRNN)
        check_preset(method.network.sound_preset, sounds)
        return sounds

    def _one_list_of_videos(self) -> LabelledImages:
        training = self.rows.training
        if not isinstance(training, LabelledImages):
            raise UserError(
                "refit or data.unlabelled with a method of clips, expected one list of videos"
            )
        if self.config.data.colour.probability:
            raise UserError(
                f"data.colour.probability {self.config.data.colour.probability} with a method of"
                " clips, expected 0: frames would change colour one by one"
            )
        return training

    def _objective(self, model: AffectModel) -> tuple[TrainedModel, ModelNotes]:
        return self.config.method.objective(model, self.rows.training.targets)

    def _follow_average(self) -> None:
        """Gives the objective a teacher, whose weights are the loop's average of the model's."""
        assert self.loop.average
        assert isinstance(self.model, CoTraining)
        teacher = self.empty_model().to(self.runtime.device)
        teacher.load_state_dict(self.model.state_dict())
        self.loop.average.lend_to(teacher)
        self.model.learn_from(teacher.model)

    def _refuse_lonely_images(self, model: AffectModel) -> None:
        """A batch norm has no variance of one image."""
        step = self.config.training.global_batch_size
        samples = step // (self.runtime.world_size * self.micro_batches)
        clips = self.config.method.clips
        images = samples * (1 if clips is None else clips.frames)
        norms = (m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm))
        trained = any(p.requires_grad for norm in norms for p in norm.parameters())
        if trained and images < 2:
            raise UserError(
                f"training.micro_batch_size {images} for a model with batch norms, expected at"
                " least 2"
            )

    def _refuse_split_networks(self, model: AffectModel) -> None:
        """The generator learns through a discriminator whose whole weights are at hand."""
        kind = self.runtime.distributed
        if isinstance(model, gan.GAN) and kind not in ("none", "ddp"):
            raise UserError(f"runtime.distributed {kind} with method GAN, expected ddp")
        if isinstance(model, gan.GAN) and self.config.runtime.compile:
            raise UserError("runtime.compile true with method GAN, expected false")

    def _freeze(self, model: AffectModel) -> None:
        """Leaves only heads to train, and puts what the rest sees in the place of images."""
        model.to(self.runtime.device).frozen().requires_grad_(False)
        folder = Path(os.path.expanduser(str(self.config.frozen_features)))
        batch_size, workers = self.config.evaluation_batch_size, self.workers()
        faces = cast(LabelledFaces | LabelledClips, self.dataset)
        seen = seen_by(model, faces, folder, self.runtime, batch_size, workers)
        if isinstance(faces, LabelledClips):
            self.dataset = SeenClips(faces, seen)
        else:
            self.dataset = SeenFaces(faces, seen)

    def _notes(self, notes: ModelNotes, built: Built) -> ModelNotes:
        """What is known of the training, weights that it started from included."""
        kinds, selection = {self.config.data.kind}, self.rows.selection
        if self.config.data.unlabelled not in (None, REST):
            kinds.add(str(self.config.data.unlabelled))
        if self.config.refit:
            kinds.add(self.config.validation.kind or self.config.data.kind)
        return replace(
            notes,
            trained_on=None if built.seen is None else tuple(sorted({*built.seen, *kinds})),
            training_groups=None
            if built.groups is None
            else tuple(sorted({*built.groups, *self.rows.groups})),
            selection_groups=None
            if selection is None
            else tuple(sorted(selection.images.annotations.keys)),
        )

    def _ask(self, model: AffectModel, held_out: HeldOut) -> Any:
        return predict_held_out(
            model,
            held_out,
            self.notes,
            self.runtime,
            batch_size=self.config.evaluation_batch_size,
            workers=self.workers(),
        )

    def _score(self, model: nn.Module, step: int) -> None:
        assert self.rows.validation
        if self.evaluations.has("validation", step):
            return
        values = tasks_of(self._look_at(model, self.rows.validation, "validation", step))
        self.evaluations.add("validation", step, step / self.order.steps_per_epoch, values)

    def _choose(self, model: nn.Module, step: int) -> None:
        assert self.rows.selection
        if self.evaluations.has("selection", step):
            return
        scores = self._look_at(model, self.rows.selection, "selection", step)
        value, epoch = (
            figure(scores, self.config.selection.metric),
            step / self.order.steps_per_epoch,
        )
        whole = cast(TrainedModel, model).model
        self.evaluations.offer(whole, self.notes, step, epoch, tasks_of(scores), value)

    def _look_at(self, model: nn.Module, held_out: HeldOut, split: str, step: int) -> Scores:
        """Scores of held-out rows, said in one line."""
        scores = scores_of(self._ask(cast(TrainedModel, model).model, held_out), held_out)
        numbers = "  ".join(f"{name} {number:.4f}" for name, number in tasks_of(scores).items())
        say(f"{split} at step {step}, epoch {step / self.order.steps_per_epoch:.2f}  {numbers}")
        return scores

    def _report(self, model: AffectModel, held_out: HeldOut) -> None:
        """Table, scores and page of the validation rows."""
        split, folder = held_out.collection.split, self.folder
        table = folder / "predictions" / f"{split}.parquet"
        table.parent.mkdir(exist_ok=True)
        write_table(table, self._ask(model, held_out))
        data = held_out.config
        scores, record = score_table(ScoreConfig(table=str(table), data=data))
        write_text(folder / "scores.json", json.dumps(record, indent=1) + "\n")
        print(f"predictions  {table}")
        print(f"scores       {folder / 'scores.json'}")
        if self.config.report:
            out = folder / "report.html"
            report(ReportConfig(table=str(table), data=data, out=str(out)), shlex.join(sys.argv))
            print(f"report       {out}")
        print()
        print(text(scores, f"{table} on {data.kind} {split}"))

    def _watched(self) -> WatchConfig | None:
        """What of a generator is looked at; None: nothing is drawn."""
        method = self.config.method
        if not isinstance(method, GAN) or not method.adversarial.plays:
            return None
        return None if method.watch.every_epochs is None else method.watch

    def _watch(self, model: nn.Module, step: int) -> None:
        """Samples, and how near they are to real faces: of the average's weights, if there are."""
        if self.evaluations.has("drawn", step):
            return
        if self.loop.average and step < self.schedule.steps:
            weights, model = model.state_dict(), self.empty_model().to(self.runtime.device)
            model.load_state_dict(weights)
            self.loop.average.copy_to(model)
        inner = cast(gan.GAN, cast(TrainedModel, model).model)
        training, pictures = inner.training, self.folder / "pictures"
        draw_samples(inner, self.config.pictures, pictures / f"drawn-{step:08}.png")
        epoch = step / self.order.steps_per_epoch
        found = self.watch.look(inner, f"step {step}, epoch {epoch:.2f}", pictures)
        inner.train(training)
        self.evaluations.add("drawn", step, epoch, found)
        looks = [record for record in self.evaluations.records if record["split"] == "drawn"]
        draw_quality(looks, pictures / "quality.png", f"Drawn by {self.folder.name}")

    def _draw(self) -> None:
        drawn = " (drawn faces)" if self.config.data.kind == SYNTHETIC else ""
        self.draw_curves(f"{type(self.config.method).__name__}{drawn}")


def _digest(targets: Targets) -> str:
    """What tells labels from any others."""
    found = hashlib.sha256()
    for name in ("valence_arousal", "expression", "action_units"):
        for part in (name, f"{name}_valid"):
            found.update(getattr(targets, part).tobytes())
    return found.hexdigest()[:16]
