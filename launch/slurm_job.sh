# Sourced by the slurm_*.sh, which set PROGRAM: one launcher a node, signals, requeueing.
#
# What reaches whom (measured, see launch/README.md): SLURM's --signal=B: goes to this shell alone,
# SIGTERM of preemption and of scancel to this shell and to the launchers, and, where SLURM tracks
# processes by cgroup, nothing but SIGKILL to the trainers. So the launchers have to hand signals on.

set -uo pipefail
cd "${SLURM_SUBMIT_DIR:-.}" || exit 1
if [ -z "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] && [ -f .venv/bin/activate ]; then
    source .venv/bin/activate
fi

# Nodes without a way out: a name that would be downloaded is an error at once, and no long wait.
export HF_HUB_OFFLINE=${HF_HUB_OFFLINE:-1}
# torchrun's own options: by default it dies of SIGUSR1, and kills 30 s after any signal.
export PET_SIGNALS_TO_HANDLE=SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1
export PET_SHUTDOWN_TIMEOUT=${SAVE_SECONDS:-240}

export MASTER_ADDR MASTER_PORT
MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000))
export PROCESSES_PER_NODE=${PROCESSES_PER_NODE:-${SLURM_GPUS_ON_NODE:-1}}
arguments=("$@" --resume auto --runtime.processes $((SLURM_NNODES * PROCESSES_PER_NODE)))

if [ -n "${STAGE:-}" ]; then # a packed folder, copied to a disk of each node
    export STAGED=${STAGE_TO:-${TMPDIR:-/tmp}}/faceprior-$SLURM_JOB_ID
    srun --ntasks-per-node=1 sh -c 'mkdir -p "$STAGED" && cp -ru "$STAGE/." "$STAGED"' || exit 1
    arguments+=(--data.source "$STAGED")
fi

signalled=
# Only the steps get it: the job goes on until they have saved.
trap 'signalled=yes; scancel --signal USR1 "$SLURM_JOB_ID"' USR1
trap : TERM # preempted or cancelled: the launchers have it as well, wait for them

echo "job $SLURM_JOB_ID, start $((${SLURM_RESTART_COUNT:-0} + 1)), $SLURM_NNODES node(s) x $PROCESSES_PER_NODE"
# exec: a shell in between would take the signals and die of them.
srun --ntasks-per-node=1 --kill-on-bad-exit=1 bash -c 'exec python -m torch.distributed.run \
    --nnodes "$SLURM_NNODES" --node_rank "$SLURM_NODEID" --nproc_per_node "$PROCESSES_PER_NODE" \
    --master_addr "$MASTER_ADDR" --master_port "$MASTER_PORT" "$@"' launcher "$PROGRAM" "${arguments[@]}" &
step=$!
while true; do # wait returns on every trap, before the step has ended
    wait "$step"
    code=$?
    kill -0 "$step" 2>/dev/null || break
done

if [ "$code" -ne 0 ] && [ -n "$signalled" ] && [ "${SLURM_RESTART_COUNT:-0}" -lt "${MAX_RESTARTS:-1000}" ]; then
    echo "job $SLURM_JOB_ID: saved before its time was up, goes back to the queue"
    scontrol requeue "$SLURM_JOB_ID"
    exit 0
fi
exit "$code"
