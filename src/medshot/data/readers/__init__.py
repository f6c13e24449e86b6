"""Dataset readers, one module for each layout of targets; a new one registers itself."""
