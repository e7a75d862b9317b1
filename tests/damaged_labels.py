"""Label files with one fault each, made from a seed: what editors, downloads and scripts do to files."""

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from every_kind import EVERY, TEXTS

#: Files that are rows of text; those of lists hold no label; of those that do, which cells.
ROWS = [name for name in TEXTS if name != "afew_va"]
LISTS = [name for name in ROWS if name.endswith(" test")]
LABELS = {
    "affectnet": range(6, 9),
    "rafdb": [1],
    "ferplus": range(2, 12),
    "fer2013": [0],
    "disfa": range(2),
    "raf_au": [1],
    "ckplus": range(2),
    "emotionet": range(1, 5),
    "aff_wild2_mtl": range(1, 16),
    "aff_wild2_video VA": range(2),
    "aff_wild2_video EXPR": [0],
    "aff_wild2_video AU": range(12),
    "manifest": range(1, 6),
}
LABELLED = list(LABELS)
#: Lines of words, not of cells between commas.
WORDS = ["rafdb", "raf_au", "ckplus"]
COMMAS = [name for name in LABELLED if name not in WORDS]
#: The first line is a header; where columns are found by name, it may have others, in any order.
HEADED = [name for name in COMMAS if name != "disfa"]
BY_NAME = ["affectnet", "ferplus", "fer2013", "emotionet", "manifest"]
#: A row begins with a path.
PATHS = [*LISTS, "affectnet", "rafdb", "raf_au", "aff_wild2_mtl", "manifest", "emotionet"]

#: From a tree's name, the lines of a file, chance and whether there is a header: the new lines, and
#: the number of the line that is at fault, if it is one.
Fault = Callable[[str, list[str], Random, bool], tuple[list[str], int | None]]


def _but(names: list[str], *others: str) -> list[str]:
    return [name for name in names if name not in others]


@dataclass(frozen=True)
class Damaged:
    """One damaged file of a tree.

    Attributes:
        tree: a name of EVERY.
        fault: what was done.
        file: to which of its files.
        content: what it holds now.
        rule: harmless (reads as before); refused, at the line or "below" it or "anywhere"; either
            of the two; cut (refused, or some rows less and one of them changed).
        line: that is at fault; None: no single one.
    """

    tree: str
    fault: str
    file: str
    content: bytes
    rule: str
    line: int | None


def _place(lines: list[str], random: Random, headed: bool) -> int:
    """A row that is no header."""
    rows = range(1 if headed else 0, len(lines))
    return random.choice([at for at in rows if lines[at].strip()])


def _row(change: Callable[[str], str]) -> Fault:
    """A fault of one row."""

    def fault(tree, lines, random, headed):
        at = _place(lines, random, headed)
        return [*lines[:at], change(lines[at]), *lines[at + 1 :]], at + 1

    return fault


def _cell(change: Callable[[str], str]) -> Fault:
    """A fault of one cell of one row, where a label stands."""

    def fault(tree, lines, random, headed):
        at = _place(lines, random, headed)
        mark = None if tree in WORDS else ","
        cells = lines[at].split(mark)
        place = random.choice([place for place in LABELS[tree] if place < len(cells)])
        cells[place] = change(cells[place])
        return [*lines[:at], (mark or " ").join(cells), *lines[at + 1 :]], at + 1

    return fault


def _every(change: Callable[[str], str]) -> Fault:
    """A fault of all rows."""

    def fault(tree, lines, random, headed):
        return list(map(change, lines)), None

    return fault


def _inserted(text: str) -> Fault:
    """A line among the others."""

    def fault(tree, lines, random, headed):
        at = random.randrange(1, max(len(lines), 2))
        return ([*lines[:at], text, *lines[at:]], at + 1) if len(lines) > 1 else (lines, None)

    return fault


def _two_in_one(tree, lines, random, headed):
    first = 1 if headed else 0
    if len(lines) < first + 2:
        return lines, None
    at = random.randrange(first, len(lines) - 1)
    return [*lines[:at], f"{lines[at]},{lines[at + 1]}", *lines[at + 2 :]], at + 1


def _one_in_two(row: str) -> str:
    place = row.find(",") if "," in row else row.find(" ")
    return row if place < 0 else f"{row[: place + 1]}\n{row[place + 1 :]}"


def _less(row: str) -> str:
    cells = row.split(",")
    return ",".join(cells[:1] + cells[2:])


def _quoted(row: str) -> str:
    return ",".join(f'"{cell}"' for cell in row.split(","))


def _backwards(row: str) -> str:
    return ",".join(reversed(row.split(",")))


