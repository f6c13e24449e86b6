"""The nouns: examples, episode, task, learner, predictor. Imports nothing of ours."""
