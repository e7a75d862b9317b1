"""Anybody's submission: every kind of fault with its line, and what is none."""

import pytest
from submissions import MTL_HEADER, MTL_ROWS, bare_list, images

from finetune.submission.challenges import ChallengeError, challenge
from finetune.submission.checking import check, read_submission
from finetune.submission.template import read_template

ZEROS = ",0" * 12


def listed(root, name, content):
    (root / "list.txt").write_text(content)
    return read_template(root / "list.txt", challenge(name))


def checked(root, name, listing, files):
    """The check of one file (text or bytes), or of several by name."""
    files = files if isinstance(files, dict) else {"": files}
    contents = {k: v if isinstance(v, bytes) else v.encode() for k, v in files.items()}
    return check(contents, listed(root, name, listing), challenge(name))


def faults(*arguments):
    """As file:line: text, without the file where it is one."""
    found = checked(*arguments)
    assert (found.answers is None) == bool(found.faults)
    shown = []
    for fault in found.faults:
        assert "\n" not in fault.text
        line = "" if fault.line is None else f":{fault.line}"
        shown.append(f"{fault.file}{line}: {fault.text}")
    return shown


def test_a_faultless_file_is_read(tmp_path):
    found = checked(tmp_path, "abaw_mtl", bare_list(), MTL_HEADER + MTL_ROWS)
    assert list(found.faults) == list(found.remarks) == []
    rows = [row.split(",")[1:] for row in MTL_ROWS.splitlines()]
    assert found.answers.valence_arousal.tolist() == [[float(c) for c in row[:2]] for row in rows]
    assert found.answers.expression.tolist() == [int(row[2]) for row in rows]
    assert found.answers.action_units.tolist() == [[int(c) for c in row[3:]] for row in rows]


@pytest.mark.parametrize(
    ("change", "remarks"),
    [
        (lambda text: text.rstrip(), []),
        (lambda text: text.replace("0.500000,-0.250000,0,", " 5e-1 ,-0.25, 0 ,"), []),
        (lambda text: text.replace("\n", "\r\n"), ["lines end with CRLF"]),
        (lambda text: text + "\n \n", ["blank lines at the end"]),
    ],
)
def test_what_is_no_fault(tmp_path, change, remarks):
    found = checked(tmp_path, "abaw_mtl", bare_list(), change(MTL_HEADER + MTL_ROWS))
    assert list(found.faults) == []
    assert list(found.remarks) == remarks
    plain = checked(tmp_path, "abaw_mtl", bare_list(), MTL_HEADER + MTL_ROWS)
    assert (found.answers.cells() == plain.answers.cells()).all()


