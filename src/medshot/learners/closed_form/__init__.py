"""Learners that solve for a head in closed form."""
