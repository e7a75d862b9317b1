"""HTML: text is escaped whatever it holds, and what was made here is not escaped again."""

from hypothesis import given
from hypothesis import strategies as st
from report_pages import Page

from finetune.reporting.markup import Html, printable, sequence, tag

HOSTILE = "<b>&amp; \"x\" 'y'</p><script>"


def test_text_is_escaped_and_elements_are_not():
    made = tag("p", HOSTILE, tag("b", "1 < 2"))
    assert made == (
        "<p>&lt;b&gt;&amp;amp; &quot;x&quot; &#x27;y&#x27;&lt;/p&gt;&lt;script&gt;"
        "<b>1 &lt; 2</b></p>"
    )
    assert isinstance(made, Html)
    assert sequence("<", made) == "&lt;" + made


def test_attributes_are_escaped_numbers_short_and_absent_ones_left_out():
    made = tag("rect", class_="a", aria_label='"<', x=1.5, y=2.0, width=1 / 3, id=None, viewBox="0")
    assert made == (
        '<rect class="a" aria-label="&quot;&lt;" x="1.5" y="2" width="0.33" viewBox="0"></rect>'
    )
    assert tag("img", src="x") == '<img src="x">'


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_any_text_comes_back_from_content_and_attribute(inside, value):
    [element] = Page(tag("p", inside, title=value)).elements
    assert element["text"] == printable(inside)
    assert element["attributes"] == {"title": printable(value)}


def test_what_cannot_be_seen_or_written_is_spelt_out():
    assert printable("a\nb\x00\udcff é") == "a\\nb\\x00\\udcff é"
    tag("p", "\udcff", title="\udcff").encode()
