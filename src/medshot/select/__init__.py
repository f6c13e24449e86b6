"""Which learner for this support set."""

from medshot.select.auto import Auto as Auto
