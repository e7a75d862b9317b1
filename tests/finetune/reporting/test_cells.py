"""Numbers in tables, and the charts that stand beside them."""

import numpy as np
import pytest
from report_pages import Page

from finetune.intervals import Interval
from finetune.reporting.cells import chart, chart_title, number
from finetune.scoring.text import shown


def interval(value, low=np.nan, high=np.nan):
    return Interval(*(np.array(part, np.float64) for part in (value, low, high)), np.array(0))


@pytest.mark.parametrize(
    "ends", [(0.5, 0.25, 0.75), (0.5,), (np.nan,), (-0.3, -0.4, -0.1), (1.0, 1.0, 1.0)]
)
def test_a_number_is_the_text_of_the_scores(ends):
    found = interval(*ends)
    page = Page(f"<td>{number(found)}</td>")
    assert page.texts("td") == [shown(found)]
    assert page.texts("span", "interval") == (
        [] if len(ends) == 1 else [shown(found).split(" ", 1)[1]]
    )


def test_a_gain_has_a_plus():
    assert Page(f"<td>{number(interval(0.1, 0, 0.2), signed=True)}</td>").texts("td") == [
        "+.100 [.000, .200]"
    ]
    assert number(interval(-0.1), signed=True) == "-.100"
    assert number(interval(0.0), signed=True) == ".000"
    assert number(interval(np.nan), signed=True) == "-"


def test_a_chart_stands_where_its_numbers_are():
    page = Page(chart(interval([0.2, 0.5], [0.1, 0.25], [0.3, 1.2]), 1, (0, 1)))
    [dot], [bar] = page.all("circle"), page.all("line", "range")
    assert dot["attributes"]["cx"] == "50.00%"
    assert (bar["attributes"]["x1"], bar["attributes"]["x2"]) == ("25.00%", "100.00%")
    page = Page(chart(interval(-0.1, -0.2, 0.0), None, (-0.2, 0.2)))
    assert page.all("circle")[0]["attributes"]["cx"] == "25.00%"
    assert [line["attributes"]["x1"] for line in page.all("line", "zero")] == ["50.00%"]


def test_what_is_not_defined_is_not_drawn():
    page = Page(chart(interval(np.nan), None, (0, 1)))
    assert not page.all("circle")
    page = Page(chart(interval(0.5), None, (0, 1)))
    assert not page.all("line", "range")
    assert page.all("circle")


def test_a_line_is_numbered():
    page = Page(f"<th>{chart_title('F1', (-0.25, 0.25))}</th>")
    assert page.texts("span") == ["\N{MINUS SIGN}.250.25", "\N{MINUS SIGN}.25", "0", ".25"]
