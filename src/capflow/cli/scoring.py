"""``capflow score``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from capflow.cli.app import app


@app.command()
def score(
    references: Annotated[Path, typer.Argument(help="COCO captions JSON.")],
    results: Annotated[Path, typer.Argument(help="COCO results JSON: a list of image_id and caption.")],
) -> None:
    """Score captions as the COCO evaluation does; the seven scores as JSON on stdout."""
    from capflow.evaluation import scores
    from capflow.evaluation.results import read_references, read_results

    scored = scores.score(read_references(references), read_results(results))
    typer.echo(json.dumps(scored.totals, indent=2))
    for name, reason in scored.absent.items():
        typer.echo(f"warning: {name} is absent: {reason}", err=True)
