"""`darkroom audit in-doubt`: every generation that may or may not have been charged, with all the evidence."""

import shlex
from typing import TYPE_CHECKING, Any

from worker.cli import output

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from worker.audit.queries.in_doubt import InDoubt, Said, WalletReading
    from worker.engine.queries.calls import LoggedCall


def in_doubt(as_json: output.AsJson = False) -> None:
    """List generations that may have been charged, with the evidence and the commands to resolve them.

    Their credits stay held or reserved until `darkroom resolve` decides.
    """
    from worker import wiring
    from worker.audit.queries import in_doubt as queries_in_doubt
    from worker.cli.context import resolve
    from worker.engine.queries import calls

    database = wiring.database(resolve().settings, connections=1)
    with database.transaction() as tx:
        doubts = queries_in_doubt.all_of_them(tx)
        made = {each.generation_id: calls.for_generation(tx, each.generation_id) for each in doubts}
        wallet = queries_in_doubt.wallet_around(tx, doubts)
        said = queries_in_doubt.last_said(tx, [each.generation_id for each in doubts])
    now = wiring.clock()
    if as_json:
        output.print_json(
            [
                shown(each, made[each.generation_id], now)
                | outside(wallet[each.generation_id], said.get(each.generation_id))
                for each in doubts
            ]
        )
        return
    for each in doubts:
        words = _outside_lines(wallet[each.generation_id], said.get(each.generation_id))
        _print(each, made[each.generation_id], now, words)
    total = output.plural(sum(each.open for each in doubts), "credit")
    text = f"{output.plural(len(doubts), 'generation')} in doubt, {total} held or reserved."
    output.answers().print(text if doubts else "Nothing is in doubt.", markup=False)


def shown(doubt: "InDoubt", made: "list[LoggedCall]", now: "datetime") -> dict[str, Any]:
    """One of them as scripts read it."""
    facts = {name: _plain(value) for name, value in vars(doubt).items()}
    return facts | {
        "client_request_id": str(doubt.generation_id),
        "open": doubt.open,
        "open_in": doubt.open_in.value,
        "age_s": int((now - doubt.doubted_at).total_seconds()),
        "calls": [{name: _plain(value) for name, value in vars(call).items()} for call in made],
        "resolve": commands(doubt, made),
    }


def outside(wallet: "Sequence[WalletReading]", said: "Said | None") -> dict[str, Any]:
    """The wallet readings around the sends, and the provider's later answer, as JSON values."""
    return {
        "wallet": [{"read_at": each.read_at.isoformat(), "credits": each.credits} for each in wallet],
        "last_said": None if said is None else {name: _plain(value) for name, value in vars(said).items()},
    }


def _outside_lines(wallet: "Sequence[WalletReading]", said: "Said | None") -> dict[str, str]:
    readings = ", then ".join(f"{each.credits:,} at {_instant(each.read_at)}" for each in wallet)
    words = "not checked again: no task is known"
    if said is not None:
        figures = f"reserved {said.reserved}, final {said.final}" if said.status else str(said.message)
        words = f"{said.status or said.code}, {figures}, at {_instant(said.read_at)}"
    return {"wallet": readings or "not read around that time", "asked again": words}


def commands(doubt: "InDoubt", made: "list[LoggedCall]") -> list[str]:
    """The three ways out, ready to be run once NAME and TEXT, and where it is not known the task, are filled in."""
    start, end = f"darkroom resolve {doubt.generation_id}", "--by NAME --reason TEXT"
    tasks = dict.fromkeys([doubt.provider_id, *(call.provider_id for call in made)])
    known = [shlex.quote(task) for task in tasks if task] or ["TASK_ID"]
    adopt = [f"{start} --adopt {task} {end}" for task in known]
    return [*adopt, f"{start} --charged {doubt.open} {end}", f"{start} --not-charged {end}"]


def _print(doubt: "InDoubt", made: "list[LoggedCall]", now: "datetime", more: dict[str, str]) -> None:
    from rich.text import Text

    console = output.answers()
    console.print(Text(f"generation {doubt.generation_id}", style="bold yellow"))
    console.print(output.grid(_lines(doubt, now) | more))
    for call in made:
        console.print(f"  {call_line(call)}", markup=False)
    for command in commands(doubt, made):
        console.print(f"  {command}", markup=False, style="cyan")
    console.print()


def _lines(doubt: "InDoubt", now: "datetime") -> dict[str, str]:
    hours, minutes = divmod(int((now - doubt.doubted_at).total_seconds()) // 60, 60)
    return {
        "why": f"{doubt.code}: {doubt.message}" + (f" [{doubt.request_id}]" if doubt.request_id else ""),
        "since": f"{doubt.doubted_at:%Y-%m-%d %H:%M:%S} UTC, {hours} h {minutes:02} min ago",
        "job": f"{doubt.key} (line {doubt.line}, attempt {doubt.number}), {doubt.job_id}",
        "batch": f"{doubt.batch_name}, {doubt.batch_id}, of {doubt.owner}, account {doubt.account}",
        "credits": f"{output.plural(doubt.open, 'credit')} {doubt.open_in}",
        "model": doubt.model,
        "prompt": doubt.prompt,
        "key": f"{doubt.idempotency_key}, client_request_id {doubt.generation_id}",
        "body": f"{doubt.body_bytes or 0:,} bytes, SHA-256 {doubt.body_sha256}",
        "sent": f"{doubt.sends} times, of which {doubt.answers} surely created nothing;"
        f" first {_instant(doubt.first_sent_at)}, last {_instant(doubt.last_sent_at)}",
        "task": doubt.provider_id or "the provider's id is not known",
    }


def call_line(call: "LoggedCall") -> str:
    """One outside call in one line."""
    parts = [
        f"{call.started_at:%Y-%m-%d %H:%M:%S.%f}"[:-3],
        call.kind.value + (f" #{call.send}" if call.send else ""),
        call.outcome.value + (" (late)" if call.is_late else ""),
        *(f"HTTP {call.http_status}" for _ in [0] if call.http_status),
        *(text for text in (call.code, call.provider_id, call.request_id, call.message) if text),
    ]
    return "  ".join(parts)


def _instant(value: "datetime | None") -> str:
    return "never" if value is None else f"{value:%Y-%m-%d %H:%M:%S} UTC"


def _plain(value: Any) -> Any:
    from datetime import datetime

    return value.isoformat() if isinstance(value, datetime) else value
