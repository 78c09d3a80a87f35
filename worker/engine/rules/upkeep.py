"""Which work is done again and again, whatever the jobs do."""

from enum import StrEnum


class UpkeepKind(StrEnum):
    """Something that comes due every so often, for each account."""

    WALLET = "wallet"
    """Read the wallet, so that every credit that leaves it can be explained."""
    SEAL = "seal"
    """Bind the entries of the ledger by a seal."""
    REREAD = "reread"
    """Ask again about generations whose end is not known, and go on with those that the provider says have ended."""
    DEADLINES = "deadlines"
    """End what has not ended when its batch's deadline has passed."""
    HARVEST = "harvest"
    """Take in the images of catalogs whose jobs have ended."""
    SCHEDULE = "schedule"
    """Claim the fire times that have come, and move the runs of schedules on."""
    HOOKS = "hooks"
    """Send what went live to those who want to be told."""
    STORE = "store"
    """Look whether the store is the right one and takes images."""
