"""Baselines without meta-training: fine-tuning, template matching, blob detection, filters."""
