"""The dry run: what a fine-tuning run would train and need, before it costs anything.

In: a recipe and a number of devices. Out: counts of parameters and steps (exact), memory (an
estimate), and warnings of likely mistakes, as text or JSON.

Read `dry_run` (all of it together), `lengths` (measures the data), `memory` (of a step, from
shapes alone), `checks` (the warnings), `table` (text and JSON).
"""
