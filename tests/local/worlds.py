"""What the tests of the embedded services look at from outside."""

import subprocess
import sys
from pathlib import Path

import psutil

from worker.local import home, supervisor

STARTER = """
import sys
from pathlib import Path
from worker.local import services
found = services.start(Path(sys.argv[1]), fsync=False)
print(found.postgres.pid, found.valkey.pid, flush=True)
sys.stdin.read()
"""


def processes_of(path: Path) -> list[psutil.Process]:
    """Return every process that works below the home's data."""
    data = home.at(path).data
    return [each for name in ("postgres", "valkey") for each in supervisor.inhabitants(data / name)]


def postmasters_of(path: Path) -> list[int]:
    """Return the ids of the Postgres servers on the home's data, without their children."""
    found = supervisor.inhabitants(home.at(path).data / "postgres")
    ids = {each.pid for each in found}
    return [each.pid for each in found if _is_eldest(each, ids)]


def _is_eldest(process: psutil.Process, family: set[int]) -> bool:
    try:
        return process.ppid() not in family
    except psutil.NoSuchProcess:
        return False


def starter(path: Path) -> subprocess.Popen[str]:
    """Begin another process that starts the services, prints the process ids and waits for its input."""
    return subprocess.Popen(
        [sys.executable, "-c", STARTER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def answer_of(process: subprocess.Popen[str]) -> list[int]:
    """Return the process ids that a starter prints."""
    assert process.stdout is not None
    return [int(part) for part in process.stdout.readline().split()]
