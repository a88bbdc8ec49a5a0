#!/bin/sh
# More SFT, rejection sampling and GRPO from one start, at equal time, for several seeds on one device.
#
#     MODEL=models/print_early DATA=../shared/data MINUTES=8 SEEDS="0 1 2" sh benchmarks/rl_arms.sh
#     TINY=1 sh benchmarks/rl_arms.sh        # all of it on a CPU, in a few minutes: does it run?
#
# Variables: MODEL, DATA (the folder with im2latex_train.parquet), OUT, MINUTES (of each arm), SEEDS, ARMS, and
# MORE, further options of rl_arms.py. Trains on the first 6,500 rows and reads the last 500. The tables are
# OUT/SEED/arms.md and OUT/seeds.md.
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python}
MODEL=${MODEL:-models/print_early}
DATA=${DATA:-../shared/data}
OUT=${OUT:-runs/rl_arms}
MINUTES=${MINUTES:-8}
SEEDS=${SEEDS:-"0 1 2"}
ARMS=${ARMS:-"sft rft grpo_text grpo_drawn"}
MORE=${MORE:-}
ROWS=0:6500
if [ -n "${TINY:-}" ]; then
    OUT=${OUT}_tiny MINUTES=0.3 SEEDS=0 ROWS=0:40
    MORE="--prompts 2 --answers 4 --items 12 --sft-batch 8 --max-new-tokens 60 \
--prefilter-prompts 0 $MORE"
fi
export PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}"

folders=
for seed in $SEEDS; do
    # shellcheck disable=SC2086  # lists of words
    "$PYTHON" benchmarks/rl_arms.py --model "$MODEL" --train "$DATA/im2latex_train.parquet" --rows $ROWS \
        --held-out "$DATA/im2latex_train.parquet" --held-out-rows 6500:7000 --minutes "$MINUTES" \
        --seed "$seed" --arms $ARMS --out "$OUT/$seed" $MORE
    folders="$folders $OUT/$seed"
done
pairs=
for arm in $ARMS; do
    pairs="$pairs start:$arm"
    [ "$arm" = sft ] || pairs="$pairs sft:$arm"
done
# shellcheck disable=SC2086
"$PYTHON" benchmarks/across_seeds.py $folders --change $pairs >"$OUT/seeds.md"
cat "$OUT/seeds.md"
