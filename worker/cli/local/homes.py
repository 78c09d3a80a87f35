"""Which home a command works with: DARKROOM_HOME, else the nearest one above the folder, else the user's own."""

from dataclasses import dataclass
from pathlib import Path

FOLDER = ".darkroom"


@dataclass(frozen=True, kw_only=True)
class Home:
    """A home, and how it was found."""

    path: Path
    is_given: bool = False
    """Whether DARKROOM_HOME names it."""
    is_here: bool = False
    """Whether it is in the folder in which the command runs; also true of one that is still to be made."""


def find(given: Path | None, *, here: Path, user: Path | None) -> Home:
    """Find the home as git finds a repository; where there is none, it is to be made ``here``.

    ``user`` is the user's home folder, whose ``.darkroom`` is looked for last; None: there is none.
    """
    if given is not None:
        return Home(path=given.expanduser().resolve(), is_given=True)
    places = [here, *here.parents, *([user] if user is not None else [])]
    found = next((place for place in places if _is_home(place / FOLDER)), here)
    return Home(path=(found / FOLDER).resolve(), is_here=found == here)


def _is_home(folder: Path) -> bool:
    """Return whether services or a sandbox were ever started in the folder."""
    try:
        return (folder / "run").is_dir()
    except OSError:
        return False
