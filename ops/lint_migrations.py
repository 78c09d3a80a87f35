"""Lint what migrations do to a running system: `python -m ops.lint_migrations`, a part of `make check`.

Each migration after the baseline is rendered as SQL and read by squawk. A finding is either cured, or stands below with
the reason why it does no harm.
"""

import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.script import Script, ScriptDirectory

from worker.core.db import schema

OLDEST_POSTGRES = "14"
NOWHERE = "postgresql://nowhere/darkroom"
"""SQL is rendered without a connection."""
EXCLUDED = {
    "prefer-bigint-over-smallint": "a count that is bounded by code may be small",
    "require-lock-timeout": "migrations/env.py sets it for all of them",
    "require-statement-timeout": "migrations/env.py sets it for all of them",
    "transaction-nesting": "BEGIN and COMMIT around each rendered migration are Alembic's",
}
"""Rules that hold for no migration of Darkroom."""
CONTRACT = "nodes of an older version are alive"
"""In the SQL of a migration that waits for older nodes (migrations.contract), which may take away what they use."""
TAKES_AWAY = {
    "adding-not-nullable-field",
    "ban-drop-column",
    "ban-drop-constraint",
    "ban-drop-not-null",
    "ban-drop-table",
    "changing-column-type",
    "renaming-column",
    "renaming-object",
    "renaming-table",
}
UNRELEASED = "made before the first release with nodes to replace; no installation has the table at size"
SMALL = "a table of a few rows, which is locked for an instant"
INDEX, NO_INDEX = "require-concurrent-index-creation", "require-concurrent-index-deletion"
EXCEPTIONS: Mapping[str, Mapping[str, str]] = {
    "0046": {INDEX: UNRELEASED},
    "0052": {"constraint-missing-not-valid": SMALL},
    "0055": {
        **dict.fromkeys((INDEX, NO_INDEX, "adding-not-nullable-field", "ban-drop-not-null"), UNRELEASED),
        **dict.fromkeys(
            ("ban-drop-column", "constraint-missing-not-valid", "adding-foreign-key-constraint"), UNRELEASED
        ),
    },
    "0057": {INDEX: UNRELEASED},
    "0058": {"ban-drop-constraint": SMALL},
    "0059": {INDEX: UNRELEASED},
    "0060": {INDEX: UNRELEASED},
    "0065": {INDEX: "items are changed by syncs of catalogs alone, which wait for it"},
    "0066": dict.fromkeys(("adding-foreign-key-constraint", "constraint-missing-not-valid"), UNRELEASED),
    "0067": {INDEX: UNRELEASED},
    "0073": dict.fromkeys((INDEX, NO_INDEX), UNRELEASED),
    "0070": dict.fromkeys((INDEX, NO_INDEX, "constraint-missing-not-valid"), UNRELEASED),
    "0076": dict.fromkeys((INDEX, NO_INDEX), UNRELEASED),
    "0077": dict.fromkeys((INDEX, NO_INDEX), UNRELEASED),
    "0078": {"prefer-bigint-over-int": "they are changes by one statement, and no batch has two thousand million jobs"},
    "0074": {"constraint-missing-not-valid": UNRELEASED},
    "0079": {INDEX: UNRELEASED},
    "0080": {INDEX: UNRELEASED},
}
"""By migration and rule, why the finding does no harm there."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One finding of squawk."""

    revision: str
    file: str
    rule: str
    message: str

    def __str__(self) -> str:
        """Return it as a line with the next step."""
        return (
            f"{self.file}: {self.rule}: {self.message} (https://squawkhq.com/docs/{self.rule}). Change the"
            " migration, or name the reason why it does no harm in ops/lint_migrations.py"
        )


def main() -> int:
    """Print each fault, and each exception that is not needed; return the exit status."""
    faults = found(list(_migrations()))
    excepted = {(revision, rule) for revision, rules in EXCEPTIONS.items() for rule in rules}
    wrong = [str(fault) for fault in faults if (fault.revision, fault.rule) not in excepted]
    unused = sorted(excepted - {(fault.revision, fault.rule) for fault in faults})
    wrong += [
        f"ops/lint_migrations.py: {revision} needs no exception from {rule}: remove it" for revision, rule in unused
    ]
    print("\n".join(wrong) or "The migrations have no unexplained findings.")
    return 1 if wrong else 0


def _migrations() -> Iterator[tuple[Script, str]]:
    """Yield each migration after the baseline with its SQL."""
    for script in ScriptDirectory.from_config(schema.config()).walk_revisions():
        if isinstance(script.down_revision, str):
            yield script, _rendered(f"{script.down_revision}:{script.revision}")


def _rendered(revisions: str) -> str:
    config = schema.config()
    config.attributes["url"] = NOWHERE
    config.output_buffer = io.StringIO()
    command.upgrade(config, revisions, sql=True)
    return str(config.output_buffer.getvalue())


def found(migrations: list[tuple[Script, str]]) -> list[Fault]:
    """Return what squawk finds in the SQL of the migrations."""
    with tempfile.TemporaryDirectory() as folder:
        files = {str(Path(folder) / f"{script.revision}.sql"): (script, sql) for script, sql in migrations}
        for path, (_, sql) in files.items():
            Path(path).write_text(sql, encoding="utf-8")
        squawk = [str(Path(sys.executable).parent / "squawk"), "--reporter", "json", "--pg-version", OLDEST_POSTGRES]
        options = ["--assume-in-transaction", "--exclude", ",".join(EXCLUDED), *files]
        said = subprocess.run([*squawk, *options], capture_output=True, text=True, check=False)  # noqa: S603 - our tool
    if not said.stdout:
        raise SystemExit(f"squawk failed with {said.returncode}: {said.stderr}")
    return [
        _fault(files[each["file"]][0], each)
        for each in json.loads(said.stdout)
        if not (each["rule_name"] in TAKES_AWAY and CONTRACT in files[each["file"]][1])
    ]


def _fault(script: Script, each: Mapping[str, str]) -> Fault:
    file = f"migrations/versions/{Path(script.path).name}"
    return Fault(revision=script.revision, file=file, rule=each["rule_name"], message=each["message"])


if __name__ == "__main__":
    raise SystemExit(main())
