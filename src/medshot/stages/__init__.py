"""Stages: predictor and data in, predictor out. Fine-tune, harden, compress, fuse, export."""
