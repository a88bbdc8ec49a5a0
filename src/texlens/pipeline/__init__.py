"""The whole story in one command: prepare, train in stages, evaluate, compare, one report."""
