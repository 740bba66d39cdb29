"""Arguments that several commands take."""

from typing import Annotated

import typer

LineName = Annotated[str | None, typer.Argument(help="a line of params.yaml; default: all", show_default=False)]
OneLine = Annotated[str, typer.Argument(help="a line of params.yaml", show_default=False)]
ReleaseName = Annotated[
    str | None,
    typer.Argument(metavar="[RELEASE]", help="an id, the beginning of one, a version or a folder; default: the newest"),
]
By = Annotated[str, typer.Option(metavar="NAME", help="who decides; proves it where there is a team.yaml")]
Why = Annotated[str, typer.Option(metavar="TEXT", help="kept with the version")]
