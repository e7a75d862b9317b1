#!/usr/bin/env bash
# Stage one on SLURM, through time limits and preemption to the end. From the repository's root:
#
#   sbatch --nodes 2 --gpus-per-node 8 --cpus-per-task 64 --time 04:00:00 launch/slurm_pretrain.sh \
#       --config configs/pretrain/face.yaml --data.source /data/packed --output_dir runs/face
#
# Options of sbatch come before the script, those of the program after it. Variables: STAGE, a packed
# folder that each node copies to its own disk (STAGE_TO, else TMPDIR), where it stays, and trains from;
# PROCESSES_PER_NODE, else the node's GPUs; SAVE_SECONDS that a save may take (240).
#SBATCH --job-name faceprior
#SBATCH --ntasks-per-node 1
#SBATCH --signal B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode append
#SBATCH --output %x-%j.log

PROGRAM=pretrain/main.py
source "${SLURM_SUBMIT_DIR:-.}/launch/slurm_job.sh"
