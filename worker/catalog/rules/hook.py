"""The words of a hook: how somebody is told."""

from enum import StrEnum


class HookKind(StrEnum):
    """How a hook is told."""

    COMMAND = "command"
    """A command gets the message on its standard input."""
    POST = "post"
    """An address gets it as a signed HTTP POST."""
