"""Encoders and learners from names, files and configurations."""
