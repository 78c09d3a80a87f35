"""Each command has its place in the console, or stands in docs/console.md with the reason why it has none."""

import re
from collections.abc import Iterator
from pathlib import Path

from worker.cli.commands import ROOT
from worker.cli.lazy import Command, Group
from worker.web.console import routes

DOCUMENT = Path(__file__).parents[3] / "docs" / "console.md"
PLACES = {
    "/batches": "status, ls, refused",
    "/batches/{batch_id}": "watch, explain",
    "/batches/{batch_id}/results.csv": "results",
    "/batches/{batch_id}/images.zip": "download",
    "/batches/new": "submit",
    "/batches/{batch_id}/pause": "pause",
    "/batches/{batch_id}/resume": "resume",
    "/batches/{batch_id}/cancel": "cancel",
    "/batches/{batch_id}/retry": "retry",
    "/batches/{batch_id}/priority": "reprioritise",
    "/batches/{batch_id}/deadline": "deadline",
    "/batches/{batch_id}/cap": "cap",
    "/operations": "bulk list",
    "/operations/decide": "bulk decide",
    "/operations/{operation_id}": "bulk show",
    "/operations/{operation_id}/start": "bulk start",
    "/operations/{operation_id}/cancel": "bulk cancel",
    "/in-doubt": "audit in-doubt",
    "/in-doubt/{generation_id}": "resolve",
    "/money/correct": "correct",
    "/money/verify": "audit verify",
    "/money/check": "audit check",
    "/money/report": "audit statement, audit outstanding, audit spend, audit job, audit reconcile, audit export,"
    " audit changes, audit trial-balance",
    "/catalogs": "catalog list, catalog show",
    "/catalogs/{name:path}/import": "catalog import",
    "/catalogs/{name:path}/plan": "catalog plan",
    "/plans/{plan_id}": "catalog show-plan",
    "/plans/{plan_id}/apply": "catalog apply",
    "/plans/{plan_id}/approve": "catalog approve",
    "/plans/{plan_id}/refuse": "catalog refuse",
    "/catalogs/{name:path}/remove": "catalog remove",
    "/catalogs/{name:path}/review/sheet.zip": "catalog sheet",
    "/catalogs/{name:path}/review/files": "catalog decide",
    "/catalogs/{name:path}/rollback": "catalog rollback",
    "/catalogs/{name:path}/history": "catalog history",
    "/catalogs/{name:path}/live.csv": "catalog export",
    "/schedules": "schedule add, schedule list, schedule runs",
    "/schedules/{schedule_id}": "schedule set",
    "/schedules/{schedule_id}/pause": "schedule pause",
    "/schedules/{schedule_id}/resume": "schedule resume",
    "/schedules/{schedule_id}/remove": "schedule remove",
    "/schedules/{schedule_id}/run": "schedule run-now",
    "/schedules/runs/{run_id}/cancel": "schedule cancel",
    "/settings": "hook list, user list, token list",
    "/settings/hooks": "hook add",
    "/settings/hooks/{hook_id}": "hook deliveries",
    "/settings/hooks/{hook_id}/test": "hook test",
    "/settings/hooks/{hook_id}/rotate": "hook rotate",
    "/settings/hooks/{hook_id}/replay": "hook replay",
    "/settings/hooks/{hook_id}/enable": "hook enable",
    "/settings/hooks/{hook_id}/remove": "hook remove",
    "/settings/users": "user add",
    "/settings/users/set": "user set",
    "/settings/users/link": "user link",
    "/settings/tokens": "token create",
    "/settings/tokens/revoke": "token revoke",
    "/accounts": "account show, account list",
    "/accounts/pause": "account pause",
    "/accounts/resume": "account resume",
    "/accounts/same-key": "account same-key",
    "/accounts/limits": "account set",
    "/accounts/owner": "account default",
    "/accounts/{account:path}/webhooks": "webhook list, webhook add",
    "/accounts/{account:path}/webhooks/test": "webhook test",
    "/accounts/{account:path}/webhooks/rotate": "webhook rotate-secret",
    "/accounts/{account:path}/webhooks/remove": "webhook remove",
}
"""Which commands the page or form at each address stands for."""


def commands(entries: tuple[Command | Group, ...], above: str = "") -> Iterator[str]:
    """Yield every command by its whole name."""
    for each in entries:
        name = f"{above} {each.name}".strip()
        if isinstance(each, Group):
            yield from commands(tuple(each.commands), name)
        else:
            yield name


def left() -> set[str]:
    """Return the commands that the document leaves to a shell, and to whom single options are left."""
    table = DOCUMENT.read_text(encoding="utf-8").partition("## What is left to commands")[2].partition("## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]*)`", row)}


def test_every_command_has_its_place_in_the_console_or_a_reason_to_have_none() -> None:
    placed = {name.strip() for names in PLACES.values() for name in names.split(",")}

    known = set(commands(tuple(ROOT.commands)))

    assert placed | {each for each in left() if " --" not in each} == known
    assert {each.partition(" --")[0] for each in left() if " --" in each} <= placed


def test_every_place_of_a_command_is_a_page_or_form_of_the_console() -> None:
    paths = {getattr(each, "path", "") for each in routes.routes()}

    assert set(PLACES) <= paths
