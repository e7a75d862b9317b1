"""HTML that cannot be forgotten to be escaped: text is text unless a function here made it."""

from __future__ import annotations

import html

#: Elements without content and end.
_VOID = ("meta", "img", "wbr")


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *content: str, **attributes: str | float | None) -> Html:
    """An element.

    Args:
        name: of the element, of HTML or SVG.
        content: what it holds; what is no :class:`Html` is escaped.
        attributes: ``class_`` and ``aria_label`` stand for ``class`` and ``aria-label``; numbers
            are rounded to a hundredth; one that is None is left out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(_plain(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = sequence(*content)
    return Html(f"<{name}{written}>" + ("" if name in _VOID else f"{inside}</{name}>"))


def sequence(*content: str) -> Html:
    """Content after each other; what is no :class:`Html` is escaped."""
    parts = (part if isinstance(part, Html) else html.escape(printable(part)) for part in content)
    return Html("".join(parts))


def printable(text: str) -> str:
    """A text whose line breaks, control characters and halves of characters are spelt out."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _plain(value: str | float) -> str:
    return printable(value) if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
