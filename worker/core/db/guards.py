"""What keeps the books: tables that are written once, the triggers that see to it, and whether they are unharmed."""

from dataclasses import dataclass

from worker.core.db.proofs import Proof

WRITTEN_ONCE = (
    "credit_entry",
    "seal",
    "seal_fact",
    "ledger_rollup",
    "ledger_opening",
    "pool_rollup",
    "batch_account",
    "call",
    "generation_reading",
    "wallet_reading",
    "change",
    "catalog_live",
    "catalog_rejection",
    "archived_file",
    "erasure",
    "erased_row",
    "rewritten_file",
)
"""The list is kept here and not read from the triggers: one that was dropped would not be missed."""

REMOVABLE = ("credit_entry", "call", "generation_reading")
"""Of these, the tables whose sealed rows are removed once their batch is archived."""

# tgtype: 2 before, 32 truncate, 16 update, 8 delete; 1 for each row, 2 before, 4 insert (pg_trigger.h).
_REFUSES, _SEES_EACH, _SEES_CHANGES, _SEES_BOTH = 2 + 8 + 16 + 32, 1 + 2 + 4, 1 + 2 + 16, 1 + 2 + 4 + 16
_REFUSES_CHANGES, _REFUSES_REMOVAL, _SEES_REMOVAL = 2 + 16 + 32, 2 + 8 + 32, 1 + 2 + 8
_AFTER_EACH, _AFTER_CHANGES, _AFTER_ADDED = 1 + 4 + 8 + 16, 1 + 16, 1 + 4


@dataclass(frozen=True, kw_only=True)
class _Trigger:
    table: str
    name: str
    function: str
    type: int
    columns: str = ""
    """Whose update it sees; empty: of any."""
    arguments: str = ""

    def __str__(self) -> str:
        values = (self.table, self.name, self.function, self.columns, self.arguments)
        return "({}, {})".format(", ".join(f"'{value}'" for value in values), self.type)


_RECORDED = "hook:,id,catalog_id,kind,target,secret,events,disabled_at,removed_at,"
_TRIGGERS = (
    *(
        _Trigger(
            table=each,
            name="append_only",
            function="refuse_change",
            type=_REFUSES_CHANGES if each in REMOVABLE else _REFUSES,
        )
        for each in WRITTEN_ONCE
    ),
    *(_Trigger(table=each, name="archived_only", function="keep_unarchived", type=_SEES_REMOVAL) for each in REMOVABLE),
    _Trigger(table="archived_batch", name="append_only", function="refuse_change", type=_REFUSES_REMOVAL),
    _Trigger(table="credit_entry", name="books_closed", function="keep_books_closed", type=_SEES_EACH),
    *(
        _Trigger(table=each, name="recorded", function="record_after_seal", type=_SEES_EACH)
        for each in ("call", "result", "wallet_reading")
    ),
    _Trigger(table="change", name="recorded", function="date_after_seal", type=_SEES_EACH),
    _Trigger(table="seal", name="months", function="open_months", type=_AFTER_ADDED),
    _Trigger(table="seal", name="not_ahead", function="refuse_seal_ahead", type=_SEES_EACH),
    _Trigger(table="generation_reading", name="dated", function="date_generation_reading", type=_SEES_EACH),
    _Trigger(table="generation", name="dated", function="date_generation", type=_SEES_BOTH),
    _Trigger(table="job", name="dated", function="date_job", type=_SEES_CHANGES),
    *(
        _Trigger(table="job", name=f"count_{name}", function="count_jobs", type=event)
        for name, event in {"added": 4, "changed": 16, "removed": 8}.items()
    ),
    _Trigger(table="hook", name="settings", function="record_setting", type=_AFTER_EACH, arguments=_RECORDED),
    _Trigger(
        table="producer_login",
        name="settings",
        function="record_setting",
        type=_AFTER_EACH,
        arguments="producer:,login,owner,max_priority,",
    ),
    _Trigger(table="waiting_message", name="bound", function="bind_producer", type=_SEES_EACH),
    _Trigger(
        table="owner_cap",
        name="settings",
        function="record_setting",
        type=_AFTER_EACH,
        arguments="owner:,owner,monthly_cap,",
    ),
    _Trigger(
        table="batch",
        name="settings",
        function="record_setting",
        type=_AFTER_CHANGES,
        columns="credit_cap",
        arguments="batch:,id,credit_cap,",
    ),
)
_KNOWN_TRIGGERS = ", ".join(str(each) for each in _TRIGGERS)

