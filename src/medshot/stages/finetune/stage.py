"""Declaration of the stage `finetune`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from medshot.stages.base import Stage, option


class FineTune(Stage):
    """Move some of a model's weights to do images better; save it beside the original.

    Where MODEL learned from DATA, nothing tells how many steps are good, and all are made:
    `medshot adapt --finetune` judges that on images left out. Killed, the same command goes on.

    Examples:

        medshot finetune my_model --data my_images/ --what lora --out my_model_lora

        medshot finetune my_model --data new_scanner/ --unseen --test others/ --out new_model
    """

    name = "finetune"
    outcome = "fine-tuned"
    helps: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "data": "Labelled images, as for `medshot adapt`.",
            "out": "New folder for the fine-tuned model.",
            "test": "Images of other patients, to evaluate on.",
        }
    )

    what: str | None = option(
        "head, bias, film, lora, adapter or all.",
        default=None,
        shown="lora; head, where nothing else can move",
    )
    unseen: bool = option(
        "MODEL never saw DATA: the number of steps is judged on images left out.", default=False
    )
    steps: int = option("Steps of descent; with --unseen, at most.", default=50)
    lr: float = option("Adam learning rate.", default=1e-3)
    pull: float = option("How strong the weights are pulled to where they were.", default=1.0)
    batch: int = option("Images a step.", default=32)
    set_: dict[str, Any] = option("Option of the way: rank and alpha of lora.", default={})

    def method(self, predictor: Any) -> Any:
        """The `FineTuneMethod` of `what`; by default the one for `predictor`."""
        from medshot.stages.finetune.methods import default_method, get_method

        return get_method(self.what or default_method(predictor), **self.set_)

    def check(self, predictor: Any) -> None:
        """Raise `ConfigError` for an unknown method or option."""
        self.method(predictor)

    def run(self, predictor: Any, data: Any, **work: Any) -> Any:
        """Run `medshot.finetune`."""
        from medshot.stages.finetune.finetune import finetune

        return finetune(
            predictor,
            data,
            self.method(predictor),
            steps=self.steps,
            lr=self.lr,
            pull=self.pull,
            batch=self.batch,
            unseen=self.unseen,
            **work,
        )