CODES = "expected 0 to 7 without a point (Neutral, Anger, Disgust, Fear, Happiness, Sadness,"
WIDTH = "expected 16: image, valence, arousal, expression, AU1, AU2, AU4,"
REAL = "expected a number in [-1, 1]"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("b.jpg,1.001,0,0" + ZEROS, f"valence '1.001', {REAL}"),
        ("b.jpg,0,-5,0" + ZEROS, f"arousal '-5', {REAL}"),
        ("b.jpg,nan,0,0" + ZEROS, f"valence 'nan', {REAL}"),
        ("b.jpg,0,-inf,0" + ZEROS, f"arousal '-inf', {REAL}"),
        ("b.jpg,,0,0" + ZEROS, f"valence '', {REAL}"),
        ("b.jpg,0,0_1,0" + ZEROS, f"arousal '0_1', {REAL}"),
        ("b.jpg,0,\u0661,0" + ZEROS, f"arousal '\u0661', {REAL}"),
        ("b.jpg,0,0,8" + ZEROS, f"expression '8', {CODES}"),
        ("b.jpg,0,0,-1" + ZEROS, f"expression '-1', {CODES}"),
        ("b.jpg,0,0,3.0" + ZEROS, f"expression '3.0', {CODES}"),
        ("b.jpg,0,0,Fear" + ZEROS, f"expression 'Fear', {CODES}"),
        ("b.jpg,0,0,0,2" + ZEROS[2:], "AU1 '2', expected 0 or 1 without a point"),
        ("b.jpg,0,0,0,0,0,0.0" + ZEROS[6:], "AU4 '0.0', expected 0 or 1 without a point"),
        ("b.jpg,0,0,0" + ZEROS[:-2] + ",0.7", "AU26 '0.7', expected 0 or 1 without a point"),
        ("b.jpg,0,0,0" + ZEROS[:-2], f"15 cells, {WIDTH}"),
        ("b.jpg,0,0,0" + ZEROS + ",", f"17 cells, {WIDTH}"),
        ("b.jpg", f"1 cells, {WIDTH}"),
        ("b.jpg;0;0;0", "'b.jpg;0;0;0', expected 'b.jpg' (line 2 of the template)"),
        ("x.jpg,0,0,0" + ZEROS, "'x.jpg', expected 'b.jpg' (line 2 of the template)"),
        (" b.jpg,0,0,0" + ZEROS, "' b.jpg', expected 'b.jpg' (line 2 of the template)"),
        ("a.jpg,0,0,0" + ZEROS, "'a.jpg', expected 'b.jpg' (line 2 of the template)"),
    ],
)
def test_a_row_that_is_wrong(tmp_path, row, expected):
    content = f"{MTL_HEADER}a.jpg,0,0,0{ZEROS}\n{row}\nc.jpg,0,0,0{ZEROS}\n"
    found = faults(tmp_path, "abaw_mtl", "a.jpg\nb.jpg\nc.jpg\n", content)
    assert len(found) == 1
    assert found[0].startswith(f":3: {expected}")


def test_every_fault_is_found_in_the_order_of_lines(tmp_path):
    content = (
        f"image,valence,arousal,expression\na.jpg,2,0,9{ZEROS}\n\nc.jpg,0,0{ZEROS}\n"
        f"d.jpg,0,0,0{ZEROS}\ny.jpg,0,0,0{ZEROS}\nb.jpg,x,0,0{ZEROS}"
    )
    found = faults(tmp_path, "abaw_mtl", "a.jpg\nb.jpg\nc.jpg\nd.jpg\n", content)
    assert [fault.partition(", expected")[0] for fault in found] == [
        ":1: 'image,valence,arousal,expression'",
        ":2: valence '2'",
        ":2: expression '9'",
        ":3: a blank line",
        ":4: 'c.jpg'",  # in the place of b.jpg; so are two more
        ":4: 15 cells",
        ":6: 'y.jpg'",
        ":7: valence 'x'",
    ]
    assert found[4].endswith(
        "expected 'b.jpg' (line 2 of the template); 3 rows are in the places of others"
    )
    assert found[6] == ":6: 'y.jpg', expected no such row"


