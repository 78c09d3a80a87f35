"""What a person may write for a catalog or a plan."""

from typing import Annotated

import typer

CatalogName = Annotated[str, typer.Argument(metavar="NAME", help="The catalog's name.")]
PlanName = Annotated[str, typer.Argument(metavar="PLAN", help="A plan: the file that `plan --out` wrote, or its id.")]
By = Annotated[str, typer.Option("--by", metavar="PERSON", help="Who decides it; kept with the images.")]
