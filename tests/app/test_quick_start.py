"""What a command imports before it begins: nothing that takes long and is not used."""

import subprocess
import sys

SLOW = ("scipy.stats", "sklearn", "nibabel", "torchvision", "tensorboard", "matplotlib", "optuna")


def test_what_every_command_imports_brings_no_slow_library() -> None:
    code = (
        "import sys\n"
        "import medshot.api.adapt, medshot.api.stage_runs, medshot.api.episodes\n"
        "from medshot.presenters import kind_called\n"
        "from medshot.learners.registry import learners\n"
        "kind_called('classification'), learners()\n"
        "import medshot.api.check, medshot.data.load\n"
        f"print(sorted(set({SLOW!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
