#!/usr/bin/env bash
# From nothing to a pretrained face encoder on embedded (drawn) faces, on a CPU, in minutes.
# A second run finds everything done; remove runs/quickstart to train again.
set -euo pipefail
source "$(dirname "$0")/environment.sh" ""

started=$SECONDS
accelerate launch --num_processes 1 --num_machines 1 --mixed_precision no --dynamo_backend no \
    pretrain/main.py --config configs/pretrain/quickstart.yaml --resume auto
echo "quickstart took $((SECONDS - started)) s"
