"""CSV tables of a dataset folder: labels, boxes, columns of features; and lists of its files."""
