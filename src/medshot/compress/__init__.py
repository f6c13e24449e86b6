"""Smaller predictors: pruned, distilled, quantised."""
