"""Who takes part in the comparison, how each is set up on the ground, fed, started, and looked at."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from ops.bench import ground, node
from ops.bench.ground import ROOT, Ground, Sandbox
from ops.bench.peers import pictures

FAST = {
    "DARKROOM_RATE": "5000",
    "DARKROOM_MAX_IN_FLIGHT": "200",
    "DARKROOM_POLL_FIRST_S": "0.001",
    "DARKROOM_POLL_GAP_S": "0.05",
}
"""Nothing that paces requests takes part; the provider of this benchmark has no limit."""


@dataclass(frozen=True, kw_only=True)
class Stand:
    """One contender, set up and not yet working."""

    database: str
    """The name of its database."""
    database_url: str
    broker_url: str | None
    enqueue: Callable[[int], float]
    """Puts so many images in; gives the seconds that it took."""
    worker: Callable[[], AbstractContextManager[psutil.Process]]
    ended: str
    """The query for how many images there are in the end, and the times at which they were recorded."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One way to do the job."""

    name: str
    requires: str | None
    """The package without which it cannot take part."""
    stand: Callable[[Ground, Sandbox, str], AbstractContextManager[Stand]]

    @property
    def is_here(self) -> bool:
        """Whether what it needs is installed."""
        return self.requires is None or importlib.util.find_spec(self.requires) is not None


# A module that is run by its name is a second copy of itself, and tasks are known by their modules.
_MAIN = "import sys; from ops.bench.peers.{module} import main; main(sys.argv[1:])"

_OF_JOBS = "SELECT ended_at FROM job WHERE state = 'succeeded' ORDER BY ended_at"
_OF_PICTURES = "SELECT ended_at FROM picture WHERE state = 'succeeded' ORDER BY ended_at"


@contextmanager
def _darkroom(place: Ground, provider: Sandbox, name: str) -> Iterator[Stand]:
    with node.darkroom(place, provider, name=name, broker=1, **FAST) as room:

        def enqueue(count: int) -> float:
            return room.submit(count, name=name)

        yield Stand(
            database=f"bench_{name}",
            database_url=room.environment["DARKROOM_DATABASE_URL"],
            broker_url=room.environment["DARKROOM_BROKER_URL"],
            enqueue=enqueue,
            worker=room.node,
            ended=_OF_JOBS,
        )


@contextmanager
def _celery(place: Ground, provider: Sandbox, name: str) -> Iterator[Stand]:
    broker_url = place.broker_url(2)
    command = ["-m", "celery", "-A", "ops.bench.peers.plain_celery", "worker", "--without-mingle", "--without-gossip"]
    with _pictures(place, provider, name, "plain_celery", command, "celery is ready.", broker_url=broker_url) as stand:
        yield stand


@contextmanager
def _procrastinate(place: Ground, provider: Sandbox, name: str) -> Iterator[Stand]:
    command = ["-c", _MAIN.format(module="with_procrastinate"), "work"]
    with _pictures(place, provider, name, "with_procrastinate", command, "procrastinate is ready.") as stand:
        yield stand


@contextmanager
def _dbos(place: Ground, provider: Sandbox, name: str) -> Iterator[Stand]:
    command = ["-c", _MAIN.format(module="with_dbos"), "work"]
    with _pictures(place, provider, name, "with_dbos", command, "dbos is ready.") as stand:
        yield stand


@contextmanager
def _pictures(
    place: Ground,
    provider: Sandbox,
    name: str,
    module: str,
    command: list[str],
    ready: str,
    *,
    broker_url: str | None = None,
) -> Iterator[Stand]:
    """Set up a contender that keeps the table of pictures."""
    folder = place.folder / name
    folder.mkdir()
    database = f"bench_{name}"
    url = place.database_url(database, is_migrated=False)
    pictures.make_table(url)
    environment = {
        "BENCH_DATABASE_URL": url,
        "BENCH_BROKER_URL": broker_url or "",
        "BENCH_STORE": str(folder / "images"),
        "RIVYA_BASE_URL": provider.base_url,
        "RIVYA_API_KEY": provider.key,
    }
    if broker_url is None:
        _call(module, "schema", environment=environment)
    yield Stand(
        database=database,
        database_url=url,
        broker_url=broker_url,
        enqueue=lambda count: _enqueue(module, count, environment),
        worker=lambda: ground.child([sys.executable, *command], environment, _log(folder), ready=ready),
        ended=_OF_PICTURES,
    )


def _enqueue(module: str, count: int, environment: Mapping[str, str]) -> float:
    """Put images in; gives the seconds that it took without the start of the process."""
    return float(json.loads(_call(module, "enqueue", str(count), environment=environment))["seconds"])


def _log(folder: Path) -> Path:
    return folder / f"worker-{len(list(folder.glob('*.log'))) + 1}.log"


def _call(module: str, *arguments: str, environment: Mapping[str, str]) -> str:
    done = subprocess.run(  # noqa: S603 - our own modules
        [sys.executable, "-c", _MAIN.format(module=module), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return done.stdout.strip().rpartition("\n")[2]


CONTENDERS = (
    Contender(name="darkroom", requires=None, stand=_darkroom),
    Contender(name="celery", requires=None, stand=_celery),
    Contender(name="procrastinate", requires="procrastinate", stand=_procrastinate),
    Contender(name="dbos", requires="dbos", stand=_dbos),
)
