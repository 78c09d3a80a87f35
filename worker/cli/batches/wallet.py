"""The wallet as a command shows it: what the provider says, or nothing when it says nothing."""

from worker.cli.context import Context


def wallet(context: Context) -> int | None:
    """Ask the provider for the balance; None when it does not answer or there is no key."""
    from worker import wiring
    from worker.core.rules.errors import ProviderError

    if not context.has_provider:
        return None
    try:
        return wiring.client(context.settings).credits()
    except ProviderError:
        return None
