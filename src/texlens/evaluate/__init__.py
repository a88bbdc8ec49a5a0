"""Running a model over a data set and scoring it: one run, or a suite of models and sets."""
