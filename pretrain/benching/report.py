"""What was measured: rows that become a table, JSON and a bar chart."""

from __future__ import annotations

import json
import platform
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pretrain.engine.cores import usable_cores
from pretrain.engine.pictures import save_figure
from pretrain.files import write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: What a library's version may explain.
_LIBRARIES = ("torch", "torchvision", "timm", "accelerate", "pillow", "simplejpeg", "numpy")

#: Rates further apart than this are drawn on a logarithmic scale.
_WIDE = 30

_OURS, _OTHERS = "#20639b", "#b8bec6"


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        name: what was measured.
        rate: images a second (operations in the row of the peak).
        spread: half of the distance from the fastest to the slowest round, as a share; None: there
            was one.
        ratio: rate over that of the section's reference; None: it has none.
        share: of the measured peak of matrix products, 0 to 1; None: not of matrix products.
        memory: GiB; None: not measured.
        waiting: share of the time without images; None: no whole run.
    """

    name: str
    rate: float
    spread: float | None
    ratio: float | None = None
    share: float | None = None
    memory: float | None = None
    waiting: float | None = None


@dataclass(frozen=True)
class Section:
    """Rows that were measured in turn.

    Attributes:
        title: what they have in common.
        reference: what their ratios are to; empty: nothing.
        rows: at least one.
    """

    title: str
    reference: str
    rows: Sequence[Row]


def machine(device: torch.device, threads: int) -> dict[str, Any]:
    """Where and when it was measured."""
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "device": gpu or f"CPU ({_processor()}), {threads} of {usable_cores()} cores",
        "python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def table(sections: Sequence[Section], about: Mapping[str, Any], command: str) -> str:
    """Markdown, so that it can be read as it is and shown in a README."""
    lines = [f"{about['date']}, {about['device']}, torch {about['torch']}: `{command}`"]
    for section in sections:
        columns = _columns(section)
        lines += [
            "",
            f"| {section.title} | {' | '.join(columns)} |",
            "|---" * (len(columns) + 1) + "|",
        ]
        for row in section.rows:
            cells = [_cell(row, column) for column in columns.values()]
            lines.append(f"| {row.name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _columns(section: Section) -> dict[str, str]:
    """Heading and field of what the rows of a section know."""
    headings = {
        "images/s": "rate",
        f"x {section.reference}": "ratio",
        "share of peak": "share",
        "memory": "memory",
        "waiting for data": "waiting",
    }
    return {
        heading: field
        for heading, field in headings.items()
        if any(getattr(row, field) is not None for row in section.rows)
    }


def _cell(row: Row, field: str) -> str:
    value = getattr(row, field)
    if value is None:
        return ""
    if field == "rate":
        rate = f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"
        return rate if row.spread is None else f"{rate} ± {row.spread:.0%}"
    if field == "ratio":
        return f"{value:.2f}"
    return f"{value:.2f} GiB" if field == "memory" else f"{value:.1%}"


def write(folder: Path, sections: Sequence[Section], about: Mapping[str, Any], command: str) -> str:
    """Writes ``bench.md``, ``bench.json`` and ``bench.png``.

    Returns:
        The table.
    """
    text = table(sections, about, command)
    record = {
        "command": command,
        "machine": dict(about),
        "sections": [asdict(section) for section in sections],
    }
    write_text(folder / "bench.json", json.dumps(record, indent=1) + "\n")
    write_text(folder / "bench.md", text)
    save_figure(_chart(sections, about), folder / "bench.png")
    return text


def _chart(sections: Sequence[Section], about: Mapping[str, Any]) -> Figure:
    """A panel a section, a bar a row; ours in blue."""
    from matplotlib.figure import Figure  # imports stay light

    heights = [len(section.rows) + 1.5 for section in sections]
    figure = Figure(figsize=(9, 0.8 + 0.32 * sum(heights)), dpi=130, layout="constrained")
    panels = figure.subplots(len(sections), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, section in zip(panels, sections, strict=True):
        names = [row.name for row in section.rows]
        rates = [row.rate for row in section.rows]
        colours = [_OURS if "ours" in name else _OTHERS for name in names]
        bars = axes.barh(names, rates, color=colours, height=0.72)
        labels = [_cell(row, "rate").split(" ±")[0] for row in section.rows]
        axes.bar_label(bars, labels, padding=4, fontsize=8, color="#333333")
        axes.invert_yaxis()
        if max(rates) > _WIDE * min(rates):  # bars of length 0 would say nothing
            axes.set_xscale("log")
            axes.set_xlim(min(rates) / 4, 2.5 * max(rates))
        else:
            axes.set_xlim(0, 1.14 * max(rates))
        scale = "images/s" if axes.get_xscale() == "linear" else "images/s, logarithmic"
        title = textwrap.fill(f"{section.title}; {scale}", 76)
        axes.set_title(title, loc="left", fontsize=9, fontweight="bold")
        axes.tick_params(axis="y", length=0, labelsize=8.5)
        axes.tick_params(axis="x", which="both", bottom=False, labelbottom=False)
        axes.spines[["top", "right", "bottom"]].set_visible(False)
    figure.suptitle(f"{about['device']}, torch {about['torch']}, {about['date']}", fontsize=8.5)
    return figure