class TestAlignment:
    LISTED = "image\n" + bare_list([f"v/{frame}.jpg" for frame in range(1, 401)])

    def faults(self, root, change):
        rows = [f"v/{frame}.jpg,{frame % 6}\n" for frame in range(1, 401)]
        change(rows)
        return faults(root, "abaw_lsd", self.LISTED, "image,expression\n" + "".join(rows))

    def test_one_missing_row_is_one_fault(self, tmp_path):
        assert self.faults(tmp_path, lambda rows: rows.pop(49)) == [
            ":51: a row is missing, expected 'v/50.jpg' (line 51 of the template)"
        ]

    def test_missing_rows(self, tmp_path):
        def change(rows):
            del rows[10:20], rows[350:]

        assert self.faults(tmp_path, change) == [
            ":12: 10 rows are missing, expected 'v/11.jpg' (line 12 of the template) to 'v/20.jpg'"
            " (line 21 of the template)",
            ":352: 40 rows are missing, expected 'v/361.jpg' (line 362 of the template) to"
            " 'v/400.jpg' (line 401 of the template)",
        ]

    def test_a_row_twice(self, tmp_path):
        assert self.faults(tmp_path, lambda rows: rows.insert(50, rows[49])) == [
            ":52: 'v/50.jpg' again, expected no such row"
        ]

    def test_rows_too_many(self, tmp_path):
        def change(rows):
            rows[100:100] = ["x.jpg,0\n", "y.jpg,bad,cells\n"]

        assert self.faults(tmp_path, change) == [
            ":102: 'x.jpg' and 1 rows after it, expected none of them, or not again"
        ]

    def test_other_paths_everywhere_are_one_fault(self, tmp_path):
        def change(rows):
            rows[:] = [f"cropped_aligned/{row}" for row in rows]

        assert self.faults(tmp_path, change) == [
            ":2: 'cropped_aligned/v/1.jpg', expected 'v/1.jpg' (line 2 of the template); the 399"
            " rows after it are not of the template either"
        ]

    def test_another_order_is_one_fault(self, tmp_path):
        found = self.faults(tmp_path, lambda rows: rows.sort())
        assert len(found) == 1
        assert found[0].startswith(
            ":3: 'v/10.jpg', expected 'v/2.jpg' (line 3 of the template); 39"
        )

    def test_the_cells_of_misplaced_rows_are_looked_at_all_the_same(self, tmp_path):
        def change(rows):
            rows[5], rows[6] = rows[6], "v/6.jpg,7\n"

        first, second = self.faults(tmp_path, change)
        assert first.startswith(
            ":7: 'v/7.jpg', expected 'v/6.jpg' (line 7 of the template); 2 rows"
        )
        assert second.startswith(":8: expression '7', expected 0 to 5")


class TestFile:
    @pytest.mark.parametrize(
        ("name", "content", "expected"),
        [
            (
                "abaw_lsd",
                "",
                [":1: '', expected the header image,expression", ": no rows, expected 2"],
            ),
            ("abaw_lsd", "image,expression\n", [": no rows, expected 2"]),
            (
                "abaw_lsd",
                "a.jpg,0\nb.jpg,1\n",
                [":1: 'a.jpg,0', expected the header image,expression"],
            ),
            (
                "abaw_lsd",
                "image, expression\na.jpg,0\nb.jpg,1\n",
                [":1: 'image, expression', expected the header image,expression"],
            ),
            (
                "abaw_lsd",
                "\ufeffimage,expression\na.jpg,0\nb.jpg,1\n",
                [":1: a byte order mark, expected none"],
            ),
            (
                "abaw_expr",
                "image_location,Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\n"
                "a.jpg,0\nb.jpg,0,1,0,0,0,0,0,0\n",
                [
                    ":3: 9 cells, expected 2: image_location, expression, the index of one class,"
                    " whatever the header says"
                ],
            ),
            (
                "abaw_va",
                "image,valence,arousal\na.jpg,0,0\nb.jpg,0,0\n",
                [":1: 'image,valence,arousal', expected the header image_location,valence,arousal"],
            ),
            (
                "abaw_lsd",
                "image,expression\na.jpg,0\rb.jpg,1\r",
                [
                    ":2: 3 cells, expected 2: image, expression, the index of one class, whatever"
                    " the header says",
                    ":3: a row is missing, expected 'b.jpg' (line 2 of the template)",
                ],
            ),
        ],
    )
    def test_headers_and_marks(self, tmp_path, name, content, expected):
        assert faults(tmp_path, name, "a.jpg\nb.jpg\n", content) == expected

    def test_other_encodings(self, tmp_path):
        content = "image,expression\na.jpg,0\nb.jpg,1\n".encode("utf-16")
        assert faults(tmp_path, "abaw_lsd", "a.jpg\nb.jpg\n", content) == [
            ":1: byte 0xff, expected UTF-8"
        ]
        assert faults(tmp_path, "abaw_lsd", "a.jpg\nb.jpg\n", b"image\na.jpg,0\n\xf6") == [
            ":3: byte 0xf6, expected UTF-8"
        ]


