"""A recipe is read from a TOML file and checked whole, its template included."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from worker.catalog.rules.recipe import Recipe, recipe
from worker.catalog.template import PromptTemplate
from worker.core.rules.fault import Fault, UnfitError


class RecipeFaulty(Exception):
    """A recipe that cannot be used; carries where it came from and every fault."""

    def __init__(self, name: str, faults: tuple[str, ...]) -> None:
        """Keep both; positional, so that the error pickles."""
        super().__init__(name, faults)
        self.name = name
        self.faults = faults

    def __str__(self) -> str:
        """List the faults, one on a line when there are several."""
        return f"{self.name}: " + "\n".join(self.faults)


def read(path: Path) -> Recipe:
    """Return the recipe that the file holds; raise RecipeFaulty with everything that is wrong with it."""
    try:
        raw = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise RecipeFaulty(str(path), (f"cannot be read: {error.strerror or error}",)) from error
    except UnicodeDecodeError as error:
        raise RecipeFaulty(str(path), ("is not UTF-8; save it as UTF-8",)) from error
    except tomllib.TOMLDecodeError as error:
        raise RecipeFaulty(str(path), (f"is not TOML: {error}",)) from error
    return checked(raw, str(path))


def checked(raw: Mapping[str, object], name: str) -> Recipe:
    """Return the recipe that the mapping holds; raise RecipeFaulty naming ``name`` with all that is wrong with it."""
    found = recipe(raw)
    if isinstance(found, tuple):
        raise RecipeFaulty(name, tuple(_said(fault) for fault in found))
    try:
        PromptTemplate(found.prompt)
    except UnfitError as unfit:
        raise RecipeFaulty(name, (f"prompt: {unfit.reason}",)) from unfit
    return found


def _said(fault: Fault) -> str:
    permitted = f"; permitted: {', '.join(fault.permitted)}" if fault.permitted else ""
    return f"{fault.field}: {fault.reason}{permitted}"