SHA256 = {
    "refuse_change": "a05a67f93698813168859f8096ccc684bf1970659ade8a69779a0349c40f9228",
    "keep_books_closed": "ccb52b5c7facb0c8f9b78ebec856ec5926db90befc1323741547c629bbc6c8ec",
    "record_after_seal": "2713e2b458173dbd9b9369b7c065bd14c12597a87ef405b1e881271307142c61",
    "date_after_seal": "8901ae33565a838bf6c81669bafafe89ea670954d517b5972caff84c83240fe1",
    "date_generation": "eb753d4f1273d6737441678a53a2d273a59c686ac8d2be7a60455a4ecebf32ea",
    "date_generation_reading": "670872221696be33d12196ee1f17eae9c0ee757d3a6e84ae8bea870056f61299",
    "count_jobs": "97df12c78005f5d095b552dc4bfd4678a68ca10d59cfe563a4e9004f4d40373c",
    "date_job": "62a7248411bc6b1b58c1a5f745c97b3702bd4e0fb51a864ae513b2b849a6564f",
    "refuse_seal_ahead": "edf09bf48fac98b38f29f3b3c8acdeb836907599c13c15309d5a2ef8a70d5aba",
    "record_setting": "cf2b7260341064c4ac586dd72d026f07dceb3cb83b00029a4a5fbe286663c781",
    "sealed_lines": "1297dd429f8b6715a19e2874ab3619efb5011158e7cd7b0a89827c724dd7411f",
    "erase_texts": "3400ac351b66ca26cfd4b32018cfe7032c7795d6d38b22575695ea7e8d69adf5",
    "close_books": "7716c9356fb1298c2882e5537d175706324d21daf361154eeba859c08f226ede",
    "darkroom_enqueue": "e9e7cd16fe20b7dd4f525baa4dd92f132f65215e3b73d7f6c230548c6503567f",
    "darkroom_batch": "ed6a8d5891908f6870b12e44c61a168286730c1e05cfdfe73c9c74b89469a681",
    "grant_application_rights": "172ea23f470142dbadf6c7520ef0c85f16052c5570298119c342944e84989bda",
    "lock_ledger": "371ef520c4f642bad76281bcb0d75b8795924ef69344ca60c6f6a1b378adb3ec",
    "keep_unarchived": "7c5e17324f0dc8220abafe37a31bbd39063b51b5329186fba3b9ca6191bd1640",
    "remove_archived": "c8b28a0b4c4da9da1b20d9eb2f540ea3c464c0c8bf1c24454377437975a4d53e",
    "bind_producer": "c087328f8a3a67d7185e484c7f1a67c8dceb1dbc109ba008b9d68e34a8afd678",
    "open_months": "0a70958a09b170281bca90b178a702bbc2e3d832f7f6e0ca6ffed4dcc6d6a316",
    "archived_lines": "0aec1b973b5e9adc87ab43e7f49772936d2f7dd4306100d0056c1b42e974dd4b",
    "erase_archived": "178e5e8f69acf11b4324eaa659748fd887cce761e383d98f0df23ea63884f8c0",
}
"""Of each function's language, rights, settings and text, as the migrations make it (schema left out)."""

_FUNCTIONS = ", ".join(f"('{name}', '{digest}')" for name, digest in SHA256.items())

_DEFINITION = """
    encode(sha256(convert_to(concat_ws(E'\\n', l.lanname, p.prosecdef,
        replace(p.proconfig::text, '"search_path=' || quote_ident(current_schema()) || ', pg_temp"', '"ours, pg_temp"'),
        replace(p.prosrc, quote_ident(current_schema()) || '.', '')), 'UTF8')), 'hex')"""

