#!/bin/sh
# Render the shards that need TeX or Chromium: home_shards.sh LISTS OUT KIND PICTURES [WORKERS].
# KIND is browser (KaTeX, MathJax, native MathML) or tex. They travel to the machine that trains.
set -eu
lists=$1 out=$2 kind=$3 pictures=$4 workers=${5:-1}
# Lists as they are in no picture: numbers, names and operators are replaced.
sources="--source varied:16:$lists/arxiv_display.txt --source varied:12:$lists/arxiv_inline.txt
  --source varied:4:$lists/arxiv_hep_short.txt --source varied:8:$lists/school_k12.txt
  --source varied:5:$lists/school_handwritten_captions.txt
  --source varied:3:$lists/differential_equations.txt --source varied:1.5:$lists/logic_and_types.txt
  --source varied:4:$lists/stacks_formulas_train.txt --source varied:3:$lists/chemistry_reactions.txt
  --source recombine:4:$lists/im2latex_train.txt --source grammar:2"
made="words:4 named:2 units:4 degrees:2 boxed:4 money:3 cases:3 matrix:4 aligned:3 nested:3 roots:2
  long:1.5 single:2 number:1.5 plain:2.5 school:3 chemistry:5 rare:5"
for one in $made; do sources="$sources --source $one"; done
case $kind in
browser) renderers=katex:4,mathjax-chtml:2,mathjax-svg:1,mathml:5 seed=2001 ;;
tex) renderers=pdftex seed=2002 ;;
esac
# shellcheck disable=SC2086
texlens data render --out "$out" --pictures "$pictures" --per-shard 1000 --seed "$seed" \
    --max-tokens 300 --workers "$workers" --renderers "$renderers" $sources
