"""How programs end: by one line, whoever reads it."""

import os
import socket
import subprocess
import sys

import pytest
from programs import ROOT, environment, run

PROGRAM = (
    "import sys\nfrom pretrain.errors import exit_code\nsys.exit(exit_code(lambda: print({})))"
)


def test_a_reader_that_leaves_is_no_traceback() -> None:
    command = [sys.executable, "-c", PROGRAM.format("'line\\n' * 100_000")]
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write) as stdout:
        done = subprocess.run(
            command, cwd=ROOT, env=environment(), stdout=stdout, stderr=subprocess.PIPE, timeout=60
        )
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_full_disk_behind_the_output_is_one_line() -> None:
    command = [sys.executable, "-c", PROGRAM.format("'line\\n' * 100_000")]
    with open("/dev/full", "w") as stdout:
        done = subprocess.run(
            command, cwd=ROOT, env=environment(), stdout=stdout, stderr=subprocess.PIPE, timeout=60
        )
    expected = b"error: standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (2, expected)


def test_a_name_that_the_terminal_cannot_show_is_escaped() -> None:
    code, out, err = run("-c", PROGRAM.format("'n\\u00e9'"), PYTHONIOENCODING="ascii:strict")
    assert (code, out, err) == (0, "n\\xe9\n", "")


def test_an_error_is_one_write_so_that_those_of_several_processes_do_not_mix() -> None:
    """Each datagram is a write; launchers start Python without buffers (``-u``)."""
    program = "from pretrain.errors import say_error; say_error('a: got b, expected c')"
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        command = [sys.executable, "-u", "-c", program]
        subprocess.run(command, cwd=ROOT, env=environment(), stderr=theirs, timeout=60, check=True)
        ours.setblocking(False)
        assert ours.recv(1000) == b"error: a: got b, expected c\n"
        with pytest.raises(BlockingIOError):
            ours.recv(1000)
