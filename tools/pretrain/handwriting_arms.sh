#!/bin/sh
# What is composed handwriting worth? Train at equal compute on real ink, mixed ink, composed ink and all
# three; read CROHME 2013 (dev) with each:
#
#     handwriting_arms.sh SHARED_DATA OUT START
#
# SHARED_DATA is the folder with crohme_ink.tar.xz and the lists of formulas, START a model that reads print,
# such as models/print_early. The same command goes on where it stopped. Environment, with its defaults:
#
#     GPUS=4 WORKERS=32 PICTURES=600000 STEPS=12000 PATCHES=131072 SEEDS="0 1 2"
#
# Each arm has so many STEPS of so many PATCHES a seed, one GPU each: 70 minutes on four H100 at the 8.5 steps/s
# of models/handwriting (7.8 M parameters), more for a larger START. Everything is left in OUT: the recipes, each run's log and weights, the readings, and
# table.tsv. Set EXTRA="--set KEY=VALUE ..." to change a setting of all arms.
set -eu
shared=$(realpath "$1") start=$(realpath "$3") tools=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$2" && out=$(realpath "$2") && cd "$out"
: "${GPUS:=4}" "${WORKERS:=32}" "${PICTURES:=600000}" "${STEPS:=12000}" "${PATCHES:=131072}"
: "${SEEDS:=0 1 2}" "${EXTRA:=}"

# Data. CROHME 2014 is not unpacked: it is only read for a reported number.
[ -d ink/crohme ] || { mkdir -p part && tar xJf "$shared/crohme_ink.tar.xz" -C part \
    crohme/TrainINKML crohme/TestINKMLGT && mv part ink; }
ink=ink/crohme/TrainINKML captions="$shared/crohme_captions_train.tsv"
[ -d lists ] || python "$tools/formula_lists.py" "$shared" lists
[ -f real/train.parquet ] || texlens data prepare crohme --from $ink --captions "$captions" \
    --sizes 8800/0/0 --vary-ink --seed 42 --workers "$WORKERS" --out real
[ -f dev/test.parquet ] || texlens data prepare crohme --from ink/crohme/TestINKMLGT \
    --sizes 0/0/600 --vary-ink --seed 42 --workers "$WORKERS" --out dev
export INK=$ink CAPTIONS=$captions
"$tools/render_hands.sh" mixed lists mixed "$PICTURES" 20 "$WORKERS"
"$tools/render_hands.sh" composed lists composed "$PICTURES" 21 "$WORKERS"

# The shape of START, as a recipe has it.
cat >shape.py <<'PYTHON'
import json, sys

config = json.load(open(sys.argv[1] + "/config.json"))
vision, text = config["vision_config"], config.get("text_config", config)
print("shape:", dict(
    vision_width=vision["hidden_size"], vision_layers=vision["depth"], vision_heads=vision["num_heads"],
    vision_mlp=vision["intermediate_size"], patch=vision["patch_size"], merge=vision["spatial_merge_size"],
    text_width=text["hidden_size"], text_layers=text["num_hidden_layers"],
    text_heads=text["num_attention_heads"], text_key_value_heads=text["num_key_value_heads"],
    text_mlp=text["intermediate_size"],
))
PYTHON
shape=$(python shape.py "$start")

# Arms: where the samples come from.
real="parquet: real/train.parquet" mixed="shards: mixed" composed="shards: composed"
recipe() { # NAME SOURCE...
    name=$1 && shift
    { cat "$tools/handwriting_arm.yaml" && printf 'start: %s\nmax_steps: %s\nminutes: null\n%s\n' "$start" "$STEPS" "$shape" &&
        printf 'patches_per_batch: %s\ndev:\n  - {parquet: dev/test.parquet, rows: [0, 200]}\ndata:\n' "$PATCHES" &&
        printf '  - {%s}\n' "$@"; } >"$name.yaml"
}
recipe real "$real"
recipe mixed "$mixed"
recipe composed "$composed"
recipe all "$real, mixing_ratio: 0.25" "$mixed, mixing_ratio: 0.3" "$composed, mixing_ratio: 0.45"

train() { # GPU: its arms and seeds, one after another
    number=0
    for seed in $SEEDS; do
        for arm in real mixed composed all; do
            if [ $((number % GPUS)) = "$1" ] && [ ! -f "runs/$arm-$seed/run.json" ]; then
                # shellcheck disable=SC2086
                CUDA_VISIBLE_DEVICES=$1 texlens train pretrain "$arm.yaml" --set "seed=$seed" $EXTRA \
                    --out "runs/$arm-$seed" >"$arm-$seed.log" 2>&1
            fi
            if [ $((number % GPUS)) = "$1" ] && [ ! -f "scores/$arm-$seed/metrics.json" ]; then
                CUDA_VISIBLE_DEVICES=$1 texlens evaluate --data dev/test.parquet --model "runs/$arm-$seed/model" \
                    --out "scores/$arm-$seed" >>"$arm-$seed.log" 2>&1
            fi
            number=$((number + 1))
        done
    done
}
mkdir -p scores
pids=
for gpu in $(seq 0 $((GPUS - 1))); do
    train "$gpu" &
    pids="$pids $!"
done
for pid in $pids; do wait "$pid" || failed=1; done
[ -z "${failed:-}" ] || { echo "An arm failed: see the last lines of $out/*.log." >&2 && exit 1; }
python "$tools/arms_table.py" scores | tee table.tsv
