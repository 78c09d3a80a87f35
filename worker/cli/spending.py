"""The gate before anything is spent: the price is shown, a limit is kept, and a person at a terminal is asked."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from worker.cli import output
from worker.cli.errors import CliError

if TYPE_CHECKING:
    from worker.cli.context import Context

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before credits are spent.")]
MaxCreditsOption = Annotated[
    int | None, typer.Option(min=0, metavar="N", help="Refuse if it costs more than N credits.")
]


@dataclass(frozen=True, kw_only=True)
class Consent:
    """The consent to spend that the command line gives."""

    yes: bool = False
    max_credits: int | None = None


def is_permitted(
    context: "Context",
    what: str,
    price: int,
    consent: Consent,
    *,
    is_limit: bool = False,
    lines: Mapping[str, str] | None = None,
    console: Console | None = None,
) -> bool:
    """Show the price and, on a terminal, ask; False when the answer is no.

    With ``is_limit`` the price is the most that it may cost. ``lines`` say more about it, such as the wallet.

    With a real key the question comes above DARKROOM_CONFIRM_ABOVE credits. Without a terminal the command continues: a
    script has decided. Raises CliError above ``--max-credits``.
    """
    console = console or output.notes()
    if consent.max_credits is not None and price > consent.max_credits:
        cost = "may cost up to" if is_limit else "would cost"
        raise CliError(
            f"nothing was spent: {what} {cost} {output.plural(price, 'credit')}, more than the"
            f" {consent.max_credits:,} of --max-credits"
        )
    what = f"{what}: up to" if is_limit else f"{what}:"
    if context.is_play:
        console.print(f"{what} {output.credits_of(price, is_play=True)}, which cost nothing.", markup=False)
        return True
    if lines:
        console.print(output.grid(lines))
    console.print(f"{what} {output.plural(price, 'credit')}, paid at {context.settings.base_url}.", markup=False)
    return not _is_asked(context, price, consent) or typer.confirm("Spend them?", default=False, err=True)


def _is_asked(context: "Context", price: int, consent: Consent) -> bool:
    has_person = sys.stdin.isatty() and sys.stderr.isatty()
    return has_person and not consent.yes and price > context.settings.confirm_above
