"""Learners that descend on the support, from a start that was learned."""
