"""What the two training programs do around a run: parse, run, end with one line and a code."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from typing import TypeVar

from pretrain.engine.config import parse_config
from pretrain.engine.launcher import number, processes
from pretrain.engine.signals import EXIT_STOPPED
from pretrain.errors import UserError, say_error

Config = TypeVar("Config")

#: What gloo says to a process that waits for one that has ended.
_OTHER_ENDED = re.compile(
    r"gloo/transport/.*(Connection closed by peer|Connection reset by peer|Broken pipe)"
)

#: What a disk can do to any write (trackers write for themselves).
_DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO)


def run_program(config_class: type[Config], run: Callable[[Config], bool], program: str) -> int:
    """Parses a config and carries its run out.

    Args:
        config_class: of the config.
        run: does the work; True when it is complete, False after a stop signal.
        program: how it is called, for ``--help``.

    Returns:
        0 when the run is complete, 75 after a stop signal (saved, go on with ``--resume auto``),
        2 for an error, which is one line.
    """
    try:
        return 0 if run(parse_config(config_class, None, program)) else EXIT_STOPPED
    except UserError as error:
        if not (error.everywhere and _place("RANK")):
            say_error(error)
    except OSError as error:
        if error.errno not in _DISK_FAULTS:
            raise
        say_error(f"{error.filename or 'disk'}: {error.strerror}")
    except RuntimeError as error:
        if not _OTHER_ENDED.search(str(error)):
            raise
        if not _place("LOCAL_RANK"):  # a line a node
            say_error("another process ended; its error is above")
    return 2


def _place(name: str) -> int:
    """This process's place among several; 0 where it is the only one."""
    return number(name, 0) if processes() > 1 else 0
