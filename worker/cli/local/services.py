"""`darkroom services`: the embedded Postgres and Valkey, to stay until they are stopped."""

from worker.cli import output


def start(as_json: output.AsJson = False) -> None:
    """Start both servers, migrate the database, and print the variables to export.

    `export $(darkroom services start)`, then `celery -A worker.celery_app worker` runs a node.
    """
    from worker.cli.context import resolve
    from worker.cli.local import parts

    context = parts.start_services(resolve(needs_database=False), stays=True)
    parts.migrate_database(context)
    found = context.variables() | (context.provider_variables() if context.is_home_sandbox else {})
    if as_json:
        output.print_json(found)
    else:
        for name, value in found.items():
            output.answers().print(f"{name}={value}", markup=False, soft_wrap=True)


def stop(as_json: output.AsJson = False) -> None:
    """Stop both servers; succeeds if none is running."""
    from worker.cli.context import home
    from worker.cli.local import service_lock
    from worker.local import services

    place = home()
    if (place / "run").exists():
        service_lock.mark_stopped(place)
    was = services.stop(place)
    stopped = [name for name, found in (("postgres", was.postgres), ("valkey", was.valkey)) if found]
    if as_json:
        output.print_json({"stopped": stopped})
    elif stopped:
        output.answers().print(f"stopped: {', '.join(stopped)}")
    else:
        output.answers().print("nothing was running")


def status(as_json: output.AsJson = False) -> None:
    """Show which of the servers are running."""
    from dataclasses import asdict

    from rich.text import Text

    from worker.cli.context import home
    from worker.local import services

    place = home()
    found = services.status(place)
    if as_json:
        shown = {name: each and asdict(each) for name, each in vars(found).items()}
        output.print_json({"home": str(place), "running": all(shown.values()), **shown})
        return
    table = output.table("server", "state", "port", "process")
    for name, each in (("postgres", found.postgres), ("valkey", found.valkey)):
        if each is None:
            table.add_row(name, Text("stopped", style="dim"), "", "")
        else:
            table.add_row(name, Text("running", style="green"), str(each.port), str(each.pid))
    output.answers().print(f"home {place}", markup=False)
    output.answers().print(table)
