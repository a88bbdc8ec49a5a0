#!/bin/sh
# Render the shards of a pretraining run:
#
#     render_shards.sh KIND LISTS OUT PICTURES SEED [WORKERS]
#
# KIND is what renders: mathjax (anywhere), tex and smooth (need TeX Live; smooth leaves out the style of
# im2latex-100k), browser (KaTeX, MathJax and native MathML in Chromium), dev (MathJax; formulas that no run
# trains on). LISTS is what formula_lists.py wrote. The same command goes on where it stopped. Shards of the
# second generation (at commit c52ce72, before matrices of powers; smooth came after it):
#
#     where TeX and Chromium are:  render_shards.sh browser LISTS data/browser_shards 60000 2003
#                                  render_shards.sh tex     LISTS data/tex_shards     40000 2002
#                                  render_shards.sh smooth  LISTS data/smooth_shards  40000 2006
#     where the training runs:     render_shards.sh mathjax LISTS data/mathjax_shards 1200000 2004 60
#                                  render_shards.sh dev     LISTS data/dev_shards     2000 2005
set -eu
kind=$1 lists=$2 out=$3 pictures=$4 seed=$5 workers=${6:-1}
suffix=txt
case $kind in
mathjax) renderers=mathjax ;;
tex) renderers=pdftex ;;
smooth) renderers=pdftex-smooth ;;
browser) renderers=katex:4,mathjax-chtml:2,mathjax-svg:1,mathml:5 ;;
dev) renderers=mathjax suffix=dev.txt ;;
*) echo "KIND is mathjax, tex, smooth, browser or dev." >&2 && exit 2 ;;
esac
# No formula is rendered as a list has it: numbers, names and operators are replaced.
sources=
for one in 16:arxiv_display 12:arxiv_inline 4:arxiv_hep_short 8:school_k12 \
    5:school_handwritten_captions 3:differential_equations 1.5:logic_and_types \
    4:stacks_formulas_train 3:chemistry_reactions; do
    sources="$sources --source varied:${one%:*}:$lists/${one#*:}.$suffix"
done
[ "$kind" = dev ] || sources="$sources --source recombine:4:$lists/im2latex_train.txt"
for one in grammar:2 words:4 named:2 units:4 degrees:2 boxed:4 money:3 cases:3 matrix:6 aligned:3 \
    nested:3 roots:2 long:1.5 single:2 number:1.5 plain:2.5 school:3 chemistry:5 rare:5; do
    sources="$sources --source $one"
done
# shellcheck disable=SC2086
texlens data render --out "$out" --pictures "$pictures" --per-shard 1000 --seed "$seed" \
    --max-tokens 300 --workers "$workers" --renderers "$renderers" $sources
