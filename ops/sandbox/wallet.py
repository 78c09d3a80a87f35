"""Where each credit of an account is: available, reserved, on its way back, or charged."""

from dataclasses import dataclass


@dataclass(kw_only=True)
class Wallet:
    """The credits of one account; what was added is always available + reserved + returning + charged."""

    available: int = 0
    reserved: int = 0
    returning: int = 0
    charged: int = 0
    refunded: int = 0
    added: int = 0

    def add(self, amount: int) -> None:
        """Credits come in, or go out when negative."""
        self.available += amount
        self.added += amount

    def can_reserve(self, amount: int) -> bool:
        """Whether this much is available."""
        return self.available >= amount

    def reserve(self, amount: int) -> None:
        """Available credits are set aside; the caller has asked `can_reserve`."""
        self.available -= amount
        self.reserved += amount

    def end(self, *, held: int, final: int) -> None:
        """A generation ended: its final credits are charged, the rest is on its way back."""
        self.reserved -= held
        self.charged += final
        self.returning += held - final

    def give_back(self, amount: int) -> None:
        """What was on its way back is available."""
        self.returning -= amount
        self.available += amount
        self.refunded += amount

    def balance(self, *, excludes_reserved: bool) -> int:
        """What GET /credits shows."""
        return self.available if excludes_reserved else self.available + self.reserved

    def as_json(self) -> dict[str, int]:
        """The books of this wallet."""
        return {
            "available": self.available,
            "reserved": self.reserved,
            "returning": self.returning,
            "charged": self.charged,
            "refunded": self.refunded,
            "added": self.added,
        }
