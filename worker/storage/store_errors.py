"""Errors of stores, named by what the caller may do next."""


class StoreUnavailable(Exception):
    """The store could not do what was asked; the same call may be made again later."""

    def __init__(self, place: str, reason: str) -> None:
        """Keep where and why."""
        super().__init__(place, reason)
        self.place = place
        self.reason = reason

    def __str__(self) -> str:
        """Return the message."""
        return f"the store {self.place} failed: {self.reason}"


class SpoolUnavailable(StoreUnavailable):
    """The folder for temporary files could not be written or read."""

    def __str__(self) -> str:
        """Return the message, with the next step."""
        return (
            f"the folder for temporary files {self.place} failed: {self.reason};"
            " free space there, or set DARKROOM_SPOOL to another folder"
        )


class WrongStore(StoreUnavailable):
    """What is at the store's place is not the store that the database knows, or may not be."""

    def __str__(self) -> str:
        """Return the message."""
        return f"what is at {self.place} is not the store that is wanted: {self.reason}"


class NotStored(Exception):
    """The store has nothing under this name."""

    def __init__(self, path: str) -> None:
        """Keep the name."""
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        """Return the message."""
        return f"nothing is stored as {self.path}"


class Conflicting(Exception):
    """The store has other bytes under this name, which are never overwritten."""

    def __init__(self, path: str) -> None:
        """Keep the name."""
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        """Return the message."""
        return f"other bytes are stored as {self.path}"
