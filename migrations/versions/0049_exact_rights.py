"""Give three roles exactly their rights: darkroom_app what the program does, darkroom_audit reading.

The application may update the columns that its statements set, delete where it deletes, and no more. An auditor reads
everything but the secrets of hooks, and may call `close_books`.
"""

from collections.abc import Sequence
from pathlib import Path

from alembic import op

from migrations import rights, scripts

revision: str = "0049"
down_revision: str | None = "0048"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_BASELINE = Path(__file__).resolve().parent.parent / "baseline" / "roles.sql"


def upgrade() -> None:
    rights.AT_0049.grant()


def downgrade() -> None:
    script = _BASELINE.read_text(encoding="utf-8")
    begin = script.index("CREATE FUNCTION grant_application_rights")
    end = script.index("END $$;", begin) + len("END $$")
    scripts.run(script[begin:end].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1))
    op.execute("SELECT grant_application_rights()")
    scripts.run("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'darkroom_audit') THEN
                EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM darkroom_audit', current_schema());
                EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA %I FROM darkroom_audit', current_schema());
                REVOKE ALL ON FUNCTION close_books() FROM darkroom_audit;
                EXECUTE format('REVOKE ALL ON SCHEMA %I FROM darkroom_audit', current_schema());
                EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I REVOKE ALL ON TABLES FROM darkroom_audit',
                    current_schema());
            END IF;
        END $$""")
