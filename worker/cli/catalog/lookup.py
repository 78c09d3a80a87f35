"""Which catalog or plan a person means; images whose jobs have ended are taken in before anything is shown."""

import json
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection

from worker import wiring
from worker.catalog import publishing
from worker.catalog.applying import PlanUnknown
from worker.catalog.queries import catalogs, plans
from worker.catalog.queries.catalogs import CatalogRow
from worker.catalog.queries.plans import PlanRow
from worker.cli.context import Context
from worker.cli.context import opened as context_opened
from worker.cli.errors import MISUSED, CliError
from worker.core.db.session import Database
from worker.core.rules.fault import plain


def opened() -> tuple[Context, Database]:
    """Return the database, with every finished image taken in."""
    context, database = context_opened()
    publishing.sync_results(database, now=wiring.clock(), new_id=wiring.new_id)
    return context, database


def catalog(tx: Connection, name: str, *, or_removed: bool = False) -> CatalogRow:
    """Return the catalog of that name; raise CliError when it does not exist, or is removed and may not be."""
    found = catalogs.by_name(tx, name, or_removed=True)
    if found is not None and found.removed_at is not None and not or_removed:
        raise CliError(
            f"catalog {plain(name)!r} was removed by {found.removed_by} at {found.removed_at:%Y-%m-%d %H:%M} UTC:"
            f" `darkroom catalog import` under its name brings it back; `darkroom catalog history` still has its images"
        )
    if found is None:
        known = ", ".join(repr(row.name) for row in catalogs.all_by_name(tx)[:10])
        there = (
            f"there are {known}"
            if known
            else "`darkroom catalog import NAME items.csv --recipe recipe.toml` creates one"
        )
        raise CliError(f"there is no catalog {plain(name)!r}: {there}")
    return found


def plan(tx: Connection, name: str) -> PlanRow:
    """Return the plan that a file or an id names; raise CliError when the file is none, or has been changed."""
    plan_id, content_hash = _named(name)
    found = plans.by_id(tx, plan_id)
    if found is None:
        raise PlanUnknown(plan_id)
    if content_hash is not None and content_hash != found.content_hash:
        raise CliError(f"{plain(name)} is not as it was written: make a new plan, plans are not edited")
    return found


def _named(name: str) -> tuple[UUID, str | None]:
    try:
        return UUID(name), None
    except ValueError:
        return _from_file(Path(name))


def _from_file(path: Path) -> tuple[UUID, str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return UUID(content["plan"]), str(content["content_hash"])
    except OSError as error:
        reason = error.strerror or str(error)
        raise CliError(f"{path}: cannot be read: {reason}; give the file that `plan --out` wrote", MISUSED) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CliError(f"{path}: is not a plan: give the file that `plan --out` wrote", MISUSED) from error
