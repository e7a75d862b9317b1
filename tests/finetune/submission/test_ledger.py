"""The ledger: a line for every submission, none that is mixed, and no submission without a line."""

import hashlib
import json
import os
import subprocess
import sys

import pytest
from programs import ROOT, environment

from finetune.submission.ledger import append, digest, place
from pretrain.files import WriteError


def lines(folder):
    return [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]


def test_a_file_appears_with_its_line_and_replaces_what_was_there(tmp_path):
    out = tmp_path / "new" / "predictions.txt"
    place(out, {"": b"one\n"}, {"n": 1})
    place(out, {"": b"two\n"}, {"n": "zwei \u00e4\n"})
    assert out.read_bytes() == b"two\n"
    assert lines(out.parent) == [{"n": 1}, {"n": "zwei \u00e4\n"}]
    assert sorted(os.listdir(out.parent)) == ["ledger.jsonl", "predictions.txt"]


def test_a_folder_appears_with_its_line_beside_it(tmp_path):
    place(tmp_path / "va", {"a.txt": b"1", "b.txt": b"2"}, {"n": 1})
    assert (tmp_path / "va" / "b.txt").read_bytes() == b"2"
    assert sorted(os.listdir(tmp_path)) == ["ledger.jsonl", "va"]
    with pytest.raises(WriteError, match="va: is there already, expected a new folder"):
        place(tmp_path / "va", {"a.txt": b"3"}, {"n": 2})
    assert (tmp_path / "va" / "a.txt").read_bytes() == b"1"
    assert sorted(os.listdir(tmp_path)) == ["ledger.jsonl", "va"]


@pytest.mark.parametrize("files", [{"": b"1"}, {"a.txt": b"1"}])
class TestNothingAppears:
    def test_where_nothing_can_be_written(self, tmp_path, files):
        (tmp_path / "file").write_text("")
        with pytest.raises(WriteError, match="cannot write"):
            place(tmp_path / "file" / "out", files, {})
        assert os.listdir(tmp_path) == ["file"]

    def test_where_the_ledger_cannot_be_written(self, tmp_path, files):
        (tmp_path / "ledger.jsonl").mkdir()
        with pytest.raises(WriteError, match=r"ledger\.jsonl: cannot write: Is a directory"):
            place(tmp_path / "out", files, {})
        assert os.listdir(tmp_path) == ["ledger.jsonl"]

    def test_on_a_full_disk(self, tmp_path, files):
        (tmp_path / "ledger.jsonl").symlink_to("/dev/full")
        with pytest.raises(WriteError, match=r"ledger\.jsonl: cannot write: "):
            place(tmp_path / "out", files, {})
        assert os.listdir(tmp_path) == ["ledger.jsonl"]


def die_after(events):
    """Kills this process before one of the events that Python reports: opened, renamed, ..."""
    left = events

    def hook(*_):
        nonlocal left
        left -= 1
        if left == -1:
            os.kill(os.getpid(), 9)  # itself an event

    sys.addaudithook(hook)


@pytest.mark.parametrize("files", [{"": b"new"}, {"a.txt": b"new", "b.txt": b"2"}])
def test_killed_anywhere_there_is_no_submission_without_its_line(tmp_path, files):
    for events in range(100):
        folder = tmp_path / str(events)
        folder.mkdir()
        if "" in files:
            (folder / "out").write_bytes(b"old")
        child = os.fork()
        if not child:
            die_after(events)
            place(folder / "out", files, {"n": events})
            os._exit(0)
        _, status = os.waitpid(child, 0)
        found = {name for name in os.listdir(folder) if not name.startswith(".")}
        noted = "ledger.jsonl" in found and lines(folder) == [{"n": events}]
        if os.path.isdir(folder / "out"):
            assert {name: (folder / "out" / name).read_bytes() for name in files} == files
            there = True
        else:
            there = (folder / "out").exists() and (folder / "out").read_bytes() == b"new"
        assert noted or not there
        if status == 0:
            break
    assert there
    assert events > 5


def test_a_line_that_was_cut_short_spoils_no_other(tmp_path):
    ledger = tmp_path / "ledger.jsonl"
    append(ledger, {"n": 1})
    ledger.write_text(ledger.read_text() + '{"n": 2, "warn')
    append(ledger, {"n": 3})
    append(ledger, {"n": 4})
    found = ledger.read_text().splitlines()
    assert [json.loads(line)["n"] for line in (found[0], *found[2:])] == [1, 3, 4]


def test_programs_that_run_at_once_do_not_mix_their_lines(tmp_path):
    code = (
        "import sys; from pathlib import Path; from finetune.submission.ledger import append\n"
        "for n in range(200): append(Path(sys.argv[1]), {'by': sys.argv[2], 'text': 'x' * 5000})"
    )
    ledger = tmp_path / "ledger.jsonl"
    started = [
        subprocess.Popen([sys.executable, "-c", code, ledger, by], cwd=ROOT, env=environment())
        for by in "ab"
    ]
    assert [process.wait() for process in started] == [0, 0]
    found = lines(tmp_path)
    assert sorted(line["by"] for line in found) == ["a"] * 200 + ["b"] * 200


def test_digests_are_those_of_the_shell(tmp_path):
    assert digest({"": b"abc"}) == hashlib.sha256(b"abc").hexdigest()
    files = {"v10.txt": b"1", "V2.txt": b"2", "v1.txt": b"3"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    command = "export LC_ALL=C; sha256sum *.txt | sha256sum"
    printed = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert printed.stdout.split()[0] == digest(files) == digest(dict(sorted(files.items())))
