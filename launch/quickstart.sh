#!/usr/bin/env bash
# The whole story on embedded (drawn) faces, on a CPU, in minutes: pretrain an encoder, train a CNN,
# fine-tune EMMA on both, predict, score beside plain references, post-process, submit, report.
# A second run goes on where the first was stopped; remove runs/quickstart to train again.
set -euo pipefail
source "$(dirname "$0")/environment.sh" ""

started=$SECONDS
runs=runs/quickstart
launch() { accelerate launch --num_processes 1 --num_machines 1 --mixed_precision no --dynamo_backend no "$@"; }
chapter() { printf '\n== %s (%s s)\n' "$1" "$((SECONDS - started))"; }

chapter "1. Pretrain: a masked autoencoder on unlabelled faces"
launch pretrain/main.py --config configs/pretrain/quickstart.yaml --resume auto
chapter "2. An expression CNN, on posed faces of other people"
launch finetune/main.py --config configs/finetune/quickstart_cnn.yaml --resume auto > "$runs/cnn.log"
chapter "3. EMMA: pretrained encoder + CNN -> expressions, action units, valence and arousal"
launch finetune/main.py --config configs/finetune/quickstart.yaml --resume auto > "$runs/emma.log"
chapter "4. The same network without pretraining"
launch finetune/main.py --config configs/finetune/quickstart.yaml --resume auto --method.encoder null \
    --optim.layer_decay 1.0 --output_dir "$runs/scratch" --report false > "$runs/scratch.log"

chapter "5. Predict the test split, and score it beside two plain references"
test="--data.kind synthetic --data.split test --data.synthetic.count 600 --data.synthetic.size 64"
test+=" --data.synthetic.subjects 150 --data.synthetic.style posed"
mkdir -p "$runs/test"
for model in emma scratch; do
    python -m finetune.predict --model "$runs/$model" $test --out "$runs/test/$model.parquet"
done
python -m finetune.constant $test --out "$runs/test/training_mean.parquet"

chapter "6. Thresholds and class biases, fitted on the validation split"
validation=${test/split test/split validation}
python -m finetune.fit --table "$runs/emma/predictions/validation.parquet" $validation --out "$runs/test/rules.json"
python -m finetune.postprocess --table "$runs/test/emma.parquet" --rules "$runs/test/rules.json" \
    --out "$runs/test/emma_fitted.parquet"
for table in training_mean scratch emma emma_fitted; do
    python -m finetune.score --table "$runs/test/$table.parquet" $test --resamples 0 \
        --out "$runs/test/$table/seed-0/scores.json" > /dev/null
done

chapter "7. A submission, written and checked"
python - "$runs/test/emma.parquet" > "$runs/test/list.txt" << 'END'
import sys
from pathlib import Path
from finetune.table import read_table
print(*read_table(Path(sys.argv[1])).images, sep="\n")
END
rm -f "$runs/test/predictions.txt"
python -m finetune.submit --table "$runs/test/emma_fitted.parquet" --challenge abaw_mtl \
    --template "$runs/test/list.txt" --out "$runs/test/predictions.txt"
python -m finetune.submit --challenge abaw_mtl --template "$runs/test/list.txt" --check "$runs/test/predictions.txt"

chapter "8. A report"
python -m finetune.report --table "$runs/test/emma_fitted.parquet" $test --out "$runs/report.html"
echo
python -m finetune.compare "$runs/test" --rows '["training_mean", "scratch", "emma", "emma_fitted"]'
echo "quickstart took $((SECONDS - started)) s"
