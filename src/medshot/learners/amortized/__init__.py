"""Amortized learners: a network computes the predictor in one pass over the support."""
