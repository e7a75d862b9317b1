"""Program: ``accelerate launch pretrain/main.py --config configs/pretrain/X.yaml [overrides]``."""

import errno
import sys

from pretrain.engine.config import parse_config
from pretrain.engine.signals import EXIT_STOPPED
from pretrain.errors import UserError
from pretrain.train import PretrainConfig, pretrain

#: What a disk can do to any write (trackers write for themselves).
_DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO)


def main() -> int:
    """Parses, runs, and turns what a user can mend into one line.

    Returns:
        0 when the run is complete, 75 after a stop signal (saved, go on with ``--resume auto``),
        2 for an error.
    """
    try:
        config = parse_config(PretrainConfig, None, "accelerate launch pretrain/main.py")
        return 0 if pretrain(config) else EXIT_STOPPED
    except UserError as error:
        message = str(error)
    except OSError as error:
        if error.errno not in _DISK_FAULTS:
            raise
        message = f"{error.filename or 'disk'}: {error.strerror}"
    print(f"error: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
