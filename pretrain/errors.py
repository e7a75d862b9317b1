"""The one error type that programs print as a single line, and how they end."""

import errno
import io
import os
import sys
from collections.abc import Callable


class UserError(ValueError):
    """Something a user can cause and mend: a wrong option, a broken file, a full disk.

    Its message is one line that names what, where, got and expected. Every program turns it into
    ``error: ...`` and a non-zero exit; every other exception is a fault of ours and keeps its
    traceback.

    Attributes:
        everywhere: whether every process of the run has it; the main one says it then.
    """

    everywhere = False


def say_error(what: object) -> None:
    """Writes ``error: ...`` to stderr, in one piece with its end.

    torchrun starts Python without buffers, where ``print`` writes the end of a line by itself, and
    another process may say its own error in between.
    """
    sys.stderr.write(f"error: {what}\n")


def exit_code(work: Callable[[], None]) -> int:
    """Does a program's work and says in one line why it could not.

    Returns:
        0 when it is done, 2 after a :class:`UserError`, 130 after Ctrl-C and 141 where nobody reads
        on, as a shell reports them.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that it cannot show is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        work()
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        return 141
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EIO):
            raise
        _drop_output()
        say_error(f"standard output: {error.strerror}")
        return 2
    except UserError as error:
        say_error(error)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _drop_output() -> None:
    """Python writes what is left of it once more at its end, and would complain again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
