# Sourced by scripts that compare systems: runs rows of options with several seeds, then tabulates.
#
#   read_arguments OUT [SEEDS] [ROW ...]        sets out, seeds (3) and asked
#   declare -A rows=([NAME]="OPTIONS" ...)      options of finetune/main.py
#   choose_rows                                 those that are asked for; none: all
#   run_rows CONFIG_OF                          CONFIG_OF ROW prints "KIND CONFIG"
#
# A row lands in OUT/KIND/ROW/seed-N; a second run goes on where the first was stopped. JOBS=4 runs
# four at a time. One table a kind: OUT/KIND.md.

read_arguments() {
    out=${1:?a folder for the runs} seeds=${2:-3} asked=("${@:3}")
    [[ $out != *[[:space:]]* ]] || { echo "error: '$out', expected a folder without spaces" >&2; exit 2; }
    [[ $seeds =~ ^[1-9][0-9]*$ && ${JOBS:-1} =~ ^[1-9][0-9]*$ ]] || {
        echo "error: SEEDS '$seeds', JOBS '${JOBS:-1}', expected numbers from 1 on" >&2
        exit 2
    }
    export OMP_NUM_THREADS=1
}

choose_rows() {
    wanted=("${asked[@]}")
    [[ ${#wanted[@]} -gt 0 ]] || mapfile -t wanted < <(printf '%s\n' "${!rows[@]}" | sort)
    local row
    for row in "${wanted[@]}"; do
        [[ -n $row && -n ${rows[$row]:-} ]] || { echo "error: row '$row', expected some of ${!rows[*]}" >&2; exit 2; }
    done
}

_run_row() { # OUT ROW SEED KIND CONFIG
    local folder=$1/$4/$2/seed-$3
    [[ -f $folder/scores.json ]] && return
    # shellcheck disable=SC2086 # options, split on purpose
    python finetune/main.py --config "$5" --resume auto --seed "$3" --output_dir "$folder" \
        ${rows[$2]} > "$1/$2-$3.log" 2>&1 || { tail -n 3 "$1/$2-$3.log" >&2; return 1; }
    echo "$2 seed $3: done"
}

run_rows() {
    local config_of=$1 failed=0 seed row kind config ended
    mkdir -p "$out"
    ended=$(mktemp -d) # not exit codes: a shell forgets those of jobs whose number comes up again
    declare -A kinds=()
    for seed in $(seq 0 $((seeds - 1))); do
        for row in "${wanted[@]}"; do
            read -r kind config < <("$config_of" "$row")
            kinds[$kind]=1
            while (($(jobs -rp | wc -l) >= ${JOBS:-1})); do sleep 0.2; done
            { _run_row "$out" "$row" "$seed" "$kind" "$config" && : > "$ended/$row-$seed"; } &
        done
    done
    wait
    (($(find "$ended" -type f | wc -l) == seeds * ${#wanted[@]})) || failed=1
    rm -r "$ended"
    for kind in "${!kinds[@]}"; do
        python -m finetune.compare "$out/$kind" --out "$out/$kind.md" || failed=1
    done
    return "$failed"
}
