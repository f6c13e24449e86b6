"""Robustness: attacks, hardening against them, and corruptions. From predictor to predictor."""
