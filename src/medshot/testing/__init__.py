"""Contract tests of learners, encoders and stages, for your own test suite."""

from medshot.testing.encoder import check_encoder as check_encoder
from medshot.testing.learner import check_learner as check_learner
from medshot.testing.stage import check_stage as check_stage
