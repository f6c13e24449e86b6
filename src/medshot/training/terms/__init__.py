"""What meta-training may descend on beside a learner's own meta-loss, whatever the learner."""

from medshot.training.terms.contrast import TaskContrast
from medshot.training.terms.distil import SelfDistillation
from medshot.training.terms.term import Term

__all__ = ["SelfDistillation", "TaskContrast", "Term"]
