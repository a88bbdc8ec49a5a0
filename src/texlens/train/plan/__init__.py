"""The dry run: what a fine-tuning run would train, need and take, before it costs anything.

In: a recipe and a number of devices. Out: counts of parameters and steps (exact), memory and time
(estimates), and warnings of likely mistakes, as text or JSON.

Read `dry_run` (all of it together), `lengths` (measures the data), `cost` (operations and memory of
a step, from shapes alone), `checks` (the warnings), `table` (text and JSON).
"""
