"""What is worth a look before a submission leaves: nothing here refuses one.

Rates are compared with those of the training labels (s-Aff-Wild2). They are called far where a
class or an action unit is there, or is not there, more than three times or less than a third as
often. The organisers' validation labels stay inside that: Fear, the farthest, is 2.4 times as
frequent there as in training.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from finetune.labels import VALENCE_AROUSAL, Floats, expression_indices
from finetune.submission.answers import Answers
from finetune.submission.challenges import Challenge
from finetune.submission.template import Template
from finetune.table import PredictionTable

#: How many times as often as in training is far.
_FAR = 3.0

#: Where the training rate is unknown: the share of rows below which a column is nearly constant.
_RARE = 0.001

#: A standard deviation below which valence or arousal is hardly worth the name: against labels
#: with one of 0.3, which is usual, no CCC can be above 0.33. Our own choice.
_STILL = 0.05

#: Shares of rows with the values of the template's example from which on somebody has to look:
#: a class or an action unit is often right by chance, six decimals are not. Our own choice.
_COPIED_CODES = 0.99
_COPIED_NUMBERS = 0.01


def of_answers(answers: Answers, template: Template, challenge: Challenge) -> list[str]:
    """Warnings that need nothing but the submission, a line each."""
    found = list[str]()
    if challenge.listed is not None and len(template) != challenge.listed:
        found.append(
            f"the template lists {len(template)} images, the published list of {challenge.name}"
            f" {challenge.listed}"
        )
    if answers.valence_arousal is not None:
        for name, values in zip(VALENCE_AROUSAL, answers.valence_arousal.T, strict=True):
            if (values == values[0]).all():
                found.append(f"{name} is {values[0]:g} in every row: its CCC is 0")
            elif values.std() < _STILL:
                spread = f"a standard deviation of {values.std():.4f}"
                found.append(f"{name} hardly varies ({spread}): its CCC can only be low")
    classes = challenge.expressions.classes if challenge.expressions else ()
    for name, rate in _rates(answers, challenge).items():
        if rate in (0, 1):
            what = "predicted" if name in classes else "found"
            how = "never" if rate == 0 else "always"
            found.append(f"{name} is {how} {what}")
        elif remark := _odd(rate, challenge.training.get(name)):
            found.append(f"{name} is in {rate:.2%} of the rows{remark}")
    return found + _copied(answers, template, challenge)


def of_table(table: PredictionTable, challenge: Challenge, mapping: str | None) -> list[str]:
    """Warnings of where the predictions come from, a line each.

    Args:
        table: the rows that were submitted.
        challenge: to which.
        mapping: between expressions, as the submission was made with.
    """
    about, found = table.about, list[str]()
    if about.drawn:
        found.append("drawn faces: nothing that a challenge asks for")
    if challenge.forbidden:
        rule = f"the rules of {challenge.name} forbid it"
        if about.trained_on is None:
            names = ", ".join(challenge.forbidden)
            found.append(f"what the model was trained on is unknown; if it saw {names}, {rule}")
        elif seen := [name for name in challenge.forbidden if name in about.trained_on]:
            found.append(f"the model was trained on {', '.join(seen)}: {rule}")
    for step in about.steps:
        found += [f"{step.name}: {remark}" for remark in step.remarks]
    if ways := Counter(way for way in table.filled or () if way):
        how = ", ".join(f"{way} {count}" for way, count in ways.most_common())
        found.append(f"{ways.total()} of {len(table)} rows were filled: {how}")
    if challenge.expressions is not None and table.expression_space is not None:
        own, space = table.expression_space, challenge.expressions
        indices, kept = expression_indices(own, space, mapping)
        reached = set(indices[kept].tolist())
        if lacking := [name for at, name in enumerate(space.classes) if at not in reached]:
            found.append(f"the model does not know {', '.join(lacking)}")
        if lost := [name for name, is_kept in zip(own.classes, kept, strict=True) if not is_kept]:
            found.append(
                f"what the model gives {', '.join(lost)} is of no class of {challenge.name} and was"
                " taken out"
            )
    return found


def summary(answers: Answers, challenge: Challenge) -> str:
    """The rates of a submission beside those of the training labels, to read."""
    lines = list[tuple[str, str, str]]()
    for name, rate in _rates(answers, challenge).items():
        training = challenge.training.get(name)
        lines.append((name, f"{rate:.1%}", "-" if training is None else f"{training:.1%}"))
    text = [f"{name:<10}{here:>10}{there:>10}" for name, here, there in lines]
    if text:
        text.insert(0, f"{'':<10}{'rows':>10}{'training':>10}")
    if answers.valence_arousal is not None:
        for name, values in zip(VALENCE_AROUSAL, answers.valence_arousal.T, strict=True):
            text.append(
                f"{name:<10}mean {values.mean():.3f}, standard deviation {values.std():.3f},"
                f" from {values.min():.3f} to {values.max():.3f}"
            )
    return "\n".join(text)


def _rates(answers: Answers, challenge: Challenge) -> dict[str, float]:
    """The share of rows with each class and each action unit."""
    rates = dict[str, float]()
    if answers.expression is not None and challenge.expressions is not None:
        classes = challenge.expressions.classes
        counts = np.bincount(answers.expression, minlength=len(classes))
        shares: Floats = counts / len(answers.expression)
        rates |= dict(zip(classes, shares.tolist(), strict=True))
    if answers.action_units is not None and challenge.action_units is not None:
        there = answers.action_units.mean(0)
        rates |= dict(zip(challenge.action_units.names, there.tolist(), strict=True))
    return rates


def _odd(rate: float, training: float | None) -> str:
    """What is odd about a rate; empty: nothing."""
    if training is None:
        return "" if _RARE <= rate <= 1 - _RARE else ": nearly the same in every row"
    quotients = (rate / training, (1 - rate) / (1 - training))
    if all(1 / _FAR <= quotient <= _FAR for quotient in quotients):
        return ""
    return f", in {training:.2%} of the training labels"


def _copied(answers: Answers, template: Template, challenge: Challenge) -> list[str]:
    """Whether somebody left an example's values where they were."""
    if template.example is None:
        return []
    same = answers.cells() == template.example
    affect = 2 * challenge.valence_arousal
    found = list[str]()
    shares = dict(zip(challenge.columns, same.mean(0).tolist(), strict=True))
    if affect and (share := same[:, :affect].all(1).mean()) > _COPIED_NUMBERS:
        found.append(f"valence and arousal are the template's example in {share:.1%} of the rows")
    for name in challenge.columns[affect:]:
        if shares[name] >= _COPIED_CODES:
            found.append(f"{name} is the template's example in {shares[name]:.1%} of the rows")
    return found