#: Name, rule, fault, and the trees that it is for.
FAULTS: list[tuple[str, str, Fault, list[str]]] = [
    ("line ends of Windows", "harmless", _every("{}\r".format), ROWS),
    ("spaces at the ends", "harmless", _every("{} \t".format), _but(ROWS, "manifest")),
    ("a comma behind a path", "harmless", _row("{},".format), LISTS),
    ("every cell quoted", "harmless", _every(_quoted), _but(BY_NAME, "manifest")),
    ("a quoted cell", "harmless", _cell('"{}"'.format), BY_NAME),
    ("columns in another order", "harmless", _every(_backwards), _but(BY_NAME, "manifest", "emotionet")),
    ("no header where none is needed", "harmless", lambda t, lines, *_: (lines[1:], None), ["affectnet", *LISTS]),
    ("no header", "refused", lambda t, lines, *_: (lines[1:], 1), _but(HEADED, "affectnet")),
    ("the header twice", "refused", lambda t, lines, *_: (lines[:1] + lines, 2), [*HEADED, *LISTS]),
    ("the file twice", "refused", lambda t, lines, *_: (lines * 2, len(lines) + 1), [*HEADED, *LISTS]),
    ("one cell more", "refused", _row("{},0".format), COMMAS),
    ("one word more", "refused", _row("{} 0".format), ["rafdb", "raf_au"]),
    ("one cell less", "refused", _row(_less), _but(COMMAS, "aff_wild2_video EXPR")),
    ("a comma at the end", "refused", _row("{},".format), COMMAS),
    ("semicolons", "refused", _every(lambda row: row.replace(",", ";")), COMMAS),
    ("tabs", "refused", _every(lambda row: row.replace(",", "\t")), COMMAS),
    ("spaces", "refused", _every(lambda row: row.replace(",", " ")), COMMAS),
    ("a row of semicolons", "refused", _row(lambda row: row.replace(",", ";")), COMMAS),
    ("decimal commas", "refused", _every(lambda row: row.replace(".", ",")), COMMAS),
    ("not a number", "refused", _cell(lambda cell: "nan"), LABELLED),
    ("an infinite number", "refused", _cell(lambda cell: "-inf"), LABELLED),
    ("a huge number", "refused", _cell(lambda cell: "1e9"), LABELLED),
    ("a number out of range", "refused", _cell(lambda cell: "11"), _but(LABELLED, "raf_au", "ckplus", "disfa")),
    ("a negative number", "refused", _cell(lambda cell: "-7"), LABELLED),
    ("a fraction of a class", "refused", _cell(lambda cell: f"{cell}.5"), ["fer2013", "rafdb", "ferplus", "aff_wild2_video EXPR", "aff_wild2_video AU", "disfa"]),
    ("a word", "refused", _cell(lambda cell: "x"), LABELLED),
    ("digits of another script", "refused", _cell(lambda cell: "٣"), LABELLED),
    ("an underscore in a number", "refused", _cell(lambda cell: "1_0"), LABELLED),
    ("an empty cell", "refused", _cell(lambda cell: ""), _but(COMMAS, "manifest", "aff_wild2_video EXPR")),
    ("a quoted cell where none may be", "refused", _cell('"{}"'.format), _but(LABELLED, *BY_NAME)),
    ("an open quotation mark", "refused anywhere", _cell('"{}'.format), LABELLED),
    ("columns in an order that is not theirs", "refused", _every(_backwards), ["aff_wild2_mtl", "aff_wild2_video VA", "aff_wild2_video AU"]),
    ("a blank line", "refused", _inserted(""), _but(ROWS, "ckplus")),
    ("a line of spaces", "refused", _inserted("  "), _but(ROWS, "ckplus")),
    ("a comment", "refused", _inserted("# checked by ann"), ROWS),
    ("the mark of a merge", "refused", _inserted("<<<<<<< HEAD"), ROWS),
    ("one row in two lines", "refused below", _row(_one_in_two), _but(LABELLED, "ckplus")),
    ("two rows in one line", "refused", _two_in_one, COMMAS),
    ("a zero byte", "either", _row(lambda row: f"{row[:3]}\0{row[3:]}"), ROWS),
    ("a path that leads out", "refused", _row("../{}".format), PATHS),
    ("an absolute path", "refused", _row("/{}".format), PATHS),
]  # fmt: skip

#: Faults of the bytes of a whole file; every kind has them.
BYTES = [
    ("a byte order mark", "harmless", lambda content, random: b"\xef\xbb\xbf" + content),
    ("no last line end", "harmless", lambda content, random: content.rstrip(b"\n")),
    ("line ends of an old Mac", "either", lambda content, random: content.replace(b"\n", b"\r")),
    ("UTF-16", "refused", lambda content, random: content.decode().encode("utf-16")),
    ("compressed", "refused", lambda content, random: gzip.compress(content, mtime=0)),
    ("nothing", "refused", lambda content, random: b""),
    ("a page instead of the file", "refused", lambda content, random: _PAGE),
    ("a pointer instead of the file", "refused", lambda content, random: _POINTER),
    ("a byte of another encoding", "refused", lambda content, random: _spoilt(content, random)),
    ("zeros at the end", "either", lambda content, random: content + bytes(64)),
    ("zeros in place of the end", "either", lambda content, random: _zeroed(content, random)),
    *(
        ("cut", "cut", lambda content, random: content[: random.randrange(len(content))])
        for _ in range(6)
    ),
]
_PAGE = b"<!DOCTYPE html>\n<html><body>Sign in to go on, please</body></html>\n"
_POINTER = (
    b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32\n"
    b"size 7892048\n"
)


def _spoilt(content: bytes, random: Random) -> bytes:
    at = random.randrange(len(content))
    return content[:at] + b"\xe9" + content[at:]


def _zeroed(content: bytes, random: Random) -> bytes:
    at = random.randrange(len(content))
    return content[:at] + bytes(len(content) - at)


def corpus(seed: int = 0) -> Iterator[Damaged]:
    """Every fault in every tree that it is for, in a file and at a place of its choice."""
    for tree in TEXTS:
        random = Random(f"{seed} {tree}")
        headed = tree in HEADED or tree in LISTS
        files = sorted(EVERY[tree].files.items())
        for fault, rule, change, trees in FAULTS:
            if tree in trees:
                file, content = random.choice(files)
                lines = content.removesuffix("\n").split("\n")
                new, line = change(tree, lines, random, headed)
                if new != lines:
                    damaged = "\n".join([*new, ""]).encode()
                    yield Damaged(tree, fault, file, damaged, rule, line)
        for fault, rule, spoil in BYTES:
            file, content = random.choice(files)
            damaged = spoil(content.encode(), random)
            if damaged != content.encode():
                yield Damaged(tree, fault, file, damaged, rule, None)
