"""All learners, one file each. A new file registers itself; no other file changes."""

from medshot.learners.registry import build as build
from medshot.learners.registry import learners as learners
from medshot.learners.registry import missing as missing
from medshot.learners.registry import register as register
