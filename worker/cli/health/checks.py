"""Each part of Darkroom looked at once, without spending anything: what is found, and what to do about it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from worker import wiring
from worker.accounts.queries import account_limits, provider_health
from worker.accounts.rules.pace import PROBED_AFTER
from worker.audit.queries import instants
from worker.batches.queries import overview
from worker.cli import output
from worker.cli.context import Context, no_database
from worker.cli.health import doctor, nodes, provider, serving
from worker.cli.health.doctor import Finding, Verdict
from worker.core.db import schema
from worker.core.rules.errors import PauseReason
from worker.engine.queries import crashes, maintenance, results
from worker.engine.rules import give_up
from worker.engine.rules.give_up import ALARM_AFTER, GRAVE_AFTER
from worker.hooks.queries import hooks
from worker.intake.queries import messages
from worker.node.queries.nodes import OFF_S
from worker.settings import variable_of
from worker.storage.store import StoreUnavailable, WrongStore

DEAD_ROWS_MOST = 20_000
"""Of a table of few rows, to which autovacuum comes each minute: a busy node leaves some 6,000 in that time."""


def examine(context: Context) -> Iterator[Finding]:
    """Yield a finding for every part, one after the other."""
    yield from _database(context)
    yield from _broker(context)
    yield _store(context)
    yield from provider.examine(context)


def _database(context: Context) -> Iterator[Finding]:
    if context.settings.database_url is None:
        yield doctor.failed("database", "none", no_database(context.found))
        return
    database = wiring.database(context.settings, connections=1)
    try:
        with database.transaction() as tx:
            yield _server(tx)
            yield _clock(tx)
            migrations = _migrations(tx)
            yield migrations
            if migrations.verdict is Verdict.OK:
                yield _vacuum(tx)
                yield from _node_problems(tx)
                yield _instants(tx)
                yield from _accounts(tx, context)
                yield _crashes(tx)
                yield _maintenance(tx)
                yield _hooks(tx)
                yield _messages(tx)
    except DBAPIError as error:
        reason = (str(error.orig).strip().splitlines() or ["no reason given"])[0]
        yield doctor.failed(
            "database",
            f"does not answer: {reason}",
            "check DARKROOM_DATABASE_URL (host, port, sslmode, sslrootcert), and that it runs",
        )
    finally:
        database.close()


def _server(tx: Connection) -> Finding:
    return doctor.ok("database", overview.server(tx))


def _clock(tx: Connection) -> Finding:
    wiring.clock.read(tx)
    offset_s = wiring.clock.wall_offset_s()
    if abs(offset_s) > OFF_S:
        detail = f"this machine's clock is {serving.off_by(offset_s)} the database's, which alone counts"
        return doctor.warning("clock", detail, serving.SET_THE_CLOCK)
    return doctor.ok("clock", f"{offset_s:+.3f} s against the database's")


def _vacuum(tx: Connection) -> Finding:
    dead = overview.dead_rows(tx)
    if dead <= DEAD_ROWS_MOST:
        return doctor.ok("vacuum", f"{dead:,} dead rows in the table account")
    return doctor.warning(
        "vacuum",
        f"{dead:,} dead rows in the table account, which every round reads past: a transaction keeps them, or"
        " autovacuum does not come",
        "as an administrator: SELECT pid, usename, application_name, xact_start FROM pg_stat_activity WHERE"
        " backend_xmin IS NOT NULL ORDER BY xact_start, and end the oldest; then pg_replication_slots and"
        " pg_prepared_xacts",
    )


def _instants(tx: Connection) -> Finding:
    found = instants.at_a_glance(tx)
    if not found:
        return doctor.ok("instants", "no impossible timestamps")
    detail = f"{found[0]}, which is impossible" + (f", and {len(found) - 1} more" if len(found) > 1 else "")
    if instants.is_healed(found[0]):
        return doctor.warning(
            "instants", detail, "nothing; a running node corrects it within seconds, see instant.healed in its log"
        )
    return doctor.warning(
        "instants",
        detail,
        "keep the clock of the database's server in step (NTP), and upgrade old nodes: `darkroom audit verify` has all"
        " of them; they stay as they are, and work continues",
    )


def _node_problems(tx: Connection) -> Iterator[Finding]:
    for found in serving.of_all(tx):
        yield doctor.warning(found.check, found.said, found.next_step)


def _migrations(tx: Connection) -> Finding:
    found, wanted = schema.current(tx), schema.head()
    if found == wanted:
        return doctor.ok("migrations", f"at {found}, the newest")
    if found and not schema.is_known(found):
        return doctor.failed(
            "migrations",
            f"at {found}, which this version of Darkroom does not know",
            "use the version that the database was last used with, or a newer one",
        )
    return doctor.failed("migrations", f"at {found or 'nothing'}, newest is {wanted}", "run `darkroom migrate`")


def _accounts(tx: Connection, context: Context) -> Iterator[Finding]:
    names = account_limits.names(tx)
    if len(names) < 2:  # noqa: PLR2004 - then there is no need to say which
        yield from _of_account(tx, context.settings.account)
        return
    for name in names:
        for each in _of_account(tx, name):
            yield each if each.part == "account" else replace(each, detail=f"{name}: {each.detail}")
    for name in maintenance.unserved(tx):
        yield doctor.warning(
            "account",
            f"{name!r} has jobs, and no node works for it",
            f"start a node with its key ({variable_of('RIVYA_API_KEY', name)}); its account.not_served or"
            " account.without_key in the log says why one does not",
        )


def _of_account(tx: Connection, name: str) -> Iterator[Finding]:
    yield _account(tx, name)
    yield from _rate_limit(tx, name)
    yield _models(tx, name)
    yield _not_downloaded(tx, name)


def _account(tx: Connection, name: str) -> Finding:
    found = overview.account_pause(tx, name)
    if found is None:
        return doctor.ok("account", f"{name!r} is new: the first node or batch creates it")
    if found.reason is None:
        return doctor.ok("account", f"{name!r} is not paused")
    since = f"since {found.since:%Y-%m-%d %H:%M} UTC"
    words = f": {found.message}" if found.message else ""
    step = overview.next_step_of(PauseReason(found.reason), account=name)
    return doctor.warning("account", f"{name!r} paused ({found.reason}) {since}{words}", step)


def _rate_limit(tx: Connection, name: str) -> Iterator[Finding]:
    found = account_limits.view(tx, name, now=wiring.clock())
    if found is None or found.blocked_until is None or found.closed_at is None:
        return
    detail = (
        f"the provider answers 429 since {found.closed_at:%Y-%m-%d %H:%M:%S} UTC; no request before"
        f" {found.blocked_until:%Y-%m-%d %H:%M:%S} UTC"
    )
    if found.blocked_until - found.closed_at < PROBED_AFTER:
        yield doctor.ok("rate limit", detail)
    else:
        step = f"nothing; one request probes then, or now with `darkroom account resume {name}`"
        yield doctor.warning("rate limit", detail, step)


def _not_downloaded(tx: Connection, name: str) -> Finding:
    found, now = results.not_downloaded_of_account(tx, name), wiring.clock()
    if found.since is None:
        return doctor.ok("images", "every paid image is downloaded")
    detail = f"{found.count:,} paid and not downloaded yet, the oldest since {found.since:%Y-%m-%d %H:%M} UTC"
    if not found.is_older_than(ALARM_AFTER, now=now):
        return doctor.ok("images", f"{detail}: being downloaded")
    judge = doctor.failed if found.is_older_than(GRAVE_AFTER, now=now) else doctor.warning
    return judge(
        "images",
        detail,
        "see result.not_downloaded in the nodes' log, then fix the store or the network route to the provider's"
        " images; downloads are retried for a day",
    )


def _models(tx: Connection, name: str) -> Finding:
    paused = provider_health.paused_models_of(tx, name)
    if not paused:
        return doctor.ok("models", "none is paused")
    step = (
        "nothing; their jobs resume when the provider offers the models again, or with"
        f" `darkroom account resume {name}`"
    )
    return doctor.warning("models", "; ".join(str(each) for each in paused), step)


def _maintenance(tx: Connection) -> Finding:
    found = maintenance.failing(tx)
    if not found:
        return doctor.ok("maintenance", "runs as scheduled")
    parts = (
        f"{each.kind}: not done since {each.done_at:%Y-%m-%d %H:%M} UTC" + (f" ({each.error})" if each.error else "")
        for each in found
    )
    step = "look for maintenance.crashed in the nodes' log; if there is none, the nodes' threads or the broker hang"
    return doctor.warning("maintenance", "; ".join(parts), step)


def _hooks(tx: Connection) -> Finding:
    found = hooks.failing(tx, now=wiring.clock())
    if found is None:
        return doctor.ok("hooks", "every event was taken, or was not sent yet")
    parts = (
        f"{output.plural(found.disabled, 'hook')} disabled" if found.disabled else "",
        f"{output.plural(found.failing, 'hook')} failing" if found.failing else "",
        f"{output.plural(found.dead_letters, 'event')} given up in the last 7 days" if found.dead_letters else "",
    )
    step = (
        "fix the receiver, or DARKROOM_HOOK_COMMANDS and DARKROOM_HOOK_HOSTS of the nodes; then `darkroom hook enable"
        " HOOK` and `darkroom hook replay --failed`; `darkroom hook list` and `hook deliveries --failed` show each"
    )
    detail = f"{', '.join(filter(None, parts))}; {found.first}"
    return doctor.failed("hooks", detail, step) if found.disabled else doctor.warning("hooks", detail, step)


def _crashes(tx: Connection) -> Finding:
    found = crashes.count(tx, now=wiring.clock())
    if not found.steps and not found.ended:
        return doctor.ok("crashes", "no job step keeps crashing")
    words = f" ({found.error})" if found.error else ""
    detail = f"{found.steps:,} steps crash{words}; {found.ended:,} jobs ended with {give_up.CRASHED} within a day"
    step = (
        "a bug of Darkroom: report step.crashed of the nodes' log, upgrade, then `darkroom retry BATCH --code"
        f" {give_up.CRASHED}`; what is in doubt: `darkroom audit in-doubt`"
    )
    return (doctor.failed if found.ended else doctor.warning)("crashes", detail, step)


_REFERENCES_LATE_AFTER = timedelta(minutes=15)
"""A message whose references are not fetched by then waits for a node or the store."""


def _messages(tx: Connection) -> Finding:
    since = wiring.clock() - messages.LOOKED_BACK
    total, newest = messages.refused(tx, since=since, limit=1)
    dropped = messages.dropped(tx, since=since)
    waiting = messages.count_waiting(tx)
    is_late = waiting.oldest_at is not None and wiring.clock() - waiting.oldest_at > _REFERENCES_LATE_AFTER
    if not total and not dropped and not is_late:
        return doctor.ok("messages", f"none refused or dropped within 7 days; {waiting}")
    parts, steps = [], []
    if is_late:
        parts.append(f"{waiting}, the first since {waiting.oldest_at:%Y-%m-%d %H:%M} UTC")
        steps.append("look for batch.not_yet_enqueued in the nodes' log, and start more nodes")
    if total or dropped:
        steps.append("`darkroom refused` lists what was refused; fix the producer and send again")
    noun = "batch" if total == 1 else "batches"
    parts += [
        f"{total:,} {noun} refused within 7 days, the last one for {each.field}: {each.reason}" for each in newest
    ]
    parts += [f"{each.messages:,} messages dropped from {each.queue}: {each.last_reason}" for each in dropped]
    return doctor.warning("messages", "; ".join(parts), "; ".join(steps))


def _unread(context: Context) -> Finding:
    found = nodes.unread_queues(context)
    if not found:
        return doctor.ok("queues", "no messages in misspelled queues")
    parts = (f"{each.messages:,} messages in {each.name} (did you mean {each.meant}?)" for each in found)
    step = "no node reads them: send them again to the queue that was meant, then delete the other"
    return doctor.warning("queues", "; ".join(parts), step)


def _broker(context: Context) -> Iterator[Finding]:
    if context.settings.broker_url is None:
        yield doctor.failed("broker", "none", "start Darkroom with `darkroom up`, or set DARKROOM_BROKER_URL")
        return
    try:
        found = nodes.alive(context)
    except nodes.BrokerUnreachable as error:
        yield doctor.failed("broker", str(error), "check DARKROOM_BROKER_URL, and that it runs")
        return
    kind = context.settings.broker_url.get_secret_value().split(":", 1)[0]
    yield doctor.ok("broker", f"answers ({kind})")
    if found:
        yield doctor.ok("nodes", ", ".join(found))
    else:
        yield doctor.warning("nodes", "none answers", "start one: `darkroom up`, or `darkroom node`")
    try:
        yield _unread(context)
    except nodes.BrokerUnreachable as error:
        yield doctor.failed("queues", str(error), "check DARKROOM_BROKER_URL, and that it runs")


def _store(context: Context) -> Finding:
    place = context.settings.store_url
    if context.settings.database_url is None:
        # Opening a store makes its folder: without a Darkroom here, that would be one more home.
        return doctor.warning(
            "store", f"{place}: not checked", "it is checked against the database: fix the database first"
        )
    database = wiring.database(context.settings, connections=1)
    try:
        wiring.store(context.settings, database).check()
    except WrongStore as error:
        return doctor.failed("store", str(error), "`darkroom store show` says more; every step that needs it waits")
    except (StoreUnavailable, ValueError) as error:
        return doctor.failed(
            "store", str(error), "check DARKROOM_STORE, its free space and its permissions; work that needs it waits"
        )
    except DBAPIError:
        return doctor.warning("store", f"{place}: not checked against the database", "fix the database first")
    finally:
        database.close()
    return doctor.ok("store", f"{place}: the expected store, writable and readable")
