"""Name maintenance and saturation as the field does: the table `upkeep` and the column `account.scarcity`."""

from collections.abc import Sequence

from alembic import op

from migrations import contract, rights, scripts

revision: str = "0052"
down_revision: str | None = "0051"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_KINDS = ("wallet", "seal", "reread", "deadlines", "{results}", "schedule", "hooks", "store")


def upgrade() -> None:
    contract.require_none()
    op.alter_column("account", "scarcity", new_column_name="saturation")
    _rename(table="upkeep", to="maintenance")
    _set_kinds("maintenance", before="harvest", results="sync_results")
    rights.AT_0052.grant()


def downgrade() -> None:
    op.alter_column("account", "saturation", new_column_name="scarcity")
    _rename(table="maintenance", to="upkeep")
    _set_kinds("upkeep", before="sync_results", results="harvest")
    rights.AT_0051.grant()


def _rename(*, table: str, to: str) -> None:
    op.rename_table(table, to)
    for constraint in ("pk_{}", "fk_{}_account_id", "ck_{}_every_positive", "ck_{}_kind_known"):
        scripts.run(f"ALTER TABLE {to} RENAME CONSTRAINT {constraint.format(table)} TO {constraint.format(to)}")


def _set_kinds(table: str, *, before: str, results: str) -> None:
    kinds = [kind.format(results=results) for kind in _KINDS]
    permitted = ", ".join(f"'{kind}'" for kind in kinds)
    listed = ", ".join(kinds[:-1]) + f" or {kinds[-1]}"
    scripts.run(f"ALTER TABLE {table} DROP CONSTRAINT ck_{table}_kind_known")
    scripts.run(f"UPDATE {table} SET kind = '{results}' WHERE kind = '{before}'")  # noqa: S608 - names from above
    scripts.run(f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_kind_known CHECK (kind IN ({permitted}))")
    scripts.run(f"COMMENT ON COLUMN {table}.kind IS '{listed}'")
