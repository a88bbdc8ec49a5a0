"""Rewards of GRPO for formulas.

In: completions and their references. Out: one number per completion and reward, and a record of
what was found. Nothing here depends on torch or TRL.

Read `functions` (all rewards, with TRL's signature), `text` (those of the GRPO report), `rendered`
(those of the rendered formula), `picture` (the answer drawn and compared with the picture), `jobs`
(both computed in the processes of `texlens.workers`).
"""
