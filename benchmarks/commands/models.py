"""`bench models`: what can be trained."""

from typing import Any

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
    import json

    from models.registry import FAMILIES

    if family_name:
        rows = option_rows(family_name)
    else:
        rows = [row for name in FAMILIES for row in parameter_rows(name)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if family_name:
        for row in rows:
            click.echo(f"{row['option']:20} {row['help']}  [{row['default']}]")
        return
    click.echo(f"{'family':9} {'variant':10} {'G':>12} {'D':>12}  parameters")
    for row in rows:
        counts = f"{row['g_parameters']:>12,} {row['d_parameters']:>12,}"
        click.echo(f"{row['family']:9} {row['variant']:10} {counts}  {row['summary']}")


def option_rows(name: str) -> list[dict[str, Any]]:
    """A family's options with their meanings and defaults."""
    import dataclasses

    from models.registry import family

    return [
        {"option": option.name, "help": option.metadata["help"], "default": option.default}
        for option in dataclasses.fields(family(name).options)
    ]


def parameter_rows(name: str) -> list[dict[str, Any]]:
    """A family's variants with their sizes."""
    from models.registry import family, parameter_counts

    rows = []
    for variant, preset in family(name).variants.items():
        g_parameters, d_parameters = parameter_counts(name, family(name).resolve(variant, {}))
        rows.append(
            {
                "family": name,
                "variant": variant,
                "g_parameters": g_parameters,
                "d_parameters": d_parameters,
                "summary": preset.summary,
            }
        )
    return rows
