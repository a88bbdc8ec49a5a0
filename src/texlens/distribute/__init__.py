"""The same work on a Ray cluster.

In: batches of items and a function for them, as `texlens.workers` takes them. Out: the same results
in the same order, whatever the number of nodes and workers. Ray places and restarts the actors and
moves the data; nothing here is a queue between machines, a lock or a scheduler.

Read `cluster` (to find a cluster that can be used), `actor` (what runs on its nodes), `crew` (the actors
seen from here), `batches` (which batch is done when, and what happens when it fails), then `reader`.
"""
