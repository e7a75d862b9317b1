#!/usr/bin/env bash
# The recognisers of the older papers on drawn faces, and what their parts are worth.
#   bash launch/systems.sh OUT [SEEDS] [ROW ...]      OUT: a folder; SEEDS: how many (3)
# A second run goes on where the first was stopped. Runs in parallel: JOBS=4 bash launch/systems.sh OUT
set -euo pipefail
source "$(dirname "$0")/environment.sh" ""
source launch/rows.sh

read_arguments "$@"

arcface="--method.network.expression_head=cosine --method.margin.angle=0.5 --method.margin.warmup_epochs=2"
no_norms="--optim.base_lr=1.6e-3" # networks without batch norms
half="--method.losses.valence_arousal=0.25 --method.losses.expression=0.5 --method.losses.action_units=0.5"
only_affect="--method.losses.valence_arousal=0.5 --method.losses.expression=0 --method.losses.action_units=0"
only_categories="--method.losses.valence_arousal=0"
declare -A rows=(
    [mt_vgg]="--method.network.trunk=vgg_face $no_norms"
    [mt_affwild]="--method.network.trunk=vgg_face $no_norms $half"
    [mt_arcvgg]="--method.network.trunk=vgg_face $no_norms $arcface"
    [mt_sphereface]="--method.network.image_size=48 --method.network.trunk=sphereface_20 $no_norms"
    [mt_inception_resnet]="--method.network.image_size=80 --method.network.trunk=inception_resnet_v1"
    [mt_ir_50]="--method.network.trunk=ir_50"
    [mt_arcres]="--method.network.trunk=ir_50 $arcface"
    [mtanet]="--method.network.trunk=seresnet50 --method.network.task_hidden=256"
    [abaw_cnn]="--method.network.image_size=48 --method.losses.valence_arousal=0 --method.losses.action_units=0"
)
# A small network, so that three seeds of everything are minutes: several tasks against alpha and
# beta alone, by how much the tasks share.
for coupling in 0.0 0.5 1.0; do
    dial="--data.synthetic.task_coupling=$coupling"
    rows[several_tasks_$coupling]="$dial $half"
    rows[affect_alone_$coupling]="$dial $only_affect"
    rows[categories_alone_$coupling]="$dial $only_categories"
done
rows[expressions_softmax]="--method.losses.valence_arousal=0 --method.losses.action_units=0"
rows[expressions_cosine]="${rows[expressions_softmax]} --method.network.expression_head=cosine"
rows[expressions_arcface]="${rows[expressions_softmax]} $arcface"
# Faces with labels of an expression or of action units, never both.
apart="--data.synthetic.overlap=false"
matching="--method.coupling.distribution_matching=1" annotation="--method.coupling.co_annotation=1"
rows[tasks_apart]="$apart"
rows[tasks_apart_matching]="$apart $matching"
rows[tasks_apart_co_annotation]="$apart $annotation"
rows[tasks_apart_both]="$apart $matching $annotation"
# Videos: the same frames one by one, and with memory (a step sees about as many of them).
videos="--data.synthetic.style=wild --data.synthetic.frames_per_video=30 --validation.style=wild"
rows[frames]="$videos"
clips="--method.network.trunk=plain_cnn --method.network.image_size=32 --method.clip_frames=8 \
    --training.global_batch_size=4 --optim.base_lr=0.064"
rows[frames_with_memory]="$videos --method=CNNRNN $clips"
# Videos whose voices tell half of the variance of arousal, and some of which are silent.
voices="$videos --data.synthetic.voice_share=0.5 --data.synthetic.silent_share=0.1"
listening="$voices --method=AVCNNRNN --data.sound.folder=drawn"
rows[voices_unheard]="$voices --method=CNNRNN $clips"
rows[voices_heard]="$listening $clips"
rows[voices_of_others]="$listening --data.sound.shuffled=true $clips"
# The discriminator of a GAN, and the same network on labels alone; every tenth person labelled, the
# others real faces without labels.
supervised="--method.adversarial.weight=0" tenth="--data.share=0.1"
rows[gan]="--method.adversarial.weight=1"
rows[gan_alone]="$supervised"
rows[gan_0.1]="$tenth --data.unlabelled=rest --data.unlabelled_passes=0.111 --training.epochs=125"
rows[gan_alone_0.1]="$tenth $supervised --training.epochs=250"
choose_rows

config_of() { # ROW
    case $1 in
    frames*) echo videos configs/finetune/systems.yaml ;;
    voices*) echo voices configs/finetune/systems.yaml ;;
    several_* | affect_* | categories_*) echo tasks configs/finetune/systems.yaml ;;
    tasks_apart*) echo apart configs/finetune/systems.yaml ;;
    gan*) echo gan configs/finetune/gan_drawn.yaml ;;
    expressions_*) echo margin configs/finetune/systems.yaml ;;
    *) echo systems configs/finetune/systems.yaml ;;
    esac
}
run_rows config_of
