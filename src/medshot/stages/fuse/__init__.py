"""Fuse: several predictors, or several kinds of data, become one predictor."""
