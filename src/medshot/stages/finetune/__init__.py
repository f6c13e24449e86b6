"""Fine-tune: from a predictor and its support to a predictor whose weights have moved."""

from medshot.stages.finetune.automatic import AutoTuned as AutoTuned
from medshot.stages.finetune.finetune import finetune as finetune
from medshot.stages.finetune.learner import FineTuned as FineTuned
from medshot.stages.finetune.methods import FineTuneMethod as FineTuneMethod
from medshot.stages.finetune.methods import get_method as get_method
from medshot.stages.finetune.methods import methods as methods
from medshot.stages.finetune.trainable import default_method as default_method
