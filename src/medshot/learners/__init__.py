"""Every learner, one file an idea. A new file here is a new learner; nothing else to edit."""

from medshot.learners.registry import build as build
from medshot.learners.registry import learners as learners
from medshot.learners.registry import missing as missing
from medshot.learners.registry import register as register
