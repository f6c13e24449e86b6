"""Selection of a learner and its settings for a support set."""

from medshot.select.auto import Auto as Auto
from medshot.select.space import Categorical as Categorical
from medshot.select.space import Configuration as Configuration
from medshot.select.space import Family as Family
from medshot.select.space import FloatRange as FloatRange
