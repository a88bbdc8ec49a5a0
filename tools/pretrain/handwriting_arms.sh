#!/bin/sh
# What is composed handwriting worth? Train at equal compute on real ink, mixed ink, composed ink, all three,
# and on open hands (fonts' strokes, none of CROHME's); read CROHME 2013 (dev) with each:
#
#     handwriting_arms.sh SHARED_DATA OUT START
#
# SHARED_DATA is the folder with crohme_ink.tar.xz and the lists of formulas, START a model that reads print
# and has seen no handwriting. The same command goes on where it stopped. Environment, with its defaults:
#
#     ARMS="real mixed composed all open" SEEDS="0 1 2" GPUS="0 1 2 3" WORKERS=32
#     PICTURES=600000 STEPS=12000 PATCHES=131072 READ_LIKE=models/handwriting
#
# Each arm has so many STEPS of so many PATCHES a seed. One run at a time is trained on each of GPUS: a GPU
# that is named twice trains two side by side. With STEPS=0 only the data is made. All are read at the size of
# type of READ_LIKE's texlens.json. Everything is left in OUT: the recipes, each run's log and weights, the
# readings, and table.tsv with the paired differences from the first arm.
# Set EXTRA="--set KEY=VALUE ..." to change a setting of all arms.
set -eu
shared=$(realpath "$1") start=$(realpath "$3") tools=$(cd "$(dirname "$0")" && pwd)
read_like=$(realpath "${READ_LIKE:-$tools/../../models/handwriting}")
mkdir -p "$2" && out=$(realpath "$2") && cd "$out"
: "${ARMS:=real mixed composed all open}" "${SEEDS:=0 1 2}" "${GPUS:=0 1 2 3}" "${WORKERS:=32}"
: "${PICTURES:=600000}" "${STEPS:=12000}" "${PATCHES:=131072}" "${EXTRA:=}"

# Data. CROHME 2014 is not unpacked: it is only read for a reported number.
[ -d ink/crohme ] || { mkdir -p part && tar xJf "$shared/crohme_ink.tar.xz" -C part \
    crohme/TrainINKML crohme/TestINKMLGT && mv part ink; }
ink=ink/crohme/TrainINKML captions="$shared/crohme_captions_train.tsv"
[ -d lists ] || python "$tools/formula_lists.py" "$shared" lists
export INK=$ink CAPTIONS=$captions
shards() { # KIND SEED
    [ -f "made/$1-$PICTURES" ] || "$tools/render_hands.sh" "$1" lists "$1" "$PICTURES" "$2" "$WORKERS"
    touch "made/$1-$PICTURES"
}
mkdir -p made
case " $ARMS " in
*" real "* | *" all "*) [ -f real/train.parquet ] || texlens data prepare crohme --from $ink \
    --captions "$captions" --sizes 8800/0/0 --vary-ink --seed 42 --workers "$WORKERS" --out real ;;
esac
case " $ARMS " in *" mixed "* | *" all "*) shards mixed 20 ;; esac
case " $ARMS " in *" composed "* | *" all "*) shards composed 21 ;; esac
case " $ARMS " in *" open "*) shards open 22 ;; esac
[ -f dev/test.parquet ] || texlens data prepare crohme --from ink/crohme/TestINKMLGT \
    --sizes 0/0/663 --vary-ink --seed 42 --workers "$WORKERS" --out dev
[ "$STEPS" != 0 ] || exit 0

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
recipe open "shards: open"

run() { # ARM SEED: train and read, as far as it is not done
    # shellcheck disable=SC2086
    [ -f "runs/$1-$2/run.json" ] || texlens train pretrain "$1.yaml" --set "seed=$2" $EXTRA --out "runs/$1-$2" || return 1
    [ -f "scores/$1-$2/metrics.json" ] || texlens evaluate --data dev/test.parquet --model "runs/$1-$2/model" \
        --prompt "$read_like" --batch-size 256 --metrics exprate,exprate_1,edit_tokens,exprate_cdm,layout \
        --workers 4 --out "scores/$1-$2"
}
take() { # GPU: the runs that nobody has taken yet, one after another
    failed=0
    for seed in $SEEDS; do
        for arm in $ARMS; do
            mkdir "taken/$arm-$seed" 2>/dev/null || continue
            CUDA_VISIBLE_DEVICES=$1 run "$arm" "$seed" >"$arm-$seed.log" 2>&1 || failed=1
        done
    done
    return $failed
}
rm -rf taken && mkdir -p scores taken
pids= failed=0
for gpu in $GPUS; do
    take "$gpu" &
    pids="$pids $!"
done
for pid in $pids; do wait "$pid" || failed=1; done
# shellcheck disable=SC2086
python "$tools/arms_table.py" scores $ARMS | tee table.tsv
[ $failed = 0 ] || { echo "An arm failed: see the last lines of $out/*.log." >&2 && exit 1; }
