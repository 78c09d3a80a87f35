"""`darkroom cancel`: nothing more of a batch is begun."""

from worker.cli import output


def cancel(batch: output.BatchName, as_json: output.AsJson = False) -> None:
    """Cancel a batch: what is not begun never will be; what the provider has is paid and brought home."""
    from worker import batch_control, wiring
    from worker.cli import lookup
    from worker.cli.context import resolve

    database = wiring.database(resolve().settings, connections=1)
    with database.transaction() as tx:
        row = lookup.batch(tx, batch)
    effect = batch_control.cancel(database, row.id, now=wiring.clock())
    if as_json:
        counts = {"cancelled": effect.cancelled, "released": effect.released, "draining": effect.draining}
        output.print_json({"batch": str(row.id), **counts})
        return
    text = f"{output.plural(effect.cancelled, 'job')} cancelled, {output.plural(effect.released, 'credit')} released."
    if effect.draining:
        text += f" {output.plural(effect.draining, 'job')} at the provider will still be paid and brought home."
    output.answers().print(text)
