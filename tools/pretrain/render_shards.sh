#!/bin/sh
# Render the shards of recipe pretrain_print: render_shards.sh LISTS DATA. On a machine without TeX the
# pictures are MathJax's, in the fonts of texlens-fonts: write them to DATA/mathjax_shards there, and
# DATA/tex_shards where TeX is installed.
set -eu
lists=$1 data=$2
dev= train=
for source in varied:3:arxiv_display varied:2.5:arxiv_inline varied:1.5:arxiv_hep_short \
    varied:1:school_k12 varied:0.5:school_handwritten_captions varied:0.3:differential_equations \
    varied:0.2:logic_and_types varied:1:stacks_formulas_train; do
    dev="$dev --source ${source%:*}:$lists/${source##*:}.dev.txt"
    train="$train --source ${source%:*}:$lists/${source##*:}.txt"
done
if command -v pdflatex >/dev/null; then
    texlens data render --out "$data/tex_shards" --pictures 150000 --per-shard 3000 --seed 101 \
        --max-tokens 300 $(echo "$train" | sed 's/varied/list/g') --source grammar:1.5 \
        --source "recombine:4:$lists/im2latex_train.txt" --source "recombine:2:$lists/arxiv_display.txt"
else
    texlens data render --out "$data/dev_shards" --pictures 500 --per-shard 500 --seed 7 $dev
    texlens data render --out "$data/mathjax_shards" --pictures 1258000 --seed 11 --max-tokens 300 $train \
        --source "recombine:2:$lists/im2latex_train.txt" --source "recombine:1.5:$lists/arxiv_display.txt" \
        --source grammar:1
fi
