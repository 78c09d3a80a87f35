"""`darkroom demand`: the requests that nodes may send within the next minute, for autoscalers."""

from worker.cli import output


def demand(as_json: output.AsJson = False) -> None:
    """Show how much work may be done now under the rate limit, for autoscalers.

    Size the fleet by it, and not by the backlog.
    """
    from worker import wiring
    from worker.cli.context import opened
    from worker.metrics.queries import fleet
    from worker.metrics.queries import fleet as facts
    from worker.metrics.rules import demand as rules

    _, database = opened()
    with database.transaction() as tx:
        fleet.limit(tx)
        now = wiring.clock()
        found = [rules.demand(each, now=now) for each in facts.read_demand(tx, now=now)]
    if as_json:
        output.print_json([vars(each) for each in found])
        return
    numbers = ("requests/min", "due", "admissible", "limit/min")
    table = output.table("account", *numbers, "bound by", numbers=numbers)
    for each in found:
        counts = (each.requests_per_minute, each.steps_due, each.jobs_admissible, each.rate_per_minute)
        table.add_row(each.account, *(f"{count:,}" for count in counts), each.bound_by)
    output.answers().print(table)
