"""From an admitted job to its outcome: dispatch, steps, leases."""
