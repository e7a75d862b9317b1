"""Tables and labels, put together to be fitted: what the program and its tests hand around."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from finetune.data.annotations import Annotations
from finetune.labels import Floats
from finetune.leakage import check_fit
from finetune.postprocessing.candidates import Candidates
from finetune.postprocessing.columns import TASKS, refuse_steps
from finetune.postprocessing.crossfit import crossfit, folds_of
from finetune.postprocessing.ensembling import ensemble, shares
from finetune.postprocessing.fitting import Choice, Search, choose, settings_of
from finetune.postprocessing.objectives import ActionUnits, Objective, objectives_of
from finetune.postprocessing.rules import Rules, apply_rules, apply_weights
from finetune.scoring.joined import Joined, join
from finetune.scoring.scores import measure_of
from finetune.table import PredictionTable
from finetune.tallies import Tallies
from pretrain.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Crossfit:
    """What fitted settings are worth.

    Attributes:
        metrics: of the predictions of all left-out folds together.
        chosen: settings by fold and task.
        over: what the folds do not tear apart: recordings, subjects or images.
    """

    metrics: Mapping[str, Floats]
    chosen: Sequence[Mapping[str, Choice]]
    over: str


class Problem:
    """A table, or an ensemble, and the labels that it is fitted to.

    Args:
        members: raw predictions by what messages call them; more than one: an ensemble.
        annotations: labels of the same images.
        widths: of smoothing in frames that are tried; of stills none is.
        weights: of the members, that the search starts from; one may have any.
        mapping: see :func:`~finetune.scoring.joined.join`.
        force: fit on recordings that a model, or a step, has seen.

    Attributes:
        table: the table, or the ensemble by the weights of the start.
        raw: it with its labels.
        objectives: of the tasks that both know.
        remarks: what every score made with the fit has to say.

    Raises:
        TableError: a table that was smoothed or decided, other images, no label of any task.
        LeakError: a model, or a step, has seen some of these labels, and nobody forces it.
    """

    def __init__(
        self,
        members: Mapping[str, PredictionTable],
        annotations: Annotations,
        *,
        widths: Sequence[float],
        weights: Sequence[float] = (1.0,),
        mapping: str | None = None,
        force: bool = False,
    ) -> None:
        self.members, self.mapping = members, mapping
        self.table = next(iter(members.values()))
        self.remarks = list[str]()
        if len(members) > 1:
            self.table = ensemble(members, dict.fromkeys(TASKS, weights))
        if self.table.videos is None or self.table.frames is None:
            widths = (0.0,)
            self.remarks.append("no videos with frame numbers: nothing is smoothed")
        self.search = Search(tuple(widths), tuple(weights))
        self.raw = join(self.table, annotations, mapping)
        self.annotations = self.raw.annotations
        self.keys = self.annotations.keys | set(self.raw.table.groups)
        self.remarks = [*self._check(force), *self.remarks]
        self.objectives: list[Objective] = objectives_of(self.raw)
        self.candidates = Candidates(members, self.annotations, mapping)

    def metrics(self, tallies: Tallies) -> Mapping[str, Floats]:
        """Every metric of some predictions of these labels."""
        return measure_of(self.raw)(tallies)

    def fit(self, progress: Callable[[], object] = lambda: None) -> Rules:
        """The settings of all tasks, fitted on all rows.

        Args:
            progress: called after each task.
        """
        every = np.ones(len(self.annotations), np.bool_)
        choices, remarks = dict[str, Choice](), list(self.remarks)
        for objective in self.objectives:
            choice = choose(objective, self.candidates, self.search, every)
            assert choice.fit is not None  # a joined task has labels
            choices[objective.task] = choice
            if unknown := ", ".join(choice.fit.unknown):
                why = "0.5: no positive row" if isinstance(objective, ActionUnits) else "0: no row"
                remarks.append(f"{unknown} kept {why} in the fit")
            progress()
        space, start = self.annotations.targets.expression_space, self.search.weights
        weights = {
            task: tuple(shares(choices[task].weights if task in choices else start))
            for task in TASKS
        }
        thresholds, biases = settings_of(self.table, self.objectives, choices, space, self.mapping)
        return Rules(
            models=tuple(map(_model, self.members.values())),
            weights=weights if len(self.members) > 1 else {},
            widths={task: choice.width for task, choice in choices.items()},
            thresholds=thresholds,
            biases=biases,
            fitted_on=tuple(sorted(self.keys)),
            remarks=tuple(remarks),
        )

    def applied(self, rules: Rules) -> Joined:
        """The labels with the predictions as rules make them."""
        table = self.table
        if len(self.members) > 1:
            table = apply_weights(rules, self.members)
        return join(apply_rules(rules, table), self.annotations, self.mapping)

    def crossfit(
        self, folds: int, seed: int = 0, progress: Callable[[], object] = lambda: None
    ) -> Crossfit | None:
        """The score of settings on folds that they were not fitted on.

        Args:
            folds: at most; there is one for each recording at most.
            seed: of the folds.
            progress: called after each task of each fold.

        Returns:
            None: there is one recording alone.
        """
        groups, over = self.annotations.groups, self.annotations.grouped_by
        count = min(folds, len(set(groups)))
        if count < 2:
            return None
        fold = folds_of(groups, count, seed)
        tallies, chosen = crossfit(self.objectives, self.candidates, self.search, fold, progress)
        return Crossfit(metrics=self.metrics(tallies), chosen=chosen, over=over)

    def _check(self, force: bool) -> list[str]:
        known, remarks = self.annotations, list[str]()
        for name, table in self.members.items():
            try:
                refuse_steps(table.about, ["smooth", "decide"], "raw predictions")
                found = check_fit(table.about, self.keys, kind=known.grouped_by, force=force)
            except UserError as error:
                raise type(error)(f"{name}: {error}") from None
            alone = len(self.members) == 1
            remarks += found if alone else [f"{name}: {remark}" for remark in found]
        return remarks


def _model(table: PredictionTable) -> str:
    """The fingerprint of the model that the rules are for; empty where it is another one.

    Out-of-fold predictions are of models that nobody keeps; the rules are for the one that is
    trained like them on all folds, whose fingerprint is not known here.
    """
    joined = any(step.name == "join" for step in table.about.steps)
    return "" if joined else table.about.model
