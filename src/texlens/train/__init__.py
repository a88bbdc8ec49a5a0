"""Training: from scratch on rendered formulas, supervised fine-tuning, and GRPO."""
