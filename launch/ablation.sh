#!/usr/bin/env bash
# The ablation on drawn faces: every row with several seeds, then one table.
#   bash launch/ablation.sh OUT [SEEDS] [ROW ...]      OUT: a folder; SEEDS: how many (3)
# A second run goes on where the first was stopped. Runs in parallel: JOBS=4 bash launch/ablation.sh OUT
set -euo pipefail
source "$(dirname "$0")/environment.sh" ""
source launch/rows.sh

read_arguments "$@"
encoder=$out/encoder/encoder non_faces=$out/non_faces/encoder cnn=$out/cnn

face="--method.encoder=$encoder" with_cnn="--method.cnn=$cnn"
# From scratch: its own learning rate and layer decay, chosen on people who are not scored.
scratch="--optim.base_lr=8e-3 --optim.layer_decay=1.0"
declare -A rows=(
    [emma]="$face $with_cnn"
    [emma_without_cnn]="$face"
    [va_from_vit_features]="$face --method.model.va_input=features"
    [va_from_cnn_scores]="$face $with_cnn --method.model.va_input=cnn_scores"
    [va_from_vit_features_and_cnn_scores]="$face $with_cnn --method.model.va_input=features_and_cnn_scores"
    [va_from_features_of_both]="$face $with_cnn --method.model.va_input=features_of_both"
    [emma_from_scratch]="$with_cnn $scratch"
    [emma_pretrained_on_non_faces]="--method.encoder=$non_faces $with_cnn"
    [only_valence_arousal]="$face $with_cnn --method.losses.expression=0 --method.losses.action_units=0"
    [only_expression]="$face --method.losses.valence_arousal=0 --method.losses.action_units=0"
    [only_action_units]="$face --method.losses.valence_arousal=0 --method.losses.expression=0"
)
# Fewer labels, as many steps: every tenth person, every 25th (fewer would not fill a step).
for share in 0.1 0.04; do
    epochs=$(python -c "print(round(5 / $share))")
    few="--data.share=$share --training.epochs=$epochs"
    rows[emma_$share]="$face $with_cnn $few"
    rows[emma_from_scratch_$share]="$with_cnn $scratch $few"
done
# What scores can know of valence and arousal.
for rho in 0.3 1.0; do
    dial="--data.synthetic.score_sufficiency=$rho"
    rows[emma_rho_$rho]="$face $with_cnn $dial"
    rows[va_from_vit_features_rho_$rho]="$face --method.model.va_input=features $dial"
    rows[va_from_features_of_both_rho_$rho]="$face $with_cnn --method.model.va_input=features_of_both $dial"
done
# CoTEX: trained on exaggerated faces, scored on posed ones. Equal compute: the epochs of a row follow
# from the tokens that its views see (8 epochs of one whole view).
views="--method.encoders=[\"$encoder\"]"
alone="--method.views.views=1 --method.cotraining.weight=0"
whole="--method.cotraining.mask_ratio=0"
rows+=(
    [cotex_one_vit]="$views $alone $whole --training.epochs=8"
    [cotex_one_masked_vit]="$views $alone --training.epochs=15"
    [cotex_two_vits_averaged]="$views $whole --method.cotraining.weight=0 --training.epochs=4"
    [cotex_two_vits_agreeing]="$views $whole --training.epochs=4"
    [cotex_without_agreement]="$views --method.cotraining.weight=0 --training.epochs=7.5"
    [cotex]="$views --training.epochs=7.5"
    [cotex_shared_encoder]="$views --method.views.shared=true --training.epochs=7.5"
    [cotex_mask_0.75]="$views --method.cotraining.mask_ratio=0.75 --training.epochs=13.6"
    [cotex_mask_0.9]="$views --method.cotraining.mask_ratio=0.9 --training.epochs=34"
    [cotex_teacher]="$views --method.views.shared=true --method.cotraining.teacher=true \
        --optim.ema_decay=0.98 --training.epochs=5.8"
)
# Cues in one region of the face, of which a masked view may see nothing.
for row in cotex cotex_one_vit cotex_two_vits_averaged cotex_two_vits_agreeing cotex_without_agreement; do
    rows[${row}_local]="${rows[$row]} --data.synthetic.redundancy=local"
done
# Every tenth person is labelled; the others may take part in the agreement, half of every step.
tenth="--data.share=0.1"
others="$tenth --data.unlabelled=rest --data.unlabelled_passes=0.111"
rows+=(
    [cotex_one_vit_0.1]="$views $alone $whole $tenth --training.epochs=80"
    [cotex_0.1]="$views $tenth --training.epochs=75"
    [cotex_0.1_unlabelled]="$views $others --training.epochs=37.5"
    [cotex_teacher_0.1_unlabelled]="$views --method.views.shared=true --method.cotraining.teacher=true \
        --optim.ema_decay=0.98 $others --training.epochs=29"
)
choose_rows

stage_one() { # FOLDER OPTIONS
    python pretrain/main.py --config configs/finetune/ablation_pretrain.yaml --resume auto \
        --output_dir "$out/$1" "${@:2}"
}
stage_one encoder
stage_one non_faces --data.source non_faces
python finetune/main.py --config configs/finetune/ablation_cnn.yaml --resume auto --output_dir "$cnn"

config_of() { # ROW
    if [[ $1 == cotex* ]]; then
        echo cotex configs/finetune/ablation_cotex.yaml
    else
        echo rows configs/finetune/ablation.yaml
    fi
}
run_rows config_of
