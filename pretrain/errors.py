"""The one error type that programs print as a single line, and how they end."""

import sys
from collections.abc import Callable


class UserError(ValueError):
    """Something a user can cause and mend: a wrong option, a broken file, a full disk.

    Its message is one line that names what, where, got and expected. Every program turns it into
    ``error: ...`` and a non-zero exit; every other exception is a fault of ours and keeps its
    traceback.
    """


def exit_code(work: Callable[[], None]) -> int:
    """Does a program's work and says in one line why it could not.

    Returns:
        0 when it is done, 2 after a :class:`UserError`, 130 after Ctrl-C, as a shell reports it.
    """
    try:
        work()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0
