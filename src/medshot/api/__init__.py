"""Functions that join several packages: adapt with a report, evaluate, select a learner, cite."""
