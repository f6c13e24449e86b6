"""`medshot finetune`: from a model and images to a model whose weights have moved."""

from medshot.app.commands.stage import StageCommand
from medshot.stages.finetune.stage import FineTune


class FineTuneCommand(StageCommand[FineTune]):
    """Says what moves, and how many weights have."""

    refuses_shared = False  # people look at how well it does on what it learned from, too

    def begin(self) -> None:
        """Say which method was taken, where none was named."""
        from medshot.app.terminal import say

        if self.stage.what is None:
            say(f"What moves: {self.stage.method(self.given).name}.")

    def show(self) -> None:
        """Print how much moved, and the scores."""
        from medshot.app.terminal import say

        did = self.did
        say(f"{did['parameters']} weights moved for {did['steps']} steps, {self.seconds:.0f} s.")
        super().show()
