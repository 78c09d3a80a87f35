"""The parts that a Darkroom on one machine is made of, each made ready: services, tables, sandbox, nodes."""

import importlib.util
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from worker import wiring
from worker.cli.context import Context, is_embedded, with_services
from worker.cli.errors import CliError
from worker.cli.local import migrate, sandbox
from worker.cli.local import services as local_services
from worker.cli.local.child_process import ChildProcess, ProcessSpec
from worker.local import ports, services
from worker.local.errors import tail
from worker.settings import METRICS_PORT, load
from worker.web.rules import origins

_SANDBOX_START_S = 30.0
_REFILL_BELOW = 1_000
"""The sandbox's wallet is filled up below so many credits: its credits cannot be bought."""
_LINES = 2
"""What the sandbox says when it listens: its address and its key."""


def start_services(context: Context, *, stays: bool) -> Context:
    """Start the embedded services, with both databases, unless the environment names others."""
    settings = context.settings
    if not is_embedded(load()):
        return context
    was = services.status(context.home)
    is_new = was.postgres is None or was.valkey is None
    found = services.start(settings.home)
    for name in ("darkroom", "darkroom_sandbox"):
        services.ensure_database(found, name)
    if stays:
        local_services.mark_persistent(context.home)
    elif is_new:
        local_services.mark_ephemeral(context.home)
    return with_services(context, found)


def migrate_database(context: Context) -> None:
    """Bring the tables up to date."""
    if context.settings.database_url is not None:
        migrate.upgrade(context.settings.database_url.get_secret_value())


def start_sandbox(context: Context) -> ChildProcess:
    """Start the sandbox of the home, on its former port if that is free, and remember where it is."""
    require_sandbox()
    former = sandbox.read(context.home)
    port = next(ports.candidates(former.port if former else None), 0)
    state = context.home / "sandbox"
    state.mkdir(parents=True, exist_ok=True)
    log = _log(context.home, "sandbox")
    recipe = ProcessSpec(
        name="sandbox",
        module="ops.sandbox",
        arguments=["--port", str(port), "--state", str(state), "--set", f"refill_below={_REFILL_BELOW}"],
        environment=os.environ,
        folder=context.home,
        log=log,
    )
    child = ChildProcess(recipe, stdout=subprocess.PIPE)
    said = _first_lines(child)
    if len(said) < _LINES:
        child.kill()
        child.process.wait()
        child.release()
        raise CliError(f"the sandbox did not start; its log {log} ends with:\n{tail(log)}")
    sandbox.write(context.home, pid=child.pid, url=said["RIVYA_BASE_URL"], key=said["RIVYA_API_KEY"])
    return child


def require_sandbox() -> None:
    """Raise CliError where the sandbox's own dependency is not installed."""
    if importlib.util.find_spec("aiohttp") is None:
        raise CliError("the sandbox is not installed: pip install 'darkroom[sandbox]', or set RIVYA_API_KEY")


def start_node(context: Context, number: int, *, log: Path) -> ChildProcess:
    """Start one worker node; its name holds our process id, since names must differ on one broker."""
    # A store that can never be used is reported here and not by the node, which waits for one.
    wiring.store(context.settings)
    name = f"node{number}"
    return ChildProcess(
        ProcessSpec(
            name=name,
            module="celery",
            arguments=["--quiet", "-A", "worker.celery_app", "worker", "-n", f"{name}-{os.getpid()}@%h"],
            environment={"PYTHONWARNINGS": "ignore", **_metrics_address(number), **context.environment()},
            folder=context.home,
            log=log,
        )
    )


def _metrics_address(number: int) -> dict[str, str]:
    """Give each node of this machine its own port, unless the environment names one."""
    first = METRICS_PORT + number - 1
    return {"DARKROOM_NODE_METRICS": f"127.0.0.1:{next(ports.candidates(first), first)}"}


def start_web(context: Context, *, log: Path) -> tuple[ChildProcess, str]:
    """Start the web process on its usual port if that is free; returns it and its address."""
    host, _, port = context.settings.web_listen.rpartition(":")
    free = next(ports.candidates(int(port)), int(port)) if origins.is_loopback(host) else int(port)
    listen = f"{host}:{free}"
    child = ChildProcess(
        ProcessSpec(
            name="web",
            module="worker.cli",
            arguments=["web", "--listen", listen, "--no-link"],
            environment={**context.environment(), "DARKROOM_WEB_LISTEN": listen},
            folder=context.home,
            log=log,
        )
    )
    return child, context.settings.web_url or f"http://{listen}"


def web_log(home: Path) -> Path:
    """The log file of the web process."""
    return _log(home, "web")


def node_log(home: Path, number: int) -> Path:
    """The log file of a node that does not log to the terminal."""
    return _log(home, f"node{number}")


def end(
    children: list[ChildProcess],
    *,
    grace_s: float,
    is_hurried: Callable[[], bool],
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Ask the children to end, and kill those that do not when the grace is over or the shutdown is forced."""
    for child in children:
        child.ask_to_end()
    until = time.monotonic() + grace_s
    while not all(child.is_over for child in children) and time.monotonic() < until and not is_hurried():
        meanwhile()
        time.sleep(0.05)
    for child in children:
        child.kill()
        child.process.wait()
        child.release()


def _first_lines(child: ChildProcess) -> dict[str, str]:
    """Read what the sandbox says when it listens; the pipe ends when it does not come up."""
    stream = child.process.stdout
    if stream is None:
        return {}
    lines = (stream.readline().decode().strip() for _ in range(_LINES))
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _log(home: Path, name: str) -> Path:
    folder = home / "log"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.log"
