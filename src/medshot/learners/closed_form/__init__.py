"""Closed-form learners: the head is the solution of a convex problem."""
