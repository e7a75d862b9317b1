#!/usr/bin/env bash
# Stage two on SLURM, through time limits and preemption to the end. From the repository's root:
#
#   sbatch --nodes 1 --gpus-per-node 8 --cpus-per-task 64 --time 04:00:00 launch/slurm_finetune.sh \
#       --config configs/finetune/emma.yaml --data.root /data/s-Aff-Wild2 --output_dir runs/emma
#
# Options of sbatch come before the script, those of the program after it. Variables:
# PROCESSES_PER_NODE, else the node's GPUs; SAVE_SECONDS that a save may take (240).
#SBATCH --job-name faceprior
#SBATCH --ntasks-per-node 1
#SBATCH --signal B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode append
#SBATCH --output %x-%j.log

if [ -n "${STAGE:-}" ]; then
    echo "error: STAGE '$STAGE', expected with slurm_pretrain.sh alone: labelled data are not packed" >&2
    exit 2
fi
PROGRAM=finetune/main.py
source "${SLURM_SUBMIT_DIR:-.}/launch/slurm_job.sh"
