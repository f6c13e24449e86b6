"""Checks of a dataset folder: labels, masks, unlisted files, confounders."""
