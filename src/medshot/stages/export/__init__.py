"""Export predictors to files that run without medshot: ONNX, and MONAI bundles."""
