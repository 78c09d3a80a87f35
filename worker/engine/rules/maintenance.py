"""The maintenance jobs that code below the node names; `worker.node.maintenance` lists all jobs."""

from enum import StrEnum


class MaintenanceName(StrEnum):
    """Jobs that the engine makes due at once, or that SQL reads the times of."""

    WALLET = "wallet"
    SEAL = "seal"
    REREAD = "reread"
    STORE = "store"
