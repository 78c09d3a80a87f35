"""What keeps the books: tables that are written once, the triggers that see to it, and whether they are unharmed."""

from worker.core.db.proofs import Proof

WRITTEN_ONCE = (
    "credit_entry",
    "seal",
    "ledger_rollup",
    "call",
    "generation_reading",
    "wallet_reading",
    "change",
    "catalog_live",
    "catalog_rejection",
)
"""The list is kept here and not read from the triggers: one that was dropped would be missed by nobody."""

# tgtype: 2 before, 32 truncate, 16 update, 8 delete; 1 for each row, 2 before, 4 insert (pg_trigger.h).
_REFUSES, _SEES_EACH, _SEES_CHANGES, _SEES_BOTH = 2 + 8 + 16 + 32, 1 + 2 + 4, 1 + 2 + 16, 1 + 2 + 4 + 16

_TRIGGERS = ", ".join(
    [f"('{table}', 'append_only', 'refuse_change', {_REFUSES})" for table in WRITTEN_ONCE]
    + [f"('credit_entry', 'books_closed', 'keep_books_closed', {_SEES_EACH})"]
    + [f"('{table}', 'recorded', 'record_after_seal', {_SEES_EACH})" for table in ("call", "result", "wallet_reading")]
    + [f"('change', 'recorded', 'date_after_seal', {_SEES_EACH})"]
    + [f"('seal', 'not_ahead', 'refuse_seal_ahead', {_SEES_EACH})"]
    + [f"('generation_reading', 'dated', 'date_generation_reading', {_SEES_EACH})"]
    + [f"('generation', 'dated', 'date_generation', {_SEES_BOTH})", f"('job', 'dated', 'date_job', {_SEES_CHANGES})"]
)

_SHA256 = {
    "refuse_change": "2ca8031132f277316304fc697639294d52526062e10fb19773097e655699c790",
    "keep_books_closed": "49507375503e16507540d500a1112e6797dfe70fa6e432d52156221257d197a2",
    "record_after_seal": "58b61587f8903d3e62d141c3312fcee2818044c73ce0b167dffe857fffa0fae4",
    "date_after_seal": "7aa7b06cd1752b910f2aef14b624ccc5689ff35fd7c845050495d42ea57dee75",
    "date_generation": "6bbfe24095a9921a3e463815ddfa8f06335a992c75e8d0149ea893954b3d007b",
    "date_generation_reading": "7452715f8d50b059627ada11e29d9df46b3047ecf8e03f00acade4553495552b",
    "date_job": "94568bcca618d323e6b3668ace600e518ee63f05d40cbe354cf08f538784aaf8",
    "refuse_seal_ahead": "8986b25b15595a8195baf3086af9f1c01d304ae825b825e6d14ad46d93aa9e67",
    "lock_ledger": "371ef520c4f642bad76281bcb0d75b8795924ef69344ca60c6f6a1b378adb3ec",
}
"""Of each function's language, rights, settings and text, as the migrations make it (schema left out)."""

_FUNCTIONS = ", ".join(f"('{name}', '{digest}')" for name, digest in _SHA256.items())

_DEFINITION = """
    encode(sha256(convert_to(concat_ws(E'\\n', l.lanname, p.prosecdef, p.proconfig,
        replace(p.prosrc, quote_ident(current_schema()) || '.', '')), 'UTF8')), 'hex')"""

FOUND = f"""
    SELECT p.proname AS name, {_DEFINITION} AS sha256 FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
    WHERE p.pronamespace = current_schema()::regnamespace"""

PROOFS: tuple[Proof, ...] = (
    Proof(
        name="append_only",
        rule="every trigger that refuses changes, closes the books or dates what comes late is there and switched on",
        query=f"""
            SELECT n.table_name AS "table", n.trigger_name AS trigger FROM (VALUES {_TRIGGERS})
                n (table_name, trigger_name, function_name, type)
            WHERE NOT EXISTS (
                SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
                WHERE t.tgrelid = to_regclass(n.table_name) AND t.tgname = n.trigger_name AND t.tgtype = n.type
                    AND p.proname = n.function_name AND t.tgenabled IN ('O', 'A') AND t.tgqual IS NULL
                    AND t.tgattr = '')""",
    ),
    Proof(
        name="guards",
        rule="the functions behind these triggers are those that the migrations made",
        query=f"""
            SELECT n.name AS function, n.sha256 AS made, coalesce(f.sha256, 'gone') AS found
            FROM (VALUES {_FUNCTIONS}) n (name, sha256) LEFT JOIN ({FOUND}) f ON f.name = n.name
            WHERE f.sha256 IS DISTINCT FROM n.sha256""",
    ),
)
