"""With --json standard output is one JSON document; what is logged meanwhile goes to standard error."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.conftest import Darkroom, run

LOGGING = """
import structlog, sys
from worker.cli import output
def loud(printing):
    def printed(*arguments, **named):
        structlog.get_logger("worker").warning("something.happened")
        printing(*arguments, **named)
    return printed
output.print_json, output.print_json_with = loud(output.print_json), loud(output.print_json_with)
from worker.cli.app import main
sys.argv[0] = "darkroom"
main()
"""
"""The command line with a line that is logged before each document, as by a store that is adopted."""

ASKED = (
    ("doctor",),
    ("status",),
    ("account", "show"),
    ("store", "show"),
    ("schedule", "list"),
    ("catalog", "list"),
    ("audit", "verify"),
    ("audit", "in-doubt"),
    ("doctor", "--verify-store"),
)


@pytest.mark.parametrize("asked", ASKED, ids=" ".join)
def test_a_line_that_is_logged_goes_to_standard_error_and_leaves_the_document_whole(
    asked: Sequence[str], tmp_path: Path, database_url: str, darkroom: Darkroom, good_manifest: Path
) -> None:
    darkroom("submit", str(good_manifest))
    settings = {"DARKROOM_DATABASE_URL": database_url, "DARKROOM_STORE": str(tmp_path / "store")}

    done = run(tmp_path, settings, *asked, "--json", program=("-c", LOGGING))

    assert isinstance(json.loads(done.stdout), dict | list)
    assert "something.happened" in done.stderr


LOGGING_LATE = """
import sys
from worker.cli import output
def loud(printing):
    def printed(*arguments, **named):
        assert "structlog" not in sys.modules
        LOG
        import structlog
        structlog.get_logger("worker").warning("something.happened")
        printing(*arguments, **named)
    return printed
output.print_json = loud(output.print_json)
from worker.cli.app import main
sys.argv[0] = "darkroom"
main()
"""
"""The command line with a line that is logged by what is imported only then."""


@pytest.mark.parametrize("first", ["pass", "import worker.logs"])
def test_a_line_that_is_logged_by_what_is_imported_late_goes_to_standard_error(
    first: str, tmp_path: Path, database_url: str, darkroom: Darkroom, good_manifest: Path
) -> None:
    darkroom("submit", str(good_manifest))
    settings = {"DARKROOM_DATABASE_URL": database_url, "DARKROOM_STORE": str(tmp_path / "store")}

    done = run(tmp_path, settings, "status", "--json", program=("-c", LOGGING_LATE.replace("LOG", first, 1)))

    assert isinstance(json.loads(done.stdout), list)
    assert "something.happened" in done.stderr


def test_a_document_that_was_printed_before_the_command_failed_reaches_the_pipe(
    tmp_path: Path, spawned: Darkroom
) -> None:
    (tmp_path / "bad.csv").write_text("key,prompt,seed\na,A chair,7\n")

    done = spawned("submit", "bad.csv", "--dry-run", "--json")

    assert done.returncode == 1
    assert [fault["field"] for fault in json.loads(done.stdout)["faults"]] == ["seed"]
