"""Encoders: images, volumes, signals and table rows to features."""
