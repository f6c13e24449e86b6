"""Gradient-based meta-learners: inner-loop gradient steps from a meta-learned initialization."""
