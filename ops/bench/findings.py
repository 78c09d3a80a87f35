"""What a benchmark found: a table for people, figures for machines, and under which circumstances."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one benchmark."""

    name: str
    title: str
    method: str
    """One paragraph: what was done, with which settings."""
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    figures: Mapping[str, object]
    """The same, unrounded, by name."""
    notes: str = ""
    """What follows the table as it is, such as plans of queries."""
    load: float = field(default_factory=lambda: os.getloadavg()[0])
    """The load average of the last minute, when the benchmark ended."""


def markdown(finding: Finding) -> str:
    """Return a finding as a section in Markdown."""
    head = f"| {' | '.join(finding.columns)} |\n|{'---|' * len(finding.columns)}"
    lines = [f"| {' | '.join(row)} |" for row in finding.rows]
    table = "\n".join([head, *lines])
    notes = f"\n\n{finding.notes}" if finding.notes else ""
    return f"### {finding.title}\n\n{finding.method} Load average: {finding.load:.1f}.\n\n{table}{notes}\n"


def circumstances() -> str:
    """Return on which machine, with which Python, and when."""
    memory = psutil.virtual_memory().total / 1024**3
    return (
        f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GB, {platform.system()}, Python"
        f" {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    )


def as_json(found: Sequence[Finding]) -> dict[str, object]:
    """Return all findings as JSON."""
    return {"circumstances": circumstances(), "findings": [asdict(one) for one in found]}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
