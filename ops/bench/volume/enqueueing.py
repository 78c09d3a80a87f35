"""How fast a manifest of a million lines becomes a batch, and how much memory that takes."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from ops.bench import ground, node
from ops.bench.findings import Finding
from ops.bench.ground import ROOT, Ground

LINES, QUICK_LINES = 1_000_000, 50_000
_LINE = '{{"key": "sku-{0:08d}", "prompt": "A red shoe, number {0}, on wet asphalt", "image_size": "square"}}\n'


def run(place: Ground, is_quick: bool) -> Finding:  # noqa: FBT001 - one signature for all benchmarks
    """Submit a manifest with the command that people use, in a process of its own."""
    lines = QUICK_LINES if is_quick else LINES
    manifest = place.folder / "manifest.jsonl"
    write_manifest(manifest, lines)
    with ground.sandbox() as provider, node.darkroom(place, provider, name="enqueue", broker=3) as room:
        took = _submit(manifest, {**os.environ, **room.environment})
        assert room.unfinished() == lines
    manifest.unlink()
    return Finding(
        name="enqueue",
        title="Enqueue",
        method=f"`darkroom submit` of a JSONL manifest of {lines:,} lines, from its start to its end, checks included.",
        columns=("lines", "seconds", "of them its own CPU", "lines/s", "peak RSS"),
        rows=[
            (
                f"{lines:,}",
                f"{took.seconds:.1f}",
                f"{took.cpu_s:.1f}",
                f"{lines / took.seconds:,.0f}",
                f"{took.rss_mb:.0f} MB",
            )
        ],
        figures={"lines": lines, "seconds": took.seconds, "cpu_s": took.cpu_s, "rss_mb": took.rss_mb},
    )


def write_manifest(path: Path, lines: int) -> None:
    """Write a manifest without references."""
    with path.open("w", encoding="ascii") as file:
        file.writelines(_LINE.format(number) for number in range(lines))


@dataclass(frozen=True, kw_only=True)
class _Took:
    """What one submission took, as far as its own process goes."""

    seconds: float
    cpu_s: float
    rss_mb: float


def _submit(manifest: Path, environment: dict[str, str]) -> _Took:
    """Run the command and ask the kernel what it took."""
    command = [sys.executable, "-m", "worker.cli", "submit", str(manifest), "--name", "bench", "--json"]
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 - our own
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise ground.Stuck(f"`darkroom submit` ended with {process.returncode}")
    return _Took(seconds=seconds, cpu_s=used.ru_utime + used.ru_stime, rss_mb=used.ru_maxrss / 1000)
