"""Training: from scratch on rendered formulas, supervised fine-tuning, and GRPO."""

import logging

# Tells of a faster kernel at every import, in every process; nobody can act on it here.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
