"""`darkroom node`: the worker nodes of one machine, a process for each core."""

import math
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from worker.cli.context import Context
    from worker.cli.local.child_process import ChildProcess

_TICK_S = 0.2
_HOPELESS_ENDS = 5
"""So many ends of one process in a row are no accident."""
_GRACE_S = 5.0
"""Beyond DARKROOM_STOP_GRACE, after which a node ends itself."""
_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def node(
    processes: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="How many processes, each of DARKROOM_CONCURRENCY threads. [default: cores]"),
    ] = None,
) -> None:
    """Run worker nodes on all cores of this machine until Ctrl-C or SIGTERM, which drains.

    One process replaces this one. Several are started again when they end by themselves, and each serves its metrics
    at the port after that of the one before, from DARKROOM_NODE_METRICS on.
    """
    from worker.cli.context import resolve
    from worker.cli.errors import CliError

    context = resolve()
    if context.settings.broker_url is None:
        raise CliError("no broker: set DARKROOM_BROKER_URL, or start Darkroom with `darkroom up`")
    count = processes or cores()
    if count == 1:
        environment = {**context.environment(), **_metrics(context, 1)}
        os.execve(sys.executable, [sys.executable, "-m", "celery", *_arguments(1)], environment)  # noqa: S606 - ours
    _run(context, count)


def cores() -> int:
    """Return how many cores this process may use: those of its affinity, and no more than its cgroup's quota."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _CPU_MAX.read_text().split()
    except (OSError, ValueError):
        return mine
    return mine if quota == "max" else max(1, min(mine, math.ceil(int(quota) / int(period))))


def _arguments(number: int) -> list[str]:
    return ["--quiet", "-A", "worker.celery_app", "worker", "-n", f"node{number}-{os.getpid()}@%h"]


def _metrics(context: "Context", number: int) -> dict[str, str]:
    """Give each process its own port; port 0 and ``off`` are for all."""
    address = context.settings.node_metrics
    if address is None:
        return {"DARKROOM_NODE_METRICS": "off"}
    host, port = address
    return {"DARKROOM_NODE_METRICS": f"{f'[{host}]' if ':' in host else host}:{port + number - 1 if port else 0}"}


def _run(context: "Context", count: int) -> None:
    from worker.cli import output
    from worker.cli.local import parts
    from worker.cli.local.interrupts import GracefulShutdown, Stopped, stoppable

    children: list[ChildProcess] = []
    try:
        with stoppable():
            # One by one: those that are started are ended, too, when a signal comes in between.
            for number in range(1, count + 1):
                children.append(_started(context, number))  # noqa: PERF401
            _supervise(children)
    except Stopped:
        output.notes().print("nodes finish the jobs in progress; a second signal ends them at once")
    finally:
        grace_s = context.settings.stop_grace.total_seconds() + _GRACE_S
        with GracefulShutdown(lambda: None) as shutdown:
            parts.end(children, grace_s=grace_s, is_hurried=shutdown.is_forced)


def _started(context: "Context", number: int) -> "ChildProcess":
    from worker.cli.local.child_process import ChildProcess, ProcessSpec

    return ChildProcess(
        ProcessSpec(
            name=f"node{number}",
            module="celery",
            arguments=_arguments(number),
            environment={**context.environment(), **_metrics(context, number)},
            folder=Path.cwd(),
        )
    )


def _supervise(children: "list[ChildProcess]") -> None:
    from worker.cli import output
    from worker.cli.errors import CliError

    while True:
        for child in children:
            if news := child.revive():
                output.notes().print(news, markup=False)
            if child.ends >= _HOPELESS_ENDS:
                raise CliError(f"{child.spec.name} keeps ending: see its words above")
        time.sleep(_TICK_S)
