#!/usr/bin/env bash
# Runs the checks and tests: bash launch/test.sh [pytest arguments]
# Without arguments: format, lint, types, then the default tests. With arguments: pytest alone.
set -euo pipefail
source "$(dirname "$0")/environment.sh" "dev,deepspeed"

if [ $# -eq 0 ]; then
    python -m ruff format --check .
    python -m ruff check .
    python -m mypy
fi
exec python -m pytest "$@"
