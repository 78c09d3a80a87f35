"""Say since when a file of the archive is noted, so that what a killed run left is told from what a run is writing."""

from collections.abc import Sequence

from migrations import rights, scripts

revision: str = "0082"
down_revision: str | None = "0081"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    scripts.run("""
        ALTER TABLE unneeded_file ADD COLUMN noted_at timestamptz NOT NULL DEFAULT now();
        COMMENT ON COLUMN unneeded_file.noted_at IS
            'When it was noted last: before it was written, or when another file took its place';""")
    rights.AT_0082.grant()


def downgrade() -> None:
    rights.AT_0081.grant()
    scripts.run("ALTER TABLE unneeded_file DROP COLUMN noted_at")
