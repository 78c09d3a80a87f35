"""The pages of the reference, and what writes each."""

from collections.abc import Callable, Mapping
from pathlib import Path

from ops import reference
from ops.reference import api, commands, settings

PAGES: Mapping[Path, Callable[[], str]] = {each.FILE: each.text for each in (reference, commands, settings, api)}
