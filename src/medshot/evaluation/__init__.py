"""Evaluation protocols, metrics with intervals, paired comparison, and the report."""
