"""Make the schema of version 0.1.0: one SQL file per room in `migrations/baseline`, in the order of their references.

Its number is that of the last of the migrations that it replaces, so a database that they made goes on from here.
"""

from collections.abc import Sequence
from pathlib import Path

from migrations import scripts

revision: str = "0044"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_BASELINE = Path(__file__).resolve().parent.parent / "baseline"
_ROOMS = ("accounts", "batches", "intake", "engine", "ledger", "audit", "catalog", "node", "books", "roles")


def upgrade() -> None:
    for room in _ROOMS:
        _run(room)


def downgrade() -> None:
    _run("down")


def _run(name: str) -> None:
    scripts.run((_BASELINE / f"{name}.sql").read_text(encoding="utf-8"))
