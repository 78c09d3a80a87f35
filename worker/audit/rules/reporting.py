"""Which reports there are, what they can have a line for, and what they can be printed as."""

from enum import StrEnum


class ReportName(StrEnum):
    """Every report, by the word that a person asks for it with."""

    STATEMENT = "statement"
    """Opening, movements and closing."""
    OUTSTANDING = "outstanding"
    """Held or reserved and not decided yet."""
    SPEND = "spend"
    """Promised, reserved, charged and given back."""
    TRIAL_BALANCE = "trial-balance"
    """The four accounts, which add up to zero."""
    JOB = "job"
    """The whole life of one image."""
    RECONCILE = "reconcile"
    """The wallet against the ledger."""
    EXPORT = "export"
    """Every entry."""
    CHANGES = "changes"
    """Who changed or decided what."""


class By(StrEnum):
    """What a statement has one line for."""

    DAY = "day"
    MONTH = "month"
    BATCH = "batch"
    OWNER = "owner"
    CATALOG = "catalog"
    MODEL = "model"


class SpendBy(StrEnum):
    """What the spend report has one line for."""

    BATCH = "batch"
    IMAGE = "image"


class Format(StrEnum):
    """What a report may be printed as."""

    TABLE = "table"
    """For reading: rare columns without content are left out, long texts are cut."""
    CSV = "csv"
    """One line per row of every section, the first column names the section; totals are left out."""
    JSON = "json"
    """Everything."""
    XLSX = "xlsx"
    """A sheet per section."""
    HLEDGER = "hledger"
    """A journal of plain-text accounting; exports only."""
