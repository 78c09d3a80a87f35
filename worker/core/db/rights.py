"""What the application may do in the database: post, but never change what was posted."""

from typing import Any

from worker.core.db.guards import WRITTEN_ONCE
from worker.core.db.proofs import Proof

ROLE = "darkroom_app"
"""The role that every connection works as; the migrations make it and give it its rights."""

# Before version 16 every member of a role could take it on; since then the grant says so.
_TAKE_ROLE = f"""
    SELECT set_config('role', rolname, {{is_local}}) FROM pg_roles WHERE rolname = '{ROLE}' AND pg_has_role(
        oid, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)"""

TAKE_ROLE = _TAKE_ROLE.format(is_local="false")
TAKE_ROLE_LOCALLY = _TAKE_ROLE.format(is_local="true")
"""For one transaction: behind a pooler a session is given to others."""

_TABLES = ", ".join(f"('{table}')" for table in WRITTEN_ONCE)

PROOFS: tuple[Proof, ...] = (
    Proof(
        name="rights",
        rule="the application has no right to change or delete what is written once",
        query=f"""
            SELECT t.name AS "table", r.name AS "right", current_user::text AS role,
                'as an administrator: CREATE ROLE {ROLE}; GRANT {ROLE} TO ' || session_user
                    || '; and as the owner of the tables: SELECT grant_application_rights()' AS next_step
            FROM (VALUES {_TABLES}) t (name) CROSS JOIN (VALUES ('UPDATE'), ('DELETE'), ('TRUNCATE')) r (name)
            WHERE to_regclass(t.name) IS NOT NULL AND (has_table_privilege(to_regclass(t.name), r.name)
                OR (r.name = 'UPDATE' AND has_any_column_privilege(to_regclass(t.name), 'UPDATE')))""",
    ),
)


def take_role(driver_connection: Any) -> None:
    """Let a new connection in autocommit mode work as the application's role, where its user may take that on."""
    driver_connection.execute(TAKE_ROLE)
