"""Generating answers token by token.

In: a model's probabilities of the next token. Out: `generation.Completion`: tokens, their
log-probabilities, and why an answer was cut.

Read in this order: `generation` (the loop, the same for all backends), `constraints` (only LaTeX
that parses), `repair` (of an answer that does not), `guard` (when which of the two is used),
`positions` (of a prompt's tokens) and `greedy` (a Qwen2.5-VL in torch).
"""
