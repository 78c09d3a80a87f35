"""Permit the pause reasons for what a provider or a store does to many jobs at once."""

from collections.abc import Sequence

from alembic import op

revision: str = "0026"
down_revision: str | None = "0025"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_BEFORE = (
    "pause_reason IN ('insufficient_credits', 'api_key_missing', 'api_key_invalid', 'api_key_revoked',"
    " 'api_key_expired', 'api_scope_denied', 'public_api_disabled', 'unauthorized', 'results_unreachable', 'operator')"
)
_ADDED = "'provider_failing', 'outcomes_unknown', 'store_unavailable'"
_AFTER = _BEFORE.replace("'operator'", f"{_ADDED}, 'operator'")


def upgrade() -> None:
    op.drop_constraint(op.f("ck_account_pause_reason_known"), "account", type_="check")
    op.create_check_constraint(op.f("ck_account_pause_reason_known"), "account", _AFTER)


def downgrade() -> None:
    op.execute(
        "UPDATE account SET pause_reason = 'operator'"
        " WHERE pause_reason IN ('provider_failing', 'outcomes_unknown', 'store_unavailable')"
    )
    op.drop_constraint(op.f("ck_account_pause_reason_known"), "account", type_="check")
    op.create_check_constraint(op.f("ck_account_pause_reason_known"), "account", _BEFORE)
