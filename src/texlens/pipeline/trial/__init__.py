"""`texlens trial`: the first day on a new machine, in minutes.

In: a model and pictures. Out: every step of the two reports, short, and one page: pass, or what to do.

Read `run` (the steps and what each measures), `checks` (what is expected), `page`.
"""
