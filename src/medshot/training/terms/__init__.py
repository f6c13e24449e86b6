"""What meta-training may descend on beside a learner's own meta-loss, whatever the learner."""

from medshot.training.auxiliary_losses import SelfDistillation, TaskContrast, Term

__all__ = ["SelfDistillation", "TaskContrast", "Term"]
