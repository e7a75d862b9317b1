"""Figures on the square of -1 to 1: predictions against labels, errors over the circumplex.

They are SVG, whose text takes the fonts of the page; what has very many points is a picture in it.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from finetune.labels import Floats
from finetune.reporting.colours import BLUES, BROWNS, ramp_colour, ramp_colours
from finetune.reporting.maps import ErrorMap
from finetune.reporting.markup import Html, sequence, tag
from finetune.reporting.thumbnails import data_uri

#: The frame: pixels of its side, and of what stands left of it, above and below.
_SIDE, _LEFT, _TOP, _BELOW = 360, 54, 8, 46

_TICKS = (-1.0, -0.5, 0.0, 0.5, 1.0)

#: Pixels that a bin of the density has in its picture: whoever scales that up keeps its edges.
_PIXELS = 8

#: Pixels of an arrow's head.
_HEAD = 9

_LABELS = ("valence: label", "arousal: label")

#: Bins with fewer rows than these are drawn smaller: their mean says little. Shares of the side.
FEW, SOME = 5, 20
_SIZES = ((SOME, 1.0), (FEW, 0.7), (1, 0.4))


def density_figure(edges: Floats, counts: Floats, most: int, name: str, summary: str) -> Html:
    """Predictions against labels, darker where there are more rows; the diagonal is the truth.

    Args:
        edges: of the bins [B + 1].
        counts: rows by label and prediction [B, B].
        most: the count that has the darkest colour.
        name: valence or arousal.
        summary: what the figure shows, for who does not see it.
    """
    reach = float(edges[-1])
    size, (x, y) = _length(2 * reach, reach), _place(-reach, reach, reach)
    picture = tag(
        "image",
        href=data_uri("image/png", _picture(counts, most)),
        x=x,
        y=y,
        width=size,
        height=size,
        preserveAspectRatio="none",
    )
    diagonal = _line((-1, -1), (1, 1), reach, class_="truth")
    return _frame(f"{name}: label", f"{name}: prediction", reach, summary, picture, diagonal)


def error_figure(errors: ErrorMap, most: float, summary: str) -> Html:
    """Mean errors by the place of the label.

    Args:
        errors: by bin.
        most: the error that has the darkest colour.
        summary: what the figure shows, for who does not see it.
    """
    tiles = [_tile(errors, v, a, most) for v, a in np.argwhere(errors.counts > 0).tolist()]
    return _frame(*_LABELS, 1, summary, sequence(*tiles, _circle()))


def shift_figure(errors: ErrorMap, summary: str) -> Html:
    """Arrows from the middle of each bin to where its rows are predicted on average.

    Args:
        errors: by bin; bins with fewer than :data:`FEW` rows have no arrow.
        summary: what the figure shows, for who does not see it.
    """
    axes = (_line((-1, 0), (1, 0), 1, class_="zero"), _line((0, -1), (0, 1), 1, class_="zero"))
    middles = (errors.edges[:-1] + errors.edges[1:]) / 2
    arrows = [
        _arrow(middles[[v, a]], middles[[v, a]] + errors.shift[v, a])
        for v, a in np.argwhere(errors.counts >= FEW).tolist()
    ]
    return _frame(*_LABELS, 1, summary, sequence(*axes, _circle(), *arrows))


def darkest_error(errors: ErrorMap) -> float:
    """The largest mean error of the bins that hold enough rows to say something."""
    enough = errors.counts >= FEW
    there = errors.error[enough if enough.any() else errors.counts > 0]
    return float(max(there.max(), 1e-6))


def _picture(counts: Floats, most: int) -> bytes:
    """Counts on a logarithmic scale as a PNG, the label to the right; no row is transparent."""
    with np.errstate(divide="ignore"):
        places = (1 + np.log(counts)) / (1 + np.log(most))
    colours = ramp_colours(np.clip(places, 0, 1), BLUES[1:])
    pixels = np.concatenate([colours, np.where(counts > 0, 255, 0)[..., None]], -1)
    upright = pixels.transpose(1, 0, 2)[::-1].round().astype(np.uint8)
    large = upright.repeat(_PIXELS, axis=0).repeat(_PIXELS, axis=1)
    stream = io.BytesIO()
    Image.fromarray(large).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _tile(errors: ErrorMap, v: int, a: int, most: float) -> Html:
    """One bin: its colour is the error, its size says how many rows that is from."""
    count, error, edges = int(errors.counts[v, a]), float(errors.error[v, a]), errors.edges
    share = next(share for least, share in _SIZES if count >= least)
    side = _length(float(edges[1] - edges[0]), 1)
    x, y = _place(float(edges[v]), float(edges[a + 1]), 1)
    room = side * (1 - share) / 2
    text = (
        f"valence {edges[v]:.1f} to {edges[v + 1]:.1f}, arousal {edges[a]:.1f} to"
        f" {edges[a + 1]:.1f}: mean error {error:.2f}, {count:,} row{'s' * (count != 1)}"
    )
    return tag(
        "rect",
        tag("title", text),
        x=x + room + 0.5,
        y=y + room + 0.5,
        width=side * share - 1,
        height=side * share - 1,
        fill=ramp_colour(min(error / most, 1), BROWNS),
    )


def _arrow(start: Floats, end: Floats) -> Html:
    """A dot, a stem and a head; no head where the stem is shorter than it."""
    tail, tip = (
        np.array(_place(float(valence), float(arousal), 1), np.float64)
        for valence, arousal in (start, end)
    )
    dot = tag("circle", cx=tail[0], cy=tail[1], r=3, class_="start")
    if (length := float(np.hypot(*(tip - tail)))) <= _HEAD:
        return dot
    along = (tip - tail) / length
    across = np.array([-along[1], along[0]])
    neck = tip - _HEAD * along
    corners = (tip, neck + _HEAD / 2 * across, neck - _HEAD / 2 * across)
    points = " ".join(f"{x:.2f},{y:.2f}" for x, y in corners)
    stem = tag("line", x1=tail[0], y1=tail[1], x2=neck[0], y2=neck[1], class_="shift")
    return sequence(dot, stem, tag("polygon", points=points, class_="head"))


def _circle() -> Html:
    """The circle of radius 1 that the circumplex is named after."""
    x, y = _place(0, 0, 1)
    return tag("circle", cx=x, cy=y, r=_SIDE / 2, class_="circle")


def _frame(across: str, up: str, reach: float, summary: str, *content: Html) -> Html:
    """Content within labelled axes, as an SVG that is as wide as there is room."""
    marks = list[Html]()
    for tick in _TICKS:
        x, y = _place(tick, tick, reach)
        bottom, text = _TOP + _SIDE, f"{tick:g}".replace("-", "\u2212")
        marks += [
            tag("line", x1=x, x2=x, y1=bottom, y2=bottom + 4, class_="axis"),
            tag("line", x1=_LEFT - 4, x2=_LEFT, y1=y, y2=y, class_="axis"),
            tag("text", text, x=x, y=bottom + 18, text_anchor="middle"),
            tag("text", text, x=_LEFT - 8, y=y + 4.5, text_anchor="end"),
        ]
    border = tag("rect", x=_LEFT, y=_TOP, width=_SIDE, height=_SIDE, class_="border")
    middle = _TOP + _SIDE / 2
    names = (
        tag("text", across, x=_LEFT + _SIDE / 2, y=_TOP + _SIDE + 39, text_anchor="middle"),
        tag("text", up, text_anchor="middle", transform=f"translate(13 {middle:g}) rotate(-90)"),
    )
    width, height = _LEFT + _SIDE + 12, _TOP + _SIDE + _BELOW
    return tag(
        "svg",
        *(*content, border, *marks, *names),
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=summary,
    )


def _line(start: tuple[float, float], end: tuple[float, float], reach: float, class_: str) -> Html:
    (x1, y1), (x2, y2) = _place(*start, reach), _place(*end, reach)
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def _place(across: float, up: float, reach: float) -> tuple[float, float]:
    """Pixels of a point on the square of -reach to reach."""
    return _LEFT + _length(across + reach, reach), _TOP + _length(reach - up, reach)


def _length(distance: float, reach: float) -> float:
    return distance * _SIDE / (2 * reach)