RIGHT = {"a.txt": "valence,arousal\n0,0\n0,0\n0.5,1\n", "b.txt": "valence,arousal\n1,0\n-1,0\n"}


class TestFolder:
    LISTED = "b,2\na,3\n"

    def changed(self, root, **files):
        named = {f"{name}.txt": content for name, content in files.items()}
        kept = {k: v for k, v in (RIGHT | named).items() if v is not None}
        return faults(root, "abaw2_va", self.LISTED, kept)

    def test_a_faultless_folder_is_read_in_the_order_of_the_template(self, tmp_path):
        found = checked(tmp_path, "abaw2_va", self.LISTED, RIGHT)
        affect = found.answers.valence_arousal.tolist()
        assert affect == [[1, 0], [-1, 0], [0, 0], [0, 0], [0.5, 1]]

    def test_files(self, tmp_path):
        assert self.changed(tmp_path, a=None, c="") == [
            "a.txt: no such file, expected it with 3 rows",
            "c.txt: a file of no video of the template, expected none",
        ]

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("valence,arousal\n0,0\n0,0\n", "a.txt:3: 2 rows, expected 3, one a frame"),
            ("valence,arousal\n0,0\n0,0\n0,0\n0,0\n", "a.txt:5: 4 rows, expected 3, one a frame"),
            ("valence,arousal\n", "a.txt: no rows, expected 3"),
            ("valence,arousal\n0,0\n\n0,0\n", "a.txt:3: a blank line, expected a row"),
            ("0,0\n0,0\n0,0\n", "a.txt:1: '0,0', expected the header valence,arousal"),
            ("-0.5,0\n0,0\n0,0\n", "a.txt:1: '-0.5,0', expected the header valence,arousal"),
            ("v,a\n0,0\n0,0\n0,0\n", "a.txt:1: 'v,a', expected the header valence,arousal"),
            ("valence,arousal\n0,0\n0,0\n0,2\n", f"a.txt:4: arousal '2', {REAL}"),
            (
                "valence,arousal\n0,0\na/00002.jpg,0,0\n0,0\n",
                "a.txt:3: 3 cells, expected 2: valence, arousal",
            ),
        ],
    )
    def test_rows(self, tmp_path, content, expected):
        assert self.changed(tmp_path, a=content) == [expected]

    def test_remarks_are_made_once(self, tmp_path):
        crlf = {name: text.replace("\n", "\r\n") for name, text in RIGHT.items()}
        found = checked(tmp_path, "abaw2_va", self.LISTED, crlf)
        assert list(found.remarks) == ["lines end with CRLF (2 files, first b.txt)"]


def test_a_file_for_a_folder_and_the_reverse(tmp_path):
    (tmp_path / "x.txt").write_text("")
    (tmp_path / "folder" / "sub").mkdir(parents=True)
    for place, name, expected in [
        ("folder", "abaw_mtl", "Is a directory, expected the submission to abaw_mtl: one file"),
        ("gone", "abaw_mtl", "No such file or directory, expected the submission to abaw_mtl"),
        ("x.txt", "abaw1_va", "Not a directory, expected the submission to abaw1_va: a folder"),
    ]:
        with pytest.raises(ChallengeError) as caught:
            read_submission(tmp_path / place, challenge(name))
        assert str(caught.value).startswith(f"{tmp_path / place}: {expected}")
    with pytest.raises(ChallengeError, match="folder/sub: Is a directory"):
        read_submission(tmp_path / "folder", challenge("abaw1_va"))


def test_images_are_compared_by_occurrence(tmp_path):
    names = images()
    rows = MTL_ROWS.splitlines(keepends=True)
    del rows[30]  # v2/00007.jpg for the third time
    assert faults(tmp_path, "abaw_mtl", bare_list(names), MTL_HEADER + "".join(rows)) == [
        ":32: a row is missing, expected 'v2/00007.jpg' (line 31 of the template)"
    ]
