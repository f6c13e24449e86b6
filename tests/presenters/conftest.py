"""The fixtures of the command line, here too."""

from toys.fixtures import _few_draws, _on_the_path, medshot, model, run, taught

__all__ = ["_few_draws", "_on_the_path", "medshot", "model", "run", "taught"]
