"""Meta-training, and the training loop under it, pretraining and the stages."""
