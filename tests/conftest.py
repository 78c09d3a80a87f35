"""What every test may ask for: a server, a database of its own, brokers, and a sandbox."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

import pytest
import structlog
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.fixtures import brokers, databases, provider
from tests.fixtures.provider import Provider
from worker.core.db.session import Database
from worker.local import services
from worker.local.services import Services as Embedded

IN_MEMORY = Path("/dev/shm")
ROOMY_BYTES = 2 * 1024**3
# How long an example takes says how busy the machine is, and nothing of the rule that it tries.
settings.register_profile("darkroom", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("darkroom")
BROKERS = pytest.StashKey[Mapping[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Find the brokers, and let a SIGTERM end the run like Ctrl-C does, so that every fixture is torn down."""
    urls = brokers.found()
    if faults := brokers.missing(urls):
        raise pytest.UsageError("; ".join(faults))
    config.stash[BROKERS] = urls
    signal.signal(signal.SIGTERM, _interrupt)


@pytest.fixture(autouse=True)
def _log_as_it_is_at_the_start() -> None:
    """Forget how a test before this one had lines logged: a command shows warnings only, a captured log shows all."""
    structlog.reset_defaults()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Keep tests that share a server on one process, when several processes run the suite.

    The groups that xdist makes from marks are lost on pytest 9.2: it sets a test's id, which is no longer kept there.
    """
    return _ByServer(config, log)


class _ByServer(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    def _split_scope(self, nodeid: str) -> str:
        return brokers.group(nodeid) or nodeid


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their parameter: compressed or random bytes may differ in each process that collects the tests."""
    return argname if isinstance(val, bytes) else None


def pytest_report_header(config: pytest.Config) -> str:
    return brokers.describe(config.stash[BROKERS])


def quick_place() -> Path | None:
    """Return a folder in memory if there is a roomy one: tests need speed and not durability."""
    is_roomy = IN_MEMORY.exists() and shutil.disk_usage(IN_MEMORY).free > ROOMY_BYTES
    return IN_MEMORY if is_roomy else None


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@pytest.fixture(scope="session")
def embedded() -> Iterator[Embedded]:
    """Yield the embedded Postgres and Valkey of this run, without durability."""
    home = Path(tempfile.mkdtemp(prefix="darkroom-tests-", dir=quick_place()))
    home.chmod(0o755)
    try:
        yield services.start(home, fsync=False)
    finally:
        services.erase(home)


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> str:
    """Return the URL of a Postgres server on which databases may be made: yours, or the embedded one."""
    if given := os.environ.get("DARKROOM_TEST_DATABASE_URL"):
        return given
    started: Embedded = request.getfixturevalue("embedded")
    return started.database_url


@pytest.fixture(scope="session")
def template(postgres: str) -> Iterator[str]:
    """Yield the name of the migrated database that each test's own is copied from."""
    with databases.migrated(postgres) as name:
        yield name


@pytest.fixture
def database_url(postgres: str, template: str) -> Iterator[str]:
    """Yield the URL of a migrated database that is this test's alone."""
    with databases.clone(postgres, template) as url:
        yield url


@pytest.fixture
def empty_database_url(postgres: str) -> Iterator[str]:
    """Yield the URL of a database of this test's own with nothing in it, no table and no migration."""
    with databases.empty(postgres) as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Yield a pool of connections to this test's own database."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def broker_urls(embedded: Embedded, pytestconfig: pytest.Config) -> dict[str, str]:
    """Return the URL of each broker of this run by its name; ``embedded`` is always there."""
    others = pytestconfig.stash[BROKERS]
    return {"embedded": embedded.broker_url, **others}


@pytest.fixture(params=["embedded", *(server.name for server in brokers.SERVERS)])
def broker_url(request: pytest.FixtureRequest, broker_urls: dict[str, str]) -> str:
    """Return each broker in turn, with its kind as the test's parameter; one that is not there is a skip."""
    name: str = request.param
    if name not in broker_urls:
        pytest.skip(f"no {name} here")
    return broker_urls[name]


@pytest.fixture
def sandbox() -> Iterator[Provider]:
    """Yield a fresh sandbox process with no latency and plain images."""
    with provider.running() as started:
        yield started
