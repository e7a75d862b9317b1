# Sourced by the slurm_*.sh, which set PROGRAM: one launcher a node, signals, requeueing.
#
# What reaches whom (measured, see launch/README.md): SLURM's --signal=B: goes to this shell alone,
# SIGTERM of preemption and of scancel to this shell and to the launchers, and, where SLURM tracks
# processes by cgroup, nothing but SIGKILL to the trainers. So the launchers have to hand signals on.

set -uo pipefail
signalled=
# Only the steps get it: the job goes on until they have saved.
trap 'signalled=yes; scancel --signal USR1 "$SLURM_JOB_ID"' USR1
trap : TERM # preempted or cancelled: the steps have it as well, wait for them

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
[ -z "${SLURM_CPUS_PER_TASK:-}" ] || export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK # srun drops it
arguments=("$@" --resume auto --runtime.processes $((SLURM_NNODES * PROCESSES_PER_NODE)))
# A wrong option ends the job here, before a node has copied or started anything.
config=$(python "$PROGRAM" "${arguments[@]}" --print_config) || exit 2
folder=$(python -c 'import os, sys, yaml
print(os.path.expanduser(yaml.safe_load(sys.argv[1])["output_dir"]))' "$config")

# Sets code. A trap ends wait before the step has ended, and now and then with a code of its own:
# the shell beside this one keeps the step's.
run_step() {
    local kept
    kept=$(mktemp) || exit 1
    {
        trap : USR1 TERM
        srun --ntasks-per-node=1 "$@"
        echo $? >"$kept"
    } &
    while kill -0 $! 2>/dev/null; do wait $!; done
    code=$(cat "$kept")
    code=${code:-1}
    rm -f "$kept"
}

# A start that brought nothing would be followed by others like it, without end.
requeue_or_exit() { # what this start brought; nothing: none
    if [ "$code" -eq 0 ] || [ -z "$signalled" ]; then
        exit "$code"
    elif [ -z "$1" ]; then
        echo "job $SLURM_JOB_ID: signalled, but nothing new was saved: not requeued; it needs a --time" \
            "well above the signal's lead, and the error above mended if there is one"
        exit "$code"
    elif [ "${SLURM_RESTART_COUNT:-0}" -ge "${MAX_RESTARTS:-1000}" ]; then
        echo "job $SLURM_JOB_ID: $1, but it was requeued $SLURM_RESTART_COUNT times (MAX_RESTARTS)"
        exit "$code"
    fi
    echo "job $SLURM_JOB_ID: $1, goes back to the queue"
    scontrol requeue "$SLURM_JOB_ID"
    exit 0
}

echo "job $SLURM_JOB_ID, start $((${SLURM_RESTART_COUNT:-0} + 1)), $SLURM_NNODES node(s) x $PROCESSES_PER_NODE"

if [ -n "${STAGE:-}" ]; then # a packed folder, copied to a disk of each node
    pack=$(sha256sum "$STAGE/pack.json") || exit 1
    export STAGE STAGED=${STAGE_TO:-${TMPDIR:-/tmp}}/faceprior-${pack:0:16}
    # Each file whole or not at all. A signal waits for the one that is being copied; then 75 says
    # that some have come, 1 that none has.
    run_step bash -c '
        stop= code=1
        trap "stop=yes" USR1 TERM
        cd "$STAGE" || exit 1
        while IFS= read -r -d "" file; do
            [ ! -e "$STAGED/$file" ] || continue
            part=$STAGED/$file.$SLURM_JOB_ID-$SLURM_NODEID.part
            if mkdir -p "${part%/*}" && cp "$file" "$part" && mv "$part" "$STAGED/$file"; then
                code=75
            else
                rm -f "$part"
                [ -n "$stop" ] || exit 1
            fi
            [ -z "$stop" ] || exit "$code"
        done < <(find -L . -type f -print0)'
    [ "$code" -ne 75 ] || requeue_or_exit "a part of the pack was copied"
    [ "$code" -eq 0 ] || requeue_or_exit ""
    arguments+=(--data.source "$STAGED")
fi

checkpoints() { ls -l --full-time "$folder"/checkpoints/step-*/COMMITTED 2>/dev/null; }
before=$(checkpoints)
# exec: a shell in between would take the signals and die of them.
run_step --kill-on-bad-exit=1 bash -c 'exec python -m torch.distributed.run \
    --nnodes "$SLURM_NNODES" --node_rank "$SLURM_NODEID" --nproc_per_node "$PROCESSES_PER_NODE" \
    --master_addr "$MASTER_ADDR" --master_port "$MASTER_PORT" "$@"' launcher "$PROGRAM" "${arguments[@]}"
saved="saved before its time was up"
[ "$(checkpoints)" != "$before" ] || saved=
requeue_or_exit "$saved"
