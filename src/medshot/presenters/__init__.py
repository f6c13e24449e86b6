"""How the commands meet each kind of task: what is tried, what is shown, what is written.

One file a kind, with a subclass of `Kind`.
"""

from medshot.presenters.base import Kind as Kind
from medshot.presenters.base import kind_called as kind_called
