"""Homes for the embedded services: each one is fresh, and no process of it may remain."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.worlds import processes_of
from worker.local import home as homes
from worker.local import services
from worker.local.services import Services

IN_MEMORY = Path("/dev/shm")
ROOMY_BYTES = 2 * 1024**3


@pytest.fixture(scope="session")
def fast_folder() -> Path:
    """Name a folder in memory if there is a roomy one: a database is 40 MB, a second for some disks."""
    is_roomy = IN_MEMORY.exists() and shutil.disk_usage(IN_MEMORY).free > ROOMY_BYTES
    return IN_MEMORY if is_roomy else Path(tempfile.gettempdir())


@pytest.fixture
def open_folder(fast_folder: Path) -> Iterator[Path]:
    """Yield a folder that every account can pass through, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="darkroom-test-", dir=fast_folder))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def home(open_folder: Path) -> Iterator[Path]:
    """Yield a place for a home, with nothing there yet."""
    path = open_folder / "home"
    yield path
    services.erase(path)
    assert processes_of(path) == []


@pytest.fixture(scope="session")
def template(fast_folder: Path) -> Iterator[Path]:
    """Yield a home that has been used and stopped; it is copied, since to make a database takes a second."""
    path = Path(tempfile.mkdtemp(prefix="darkroom-template-", dir=fast_folder))
    path.chmod(0o755)
    services.start(path, fsync=False)
    services.stop(path)
    yield path
    services.erase(path)


@pytest.fixture
def running(home: Path, template: Path) -> Services:
    """Return the services of a home, started."""
    home.mkdir()
    copy = ["cp", "-a", str(homes.at(template).data), str(home / "data")]
    subprocess.run(copy, check=True)
    shutil.copy(homes.at(template).passwords, home)
    return services.start(home, fsync=False)


@pytest.fixture(scope="module")
def shared(template: Path) -> Iterator[Services]:
    """Yield services that a test only looks at."""
    yield services.start(template, fsync=False)
    services.stop(template)


@pytest.fixture
def as_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can take another user's place")
