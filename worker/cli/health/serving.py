"""Whether a worker node works on a database, and which command starts one."""

from typing import TYPE_CHECKING

from worker.cli import output

if TYPE_CHECKING:
    from worker.cli.context import Context
    from worker.core.db.session import Database


def count(database: "Database") -> int:
    """Return how many worker nodes of this database are alive, as their rows say."""
    from worker.node.queries import nodes

    with database.transaction() as tx:
        return sum(node.is_alive for node in nodes.read_all(tx))


def warn_without_node(context: "Context", database: "Database") -> None:
    """Say on standard error that no node works on this database, if so, and how one is started."""
    if count(database) == 0:
        said = _starting(context) or f"{_reason(context)}: {_next_step(context)}"
        output.notes().print(said, style="yellow", markup=False)


def _starting(context: "Context") -> str:
    """Return that `darkroom up` of this home and mode has no node at work yet; empty where none runs."""
    from worker.cli.local import running

    if not _is_embedded(context) or not running.is_up(context.home, mode=context.mode):
        return ""
    return (
        "`darkroom up` runs, and its worker node is not ready yet: jobs start in a few seconds"
        " (if they do not, see `darkroom logs node1`)."
    )


def _reason(context: "Context") -> str:
    place = f" in {context.mode} mode ({context.home})" if _is_embedded(context) else " on this database"
    return f"No worker node runs{place}, so jobs wait"


def _next_step(context: "Context") -> str:
    from worker.cli.context import other_mode

    if not _is_embedded(context):
        return "start one with `celery -A worker.celery_app worker`, or with `darkroom up`."
    found = other_mode()
    if found is not None and _has_node(found[0]):
        key = "without RIVYA_API_KEY" if context.is_play else "with RIVYA_API_KEY set"
        return f"`darkroom up` runs in {found[1]} mode; run `darkroom up` {key}, too."
    return "start one with `darkroom up` in another terminal."


def _is_embedded(context: "Context") -> bool:
    from worker.local import services

    url = context.settings.database_url
    return url is not None and services.is_own_url(context.home, url.get_secret_value())


def _has_node(url: str) -> bool:
    from sqlalchemy.exc import DBAPIError

    from worker.core.db.session import Database

    database = Database(url, connections=1)
    try:
        return count(database) > 0
    except DBAPIError:
        return False
    finally:
        database.close()