FOUND = f"""
    SELECT p.proname AS name, {_DEFINITION} AS sha256 FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
    WHERE p.pronamespace = current_schema()::regnamespace"""

_MADE = f"(VALUES {_KNOWN_TRIGGERS}) n (table_name, trigger_name, function_name, columns, arguments, type)"
_IS_MADE = """
    t.tgrelid = to_regclass(quote_ident(current_schema()) || '.' || n.table_name)
    AND t.tgname = n.trigger_name AND t.tgtype = n.type AND p.proname =
    n.function_name AND p.pronamespace = current_schema()::regnamespace AND t.tgenabled IN ('O', 'A')
    AND t.tgqual IS NULL AND n.arguments = replace(encode(t.tgargs, 'escape'), '\\000', ',')
    AND n.columns = (SELECT coalesce(string_agg(a.attname, ',' ORDER BY a.attname), '') FROM pg_attribute a
        WHERE a.attrelid = t.tgrelid AND a.attnum = ANY(t.tgattr))"""
_OURS = "SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace"

# Whatever else could change what a statement reads or writes on its way.
_UNKNOWN = f"""
    SELECT t.tgrelid::regclass::text AS "table", 'trigger' AS what, t.tgname::text AS name FROM pg_trigger t
    JOIN pg_proc p ON p.oid = t.tgfoid WHERE t.tgrelid IN ({_OURS}) AND NOT t.tgisinternal AND NOT EXISTS (
        SELECT FROM {_MADE} WHERE {_IS_MADE})
    UNION ALL
    SELECT t.tgrelid::regclass::text, 'foreign key that is switched off', c.conname FROM pg_trigger t
    JOIN pg_constraint c ON c.oid = t.tgconstraint
    WHERE t.tgrelid IN ({_OURS}) AND t.tgisinternal AND t.tgenabled NOT IN ('O', 'A')
    UNION ALL
    SELECT ev_class::regclass::text, 'rule', rulename FROM pg_rewrite WHERE ev_class IN ({_OURS})
    UNION ALL
    SELECT polrelid::regclass::text, 'policy', polname FROM pg_policy WHERE polrelid IN ({_OURS})
    UNION ALL
    SELECT oid::regclass::text, 'row security', relname FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND (relrowsecurity OR relforcerowsecurity)
    UNION ALL
    SELECT inhparent::regclass::text, 'table that inherits', inhrelid::regclass::text FROM pg_inherits
    WHERE inhparent IN (SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r')
    UNION ALL
    SELECT NULL, 'function', p.oid::regprocedure::text FROM pg_proc p
    WHERE p.pronamespace = current_schema()::regnamespace AND p.proname NOT IN (
        SELECT k.name FROM (VALUES {_FUNCTIONS}) k (name, sha256))
    UNION ALL
    SELECT NULL, 'event trigger', evtname FROM pg_event_trigger WHERE evtenabled <> 'D'"""

PROOFS: tuple[Proof, ...] = (
    Proof(
        name="append_only",
        rule="every trigger that refuses changes, closes the books, dates or records is there and switched on",
        query=f"""
            SELECT n.table_name AS "table", n.trigger_name AS trigger FROM {_MADE}
            WHERE NOT EXISTS (SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid WHERE {_IS_MADE})""",
    ),
    Proof(
        name="guards",
        rule="the functions behind these triggers are those that the migrations made",
        query=f"""
            SELECT n.name AS function, n.sha256 AS made, coalesce(f.sha256, 'gone') AS found
            FROM (VALUES {_FUNCTIONS}) n (name, sha256) LEFT JOIN ({FOUND}) f ON f.name = n.name
            WHERE f.sha256 IS DISTINCT FROM n.sha256""",
    ),
    Proof(
        name="nothing_unknown",
        rule="no table has a trigger, rule, policy or heir that no migration made, and the schema no such function",
        query=_UNKNOWN,
    ),
)
