"""Credits: holds, reservations, what was spent, and budgets."""
