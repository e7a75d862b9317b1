"""A report as a reader's program sees it: elements, texts and tables, by the standard's own parser."""

from html.parser import HTMLParser

VOID = {"meta", "img", "wbr"}


class Page(HTMLParser):
    """Every element with its attributes and its whole text, in the order of the page."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self._open = [], []
        self.feed(text)
        self.close()
        assert not self._open, "an element without an end"

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "attributes": dict(attrs), "text": "", "within": list(self._open)}
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag):
        assert self._open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self._open:
            element["text"] += data

    def all(self, tag, class_=None):
        """Elements of a kind, those of a class if one is given."""
        return [
            element
            for element in self.elements
            if element["tag"] == tag
            and (class_ is None or class_ in (element["attributes"].get("class") or "").split())
        ]

    def texts(self, tag, class_=None):
        return [element["text"] for element in self.all(tag, class_)]

    def inside(self, element, tag):
        return [e for e in self.elements if element in e["within"] and e["tag"] == tag]

    def table(self, caption, section=None):
        """The table with a caption that begins so: row to column to text."""
        [table] = [
            table
            for table in self.all("table")
            if self.inside(table, "caption")[0]["text"].startswith(caption)
            and (section is None or section in (e["attributes"].get("id") for e in table["within"]))
        ]
        head, *rows = [
            [
                cell["text"]
                for cell in self.elements
                if row in cell["within"] and cell["tag"] in ("th", "td")
            ]
            for row in self.inside(table, "tr")
        ]
        if head[0] == "" and len(head) != len(rows[0]):  # a line above the head
            head, *rows = rows
        return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}
