"""Predictors as files that run without medshot: ONNX, and bundles of MONAI."""
