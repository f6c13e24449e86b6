"""What needs no meta-training: fine-tuning, templates, filters."""
