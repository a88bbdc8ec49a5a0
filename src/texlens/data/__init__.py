"""Data: every corpus of the field into one checked format, and pictures of our own making."""
