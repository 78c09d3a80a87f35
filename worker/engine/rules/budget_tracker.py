"""What one round of admission may still commit: of the owners' months and of the wallet above its floor."""


class BudgetTracker:
    """Counts down as jobs are admitted, so that batches of one owner cannot use the same credits twice."""

    def __init__(self, *, owners: dict[str, int], wallet: int | None) -> None:
        """Begin with what each capped owner and the wallet have left; ``wallet`` None: it sets no bound."""
        self._owners = dict(owners)
        self.wallet = wallet
        self.taken = 0

    def left(self, owner: str, *, cap_left: int | None) -> int | None:
        """Return the smallest of the three limits, 0 at the least; None when there is none of them."""
        limits = [limit for limit in (cap_left, self._owners.get(owner), self.wallet) if limit is not None]
        return max(0, min(limits)) if limits else None

    def take(self, owner: str, credits_: int) -> None:
        """Count credits that were committed."""
        self.taken += credits_
        if owner in self._owners:
            self._owners[owner] -= credits_
        if self.wallet is not None:
            self.wallet -= credits_
