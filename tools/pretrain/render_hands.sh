#!/bin/sh
# Render the handwriting of the pretraining runs:
#
#     render_hands.sh KIND LISTS OUT PICTURES SEED [WORKERS]
#
# KIND is open (strokes of fonts with an open licence), composed or mixed (CROHME's strokes: the environment has
# INK, the folder TrainINKML, and CAPTIONS, the file with the LaTeX of its formulas). LISTS is what
# formula_lists.py wrote. The same command goes on where it stopped. The shards of the recipes are
#
#     pretrain_formulas:     render_hands.sh open     LISTS data/open_hands_shards 60000 22 16
#     pretrain_handwriting:  render_hands.sh composed LISTS data/composed_shards 260000 21 16
#                            render_hands.sh mixed    LISTS data/crohme_shards   100000 20 16
set -eu
kind=$1 lists=$2 out=$3 pictures=$4 seed=$5 workers=${6:-1}
school="varied:%s:$lists/school_handwritten_captions.txt varied:%s:$lists/school_k12.txt varied:%s:$lists/arxiv_inline.txt"
case $kind in
open)
    hands="--hands $(dirname "$0")/../../data/hand_glyphs/hands.txt"
    # shellcheck disable=SC2059
    sources="$(printf "$school" 5 3 5) varied:1:$lists/arxiv_display.txt matrix:0.3 cases:0.3 roots:0.5 nested:0.5 single:0.3 number:0.5"
    ;;
composed) # letters and digits are replaced, so that no caption is learnt by heart
    hands="--ink $INK --captions $CAPTIONS"
    cut -f2 "$CAPTIONS" >"$lists/crohme.txt"
    # shellcheck disable=SC2059
    sources="varied:5:$lists/crohme.txt $(printf "$school" 4 2 3) matrix:0.3 cases:0.3 roots:0.3 nested:0.5"
    ;;
mixed) hands="--ink $INK --captions $CAPTIONS" sources= ;;
*) echo "KIND is open, composed or mixed." >&2 && exit 2 ;;
esac
# shellcheck disable=SC2046,SC2086
texlens data render $hands --pictures "$pictures" --per-shard 1000 --seed "$seed" --workers "$workers" \
    --out "$out" ${sources:+$(printf -- '--source %s ' $sources)}
