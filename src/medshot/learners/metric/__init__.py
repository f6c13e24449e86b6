"""Metric learners: compare a query with the support in feature space."""
