"""`darkroom open`: look at a batch in the browser."""

import webbrowser
from pathlib import Path

from worker.cli import output


def open_(batch: output.BatchName, as_json: output.AsJson = False) -> None:
    """Write a batch's contact sheet into the home and open it in the browser."""
    from worker import wiring
    from worker.cli import lookup
    from worker.cli.batches import sheet_files
    from worker.cli.batches.sheet import file_name
    from worker.cli.context import resolve

    context = resolve()
    database = wiring.database(context.settings, connections=1)
    with database.transaction() as tx:
        row = lookup.batch(tx, batch)
    place: Path = context.home / "sheets" / file_name(row.name, str(row.id))
    place.parent.mkdir(parents=True, exist_ok=True)
    sheet_files.write(context, database, lookup.look(database, row), place)
    is_shown = webbrowser.open(place.as_uri())
    if as_json:
        output.print_json({"batch": str(row.id), "file": str(place), "opened": is_shown})
        return
    output.answers().print(str(place), markup=False, soft_wrap=True)
    if not is_shown:
        output.notes().print("No browser was found; open the file above yourself.")
