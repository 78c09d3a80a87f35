"""What keeps the books: tables that are written once, the triggers that see to it, and whether they are unharmed."""

from worker.db.proofs import Proof

WRITTEN_ONCE = (
    "credit_entry",
    "seal",
    "ledger_rollup",
    "call",
    "generation_reading",
    "wallet_reading",
    "change",
    "catalog_live",
)
"""The list is kept here and not read from the triggers: one that was dropped would be missed by nobody."""

# tgtype: 2 before, 32 truncate, 16 update, 8 delete; 1 for each row, 2 before, 4 insert (pg_trigger.h).
_REFUSES, _SEES_EACH = 2 + 8 + 16 + 32, 1 + 2 + 4

_TRIGGERS = ", ".join(
    [f"('{table}', 'append_only', 'refuse_change', {_REFUSES})" for table in WRITTEN_ONCE]
    + [f"('credit_entry', 'books_closed', 'keep_books_closed', {_SEES_EACH})"]
    + [f"('{table}', 'recorded', 'record_after_seal', {_SEES_EACH})" for table in ("call", "result", "wallet_reading")]
    + [f"('change', 'recorded', 'date_after_seal', {_SEES_EACH})"]
)

_SHA256 = {
    "refuse_change": "2ca8031132f277316304fc697639294d52526062e10fb19773097e655699c790",
    "keep_books_closed": "0bed4761e84e491dd1b7f43ab383aa68df611c4b2ea9afccd8e0bdbbb187e758",
    "record_after_seal": "fe86f03bab40198156205541542059c6242104ac2324b5aed1ff6b6056076f2a",
    "date_after_seal": "fe9402e8e42ff917176b3f8e56eaee322b44a8263282f026a548dcd0fdd56652",
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
