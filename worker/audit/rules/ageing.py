"""How old an open amount is, in the four classes that every report uses."""

from datetime import timedelta
from enum import StrEnum


class AgeClass(StrEnum):
    """How long something has been open; an age on a border belongs to the older class."""

    HOUR = "under 1 h"
    """Work in progress."""
    DAY = "1 h to 24 h"
    """Slow, or waiting for an account to be fixed."""
    WEEK = "1 d to 7 d"
    """Somebody should look."""
    OLDER = "over 7 d"
    """Somebody must look."""


_BORDERS = (
    (timedelta(hours=1), AgeClass.HOUR),
    (timedelta(days=1), AgeClass.DAY),
    (timedelta(days=7), AgeClass.WEEK),
)


def age_class(age: timedelta) -> AgeClass:
    """Return the class of an age; one below zero, from a clock that was ahead, counts as new."""
    return next((name for border, name in _BORDERS if age < border), AgeClass.OLDER)
