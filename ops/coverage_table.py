"""Write docs/coverage.md's table: the branch coverage of each room, from the data that ``coverage run`` has left.

``make coverage`` runs the whole suite and then this. ``python -m ops.coverage_table ROOM ...`` shows these rooms alone,
after a run of the tests in their own folders.
"""

import datetime as dt
import json
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coverage import Coverage

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "coverage.md"
TOP = "composition root"
"""The modules that lie in no room: settings, logs, wiring, the Celery app, the producers' function."""
_TABLE = re.compile(r"(?<=<!-- table -->\n).*?(?=<!-- end -->)", re.DOTALL)


@dataclass(kw_only=True)
class Room:
    """What was run of one room; a branch is one way that a line may be followed by."""

    statements: int = 0
    statements_run: int = 0
    branches: int = 0
    branches_taken: int = 0

    def add(self, summary: Mapping[str, int]) -> None:
        """Add a file's figures, as coverage's JSON report has them."""
        self.statements += summary["num_statements"]
        self.statements_run += summary["covered_lines"]
        self.branches += summary["num_branches"]
        self.branches_taken += summary["covered_branches"]

    @property
    def percent(self) -> float:
        """Statements run and branches taken, of all of both."""
        most = self.statements + self.branches
        return 100 * (self.statements_run + self.branches_taken) / most if most else 100.0


def rooms(report: Mapping[str, Any], only: Collection[str] = ()) -> dict[str, Room]:
    """Return the figures of each room by name, or of some rooms only; those of all that are returned come last."""
    found: dict[str, Room] = defaultdict(Room)
    whole = Room()
    for name, file in report["files"].items():
        parts = Path(name).parts[1:]
        room = parts[0] if len(parts) > 1 else TOP
        if not only or room in only:
            found[room].add(file["summary"])
            whole.add(file["summary"])
    return {**dict(sorted(found.items())), "together": whole}


def table(report: Mapping[str, Any], day: dt.date, only: Collection[str] = ()) -> str:
    """Return the table as Markdown, with the day and the tests that it was measured with."""
    tests = "the tests of each room's own folder alone, so that these are lower bounds" if only else "the whole suite"
    lines = [
        f"Measured on {day} with {tests}:",
        "",
        "| room | statements | run | branches | taken | both |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, room in rooms(report, only).items():
        numbers = (room.statements, room.statements_run, room.branches, room.branches_taken)
        lines.append(f"| {name} | {' | '.join(f'{each:,}' for each in numbers)} | {room.percent:.1f} % |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Read the combined data of this folder and rewrite the table."""
    data = Coverage()
    data.load()
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        data.json_report(outfile=file.name)
        report = json.loads(Path(file.name).read_text(encoding="utf-8"))
    today = dt.datetime.now(tz=dt.UTC).date()
    written = table(report, today, sys.argv[1:])
    PAGE.write_text(_TABLE.sub(lambda _: written, PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(written)


if __name__ == "__main__":
    main()
