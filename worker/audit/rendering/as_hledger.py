"""An export as a journal of plain-text accounting: one transaction per entry, for hledger and its kin."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from worker.audit.rendering.exact import Unfit, exact, instant
from worker.audit.reports.report import Report
from worker.ledger.rules.entries import CreditAccount

COMMODITY = "credits"
_ACCOUNTS = {
    CreditAccount.CAP: "equity:cap",
    CreditAccount.HELD: "assets:held",
    CreditAccount.RESERVED: "assets:reserved",
    CreditAccount.SPENT: "expenses:spent",
}
"""Kinds of account that hledger knows: the cap is where credits come from, so that it falls below zero."""


_SPECIAL = re.compile(r"[%,;\x00-\x1f\x7f]|[^\S ]|^ | (?= )| $")
"""What ends, comments out or separates a tag's value; a single blank between words stays."""


def as_hledger(report: Report) -> bytes:
    """Return the journal, every account declared; raise Unfit for a report that is no export."""
    if report.name != "export":
        raise Unfit("only an export can be a journal: `darkroom audit export --format hledger`")
    (section,) = report.sections
    names = [column.name for column in section.columns]
    entries = [dict(zip(names, row, strict=True)) for row in section.rows]
    batches = {entry["batch_id"]: entry for entry in entries}
    head = [
        f"; {report.title}, as of {instant(report.as_of)}",
        f"commodity 1000. {COMMODITY}",
        *(_declared(account, batch) for batch in batches.values() for account in CreditAccount),
    ]
    return "\n".join([*head, "", *(_transaction(entry) for entry in entries)]).encode()


def account(name: str, batch_id: object) -> str:
    """Return the journal's account of a batch."""
    return f"{_ACCOUNTS[CreditAccount(name)]}:{batch_id}"


def _declared(name: CreditAccount, batch: Mapping[str, Any]) -> str:
    tags = ", ".join(_tags({"batch": batch["batch"], "owner": batch["owner"]}))
    return f"account {account(name, batch['batch_id'])}  ; {tags}"


def _transaction(entry: Mapping[str, Any]) -> str:
    tags = {
        "entry": entry["id"],
        "kind": entry["kind"],
        "batch": entry["batch"],
        "owner": entry["owner"],
        "job": entry["job_id"],
        "key": entry["key"],
        "model": entry["model"],
        "generation": entry["generation_id"],
        "posted": instant(entry["posted_at"]),
        "actor": entry["actor"],
        "reason": entry["reason"],
    }
    lines = [
        f"{entry['posted_at']:%Y-%m-%d} * ({entry['id']}) {entry['kind']}",
        *(f"    ; {tag}" for tag in _tags(tags)),
        f"    {account(entry['target'], entry['batch_id'])}  {entry['credits']} {COMMODITY}",
        f"    {account(entry['source'], entry['batch_id'])}  {-entry['credits']} {COMMODITY}",
    ]
    return "\n".join(lines) + "\n"


def _tags(values: Mapping[str, Any]) -> list[str]:
    return [f"{name}: {encoded(exact(value))}" for name, value in values.items() if value is not None]


def encoded(value: str) -> str:
    """Return a tag's value, percent-encoded where hledger would end or trim it: different values stay different."""
    return _SPECIAL.sub(lambda found: quote(found[0], safe=""), value)
