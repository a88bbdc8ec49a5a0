"""Sampling answers: by the fastest way that the network and its device allow.

In: a network in training, a processor's batch of prompts, and how many answers each is to get. Out:
the tokens of the answers.

Read `base` (how answers are sampled), `sampler` (which way is taken), `graphed` (the fast one).
"""
