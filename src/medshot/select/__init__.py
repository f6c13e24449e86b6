"""Which learner, with which settings, for this support set."""

from medshot.select.auto import Auto as Auto
from medshot.select.ranges import Between as Between
from medshot.select.ranges import OneOf as OneOf
from medshot.select.space import Configuration as Configuration
from medshot.select.space import Family as Family
