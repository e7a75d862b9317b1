"""Program: ``accelerate launch pretrain/main.py --config configs/pretrain/X.yaml [overrides]``."""

import sys

from pretrain.program import run_program
from pretrain.train import PretrainConfig, pretrain


def main() -> int:
    """Parses, runs, and turns what a user can mend into one line."""
    return run_program(PretrainConfig, pretrain, "accelerate launch pretrain/main.py")


if __name__ == "__main__":
    sys.exit(main())
