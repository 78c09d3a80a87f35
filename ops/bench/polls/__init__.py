"""How polls are timed, and what webhooks spare: simulations beside real runs."""
