"""`bench models`: what can be trained."""

import click

from benchmarks.commands.options import json_option


@click.command()
@click.argument("family_name", metavar="[FAMILY]", required=False)
@json_option
def models(family_name: str | None, as_json: bool) -> None:
    """List the variants with their trainable parameters, or one FAMILY's options.

    \b
    bench models
    bench models dcgan       what --set can change
    bench models --json
    """
    import dataclasses
    import json

    import models as registered  # noqa: F401 - fills the registry
    from models.registry import FAMILIES, family

    if family_name:
        for option in dataclasses.fields(family(family_name).options):
            click.echo(f"{option.name:20} {option.metadata['help']}  [{option.default}]")
        return
    rows = [row for name in FAMILIES for row in parameter_rows(name)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    click.echo(f"{'family':9} {'variant':10} {'G':>12} {'D':>12}  parameters")
    for row in rows:
        counts = f"{row['g_parameters']:>12,} {row['d_parameters']:>12,}"
        click.echo(f"{row['family']:9} {row['variant']:10} {counts}  {row['summary']}")


def parameter_rows(name: str) -> list[dict[str, str | int]]:
    """A family's variants with their sizes; no weight is allocated."""
    import torch

    from models.registry import count_parameters, family

    rows: list[dict[str, str | int]] = []
    for variant, preset in family(name).variants.items():
        with torch.device("meta"):
            gan = family(name).build(family(name).resolve(variant, {}))
        rows.append(
            {
                "family": name,
                "variant": variant,
                "g_parameters": count_parameters(gan.G),
                "d_parameters": count_parameters(gan.D),
                "summary": preset.summary,
            }
        )
    return rows
