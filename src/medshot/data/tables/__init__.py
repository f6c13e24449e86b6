"""CSV tables of a dataset folder (labels, boxes, feature columns) and lists of its files."""
