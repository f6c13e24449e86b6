"""Memory-augmented learners: the support is written to a memory that queries read."""
