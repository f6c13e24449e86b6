"""Fine-tune: from a predictor and its support to a predictor whose weights have moved."""

from medshot.finetuning.automatic import AutoTuned as AutoTuned
from medshot.finetuning.finetune import finetune as finetune
from medshot.finetuning.freed import usual_way as usual_way
from medshot.finetuning.learner import FineTuned as FineTuned
from medshot.finetuning.way import Way as Way
from medshot.finetuning.way import way_called as way_called
from medshot.finetuning.way import ways as ways
