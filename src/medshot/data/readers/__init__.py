"""Folders to datasets, one module a layout of labels; a new one registers itself."""
