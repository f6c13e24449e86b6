"""Learners that write the support into a memory and read from it."""
