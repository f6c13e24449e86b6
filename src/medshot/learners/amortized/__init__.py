"""Learners whose network gives the predictor in one pass over the support."""
