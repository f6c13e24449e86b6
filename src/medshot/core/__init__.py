"""Core abstractions: examples, episode, task, learner, predictor. Imports no other package."""
