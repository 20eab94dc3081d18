"""Evaluation: one result record per item and arm, with seed, settings and confidence intervals."""
