"""The figures of the plane: what stands where, read back from their SVG."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from report_pages import Page

from finetune.reporting.colours import BLUES, BROWNS, ramp_colour
from finetune.reporting.maps import density, error_map
from finetune.reporting.planes import darkest_error, density_figure, error_figure, shift_figure

#: Left, top and side of the square in the figure.
LEFT, TOP, SIDE = 54, 8, 360


def place(across, up, reach=1.0):
    """Pixels of a point, from the definition of the square."""
    return LEFT + (across + reach) / (2 * reach) * SIDE, TOP + (reach - up) / (2 * reach) * SIDE


def numbers(element, *names):
    return [float(element["attributes"][name]) for name in names]


def grid(rows):
    """An error map of (valence, arousal, times, shift of valence)."""
    target = np.repeat([[v, a] for v, a, _, _ in rows], [n for *_, n, _ in rows], axis=0)
    off = np.repeat([[d, 0.0] for *_, d in rows], [n for *_, n, _ in rows], axis=0)
    return error_map(target, target + off, 10)


def test_density_has_labels_to_the_right_and_predictions_upwards():
    edges, counts = density(np.array([1.0, 1.0, -1.0]), np.array([-0.5, -0.5, 1.0]))
    page = Page(density_figure(edges, counts, 10, "valence", "what it shows"))
    [image] = page.all("image")
    content = base64.b64decode(image["attributes"]["href"].partition(",")[2])
    pixels = np.asarray(Image.open(io.BytesIO(content)))[::8, ::8]
    assert pixels.shape == (41, 41, 4)
    assert np.argwhere(pixels[..., 3]).tolist() == [[0, 0], [30, 40]]  # from the top: 1, then -0.5
    more, fewer = pixels[30, 40, :3].astype(int).sum(), pixels[0, 0, :3].astype(int).sum()
    assert more < fewer  # darker
    assert numbers(image, "x", "y", "width", "height") == [LEFT, TOP, SIDE, SIDE]
    [diagonal] = page.all("line", "truth")
    ends = [*place(-1, -1, 1.025), *place(1, 1, 1.025)]
    assert numbers(diagonal, "x1", "y1", "x2", "y2") == pytest.approx(ends, abs=0.01)
    assert {"valence: label", "valence: prediction"} < set(page.texts("text"))
    assert page.all("svg")[0]["attributes"]["aria-label"] == "what it shows"


def test_ticks_stand_at_their_numbers():
    page = Page(shift_figure(grid([(0.1, 0.1, 9, 0.0)]), ""))
    texts = page.all("text")
    across = [
        t
        for t in texts
        if t["attributes"].get("text-anchor") == "middle" and "x" in t["attributes"]
    ]
    at = {t["text"]: float(t["attributes"]["x"]) for t in across}
    for text, value in {
        "\N{MINUS SIGN}1": -1,
        "\N{MINUS SIGN}0.5": -0.5,
        "0": 0,
        "0.5": 0.5,
        "1": 1,
    }.items():
        assert at[text] == pytest.approx(place(value, 0)[0])


def test_bins_are_coloured_by_error_and_sized_by_rows():
    errors = grid([(0.5, -0.5, 20, 0.4), (-0.5, 0.5, 5, 0.2), (0.1, 0.1, 1, 0.9)])
    assert darkest_error(errors) == pytest.approx(0.4)  # one row says too little
    page = Page(error_figure(errors, 0.4, ""))
    tiles = [r for r in page.all("rect") if page.inside(r, "title")]
    titles = [page.inside(tile, "title")[0]["text"] for tile in tiles]
    assert titles == [
        "valence -0.6 to -0.4, arousal 0.4 to 0.6: mean error 0.20, 5 rows",
        "valence 0.0 to 0.2, arousal 0.0 to 0.2: mean error 0.90, 1 row",
        "valence 0.4 to 0.6, arousal -0.6 to -0.4: mean error 0.40, 20 rows",
    ]
    for tile, middle, share, error in zip(
        tiles, [(-0.5, 0.5), (0.1, 0.1), (0.5, -0.5)], [0.7, 0.4, 1], [0.5, 1, 1], strict=True
    ):
        x, y, width, height = numbers(tile, "x", "y", "width", "height")
        assert (x + width / 2, y + height / 2) == pytest.approx(place(*middle), abs=0.01)
        assert width == height == pytest.approx(36 * share - 1, abs=0.01)
        assert tile["attributes"]["fill"] == ramp_colour(error, BROWNS)
    [circle] = page.all("circle")
    assert numbers(circle, "cx", "cy", "r") == [*place(0, 0), SIDE / 2]


def test_arrows_lead_from_the_middle_of_a_bin_to_the_mean_prediction():
    errors = grid([(0.5, -0.5, 5, -0.4), (-0.5, 0.5, 4, 0.3), (0.1, 0.1, 50, 0.0)])
    page = Page(shift_figure(errors, ""))
    starts = [numbers(c, "cx", "cy") for c in page.all("circle", "start")]
    assert starts == [pytest.approx(place(0.1, 0.1)), pytest.approx(place(0.5, -0.5))]
    [head] = page.all("polygon")  # no shift has no head, and four rows no arrow
    tip = head["attributes"]["points"].split()[0].split(",")
    assert [float(part) for part in tip] == pytest.approx(place(0.1, -0.5), abs=0.01)


def test_a_map_without_errors_can_be_drawn():
    errors = grid([(0.5, 0.5, 1, 0.0)])
    page = Page(error_figure(errors, darkest_error(errors), ""))
    assert page.inside(page.all("rect")[0], "title")[0]["text"].endswith("0.00, 1 row")


def test_ramps_grow_darker_to_any_eye():
    for ramp in (BLUES, BROWNS):
        shades = [
            int(c[1:3], 16) * 0.299 + int(c[3:5], 16) * 0.587 + int(c[5:], 16) * 0.114 for c in ramp
        ]
        assert (np.diff(shades) < -20).all()
        assert ramp_colour(0, ramp) == ramp[0]
        assert ramp_colour(1, ramp) == ramp[-1]
        assert ramp_colour(0.5, ramp) == ramp[2]
