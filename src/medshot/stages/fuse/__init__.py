"""Fuse several predictors into one: ensembles, stacking, model soups, snapshots."""
