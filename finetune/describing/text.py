"""A description as a text to read: a column a split, what is published beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

from finetune.describing.description import Description
from finetune.describing.summary import TOTALS, Comparison, Summary

#: Names that a line shows.
_NAMED = 3

#: Totals that are left out where they are 0 in every split.
_RARE = ("one_of_valence_arousal", "some_action_units")

_PUBLISHED = "published"

#: In place of a number that is not there.
_NONE = "-"


def text(description: Description, heading: str) -> str:
    """A description as lines.

    Args:
        description: of a collection.
        heading: what is described.
    """
    blocks = [
        heading,
        "\n".join(f"{name} is not here: {why}" for name, why in description.missing.items()),
        _totals(description),
        _classes(description),
        _units(description),
        _affect(description),
        _images(description),
        _shared(description),
        _alike(description),
        _agreement(description),
    ]
    return "\n\n".join(block for block in blocks if block)


def _totals(description: Description) -> str:
    totals = [split.totals for split in description.splits.values()]
    known = [name for name in TOTALS if any(name in counts for counts in totals)]
    names = [n for n in known if n not in _RARE or any(counts[n] for counts in totals)]

    def cells(split: Summary, name: str) -> list[str]:
        return [_number(split.totals.get(name))]

    return _by_split(description, "totals", ["", ""], [(n, TOTALS[n]) for n in names], cells)


def _classes(description: Description) -> str:
    def cells(split: Summary, name: str) -> list[str]:
        count, labelled = split.classes.get(name), split.totals["expression"]
        return [_number(count if labelled else None), _share(count, labelled)]

    names = _labelled(description, "classes", "expression")
    return _by_split(description, "classes", ["expression", "", "share"], names, cells)


def _units(description: Description) -> str:
    def cells(split: Summary, name: str) -> list[str]:
        unit = split.units.get(name)
        if unit is None or not unit.labelled:
            return [_NONE] * 3
        return [_number(unit.present), _share(unit.present, unit.labelled), _number(unit.labelled)]

    names = _labelled(description, "units", "action_units")
    return _by_split(description, "units", ["action unit", "present", "share", "of"], names, cells)


def _labelled(description: Description, part: str, total: str) -> list[tuple[str, str]]:
    """Names of all splits; none where no split has such labels, nor should have any."""
    splits = description.splits.values()
    compared = chain.from_iterable(description.compared.values())
    if not any(split.totals[total] for split in splits) and not any(
        comparison.part == part for comparison in compared
    ):
        return []
    every = chain.from_iterable(getattr(split, part) for split in splits)
    return [(name, name) for name in dict.fromkeys(every)]


def _by_split(
    description: Description,
    part: str,
    header: Sequence[str],
    names: Sequence[tuple[str, str]],
    cells: Callable[[Summary, str], list[str]],
) -> str:
    """A table.

    Args:
        description: of a collection.
        part: what is compared with the published counts.
        header: the first column's, then those of the columns of every split.
        names: of the rows, and what they are called.
        cells: the columns of a split in a row.
    """
    if not names:
        return ""
    first, second, *further = header
    table = [[first], *([title] for _, title in names)]
    for split, summary in description.splits.items():
        compared = {c.name: c for c in description.compared[split] if c.part == part}
        own = [cells(summary, name) for name, _ in names]
        if not compared and all(cell == _NONE for row in own for cell in row):
            continue  # a list to predict has no labels
        extra = [_PUBLISHED] if compared else []
        table[0] += [f"{split} {second}".rstrip(), *further, *extra]
        for line, (name, _), row in zip(table[1:], names, own, strict=True):
            line += [*row, *(_verdict(compared.get(name)) for _ in extra)]
    return _aligned(table)


def _verdict(comparison: Comparison | None) -> str:
    if comparison is None:
        return ""
    return "ok" if comparison.agrees else f"differs: {_number(comparison.published)}"


def _affect(description: Description) -> str:
    table = [["", "rows", "mean", "sd", "min", "max"]]
    for split, summary in description.splits.items():
        for name, spread in summary.affect.items():
            numbers = (spread.mean, spread.sd, spread.least, spread.most)
            shown = [f"{number:.3f}" for number in numbers if number is not None]
            if shown:
                table.append([f"{split} {name}", _number(spread.labelled), *shown])
    return _aligned(table) if len(table) > 1 else ""


def _images(description: Description) -> str:
    lines = []
    for split, found in description.images.items():
        line = f"{split}: all {_number(found.listed)} listed images are there"
        if found.absent:
            line = (
                f"{split}: {_number(found.absent)} of {_number(found.listed)} listed images are"
                f" absent: {_first(found.first, found.absent_images)}"
            )
        lines.append(line)
    return "\n".join(lines)


def _shared(description: Description) -> str:
    if len(description.splits) < 2:
        return ""
    if not description.shared:
        return f"no two splits share any of their {', '.join(description.comparable)}"
    return "\n".join(
        f"LEAK: {found.what} in both {found.one} and {found.other}: {_number(len(found.names))}"
        f" ({_first(found.names, len(found.names))})"
        for found in description.shared
    )


def _alike(description: Description) -> str:
    lines = list[str]()
    for found in description.alike:
        same, like = found.line(same_file=True), found.line(same_file=False)
        lines += [f"LEAK: {same}"] if same else []
        lines += [like] if like else []
        if not found.pairs:
            lines.append(f"no image of {found.other} looks like one of {found.one}{found.counted}")
    return "\n".join(lines)


def _agreement(description: Description) -> str:
    every = list(chain.from_iterable(description.compared.values()))
    if not every:
        return "no published counts are known to compare with"
    agree = sum(comparison.agrees for comparison in every)
    sources = "; ".join(dict.fromkeys(description.sources.values()))
    above = "" if agree == len(every) else "; see 'differs' above"
    return f"{agree} of {len(every)} published counts agree{above}\n(published: {sources})"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Cells under each other: numbers to the right, names and verdicts to the left."""
    places = range(len(rows[0]))
    widths = [max(len(row[place]) for row in rows) for place in places]
    left = [place == 0 or rows[0][place] == _PUBLISHED for place in places]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if to_left else cell.rjust(width)
            for cell, width, to_left in zip(row, widths, left, strict=True)
        ).rstrip()
        for row in rows
    )


def _first(names: Sequence[str], count: int) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if count > _NAMED else "")


def _number(count: int | None) -> str:
    return _NONE if count is None else f"{count:,}"


def _share(part: int | None, whole: int) -> str:
    return _NONE if part is None or not whole else f"{part / whole:.1%}"
