"""Presenters: candidate learners, report and output files of each task, for the commands.

One file a task, with a subclass of `Kind`.
"""

from medshot.presenters.base import Kind as Kind
from medshot.presenters.base import kind_called as kind_called
