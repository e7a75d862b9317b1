"""Program: ``accelerate launch finetune/main.py --config configs/finetune/X.yaml [overrides]``."""

import sys

from finetune.train import FinetuneConfig, finetune
from pretrain.program import run_program


def main() -> int:
    """Parses, runs, and turns what a user can mend into one line."""
    return run_program(FinetuneConfig, finetune, "accelerate launch finetune/main.py")


if __name__ == "__main__":
    sys.exit(main())
