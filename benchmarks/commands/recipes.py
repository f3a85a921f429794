"""`bench recipes`: what the sources did."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from benchmarks.commands.options import json_option

if TYPE_CHECKING:
    from benchmarks.recipe import Recipe


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def recipes(context: click.Context, as_json: bool) -> None:
    """List the recipes with what their sources reported.

    \b
    bench recipes
    bench recipes show animerush-9.7
    bench run --recipe animerush-9.7 --budget 5%
    """
    import json

    from benchmarks.recipe import load_recipe, recipe_names

    if context.invoked_subcommand:
        return
    found = [load_recipe(name) for name in recipe_names()]
    if as_json:
        click.echo(json.dumps([recipe_row(recipe) for recipe in found], indent=2))
        return
    click.echo(f"{'recipe':27}  {'network':16}  {'length':13}  {'data':11}  summary")
    for recipe in found:
        network = f"{recipe.model} {recipe.variant}"
        columns = f"{recipe.name:27}  {network:16}  {recipe.length:13}  {recipe.role:11}"
        click.echo(f"{columns}  {recipe.summary}")
        click.echo(f"    {recipe.source}")
        if published := reported(recipe.published):
            click.echo(f"    reported: {published}")


@recipes.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Print the recipe NAME: its file, its length at the source's size, and at a budget.

    \b
    bench recipes show versus-stylegan
    bench recipes show mine.toml
    """
    import json

    from benchmarks.recipe import load_recipe, recipe_path

    recipe = load_recipe(name)
    if as_json:
        click.echo(json.dumps(recipe_row(recipe), indent=2))
        return
    click.echo(recipe_path(name).read_text(encoding="utf-8"))
    for line in resolved_lines(recipe):
        click.echo(f"# {line}")
    while like := load_recipe(name).like:
        click.echo(f"\n# what {name} is like, {like}:\n")
        click.echo(recipe_path(like).read_text(encoding="utf-8"))
        name = like


def recipe_row(recipe: "Recipe") -> dict[str, Any]:
    """A recipe for programs, with its length and options as they come out at its source's size."""
    import dataclasses

    from benchmarks.recipe import ROLES, configure

    images = ROLES[recipe.role].images
    row = dataclasses.asdict(recipe) | {"images": images}
    if images:
        config = configure(recipe, images).to_dict()
        row["resolved"] = {name: config[name] for name in ("options", "training")}
    return row


def resolved_lines(recipe: "Recipe") -> list[str]:
    """What the file leaves to the data: sizes and lengths, at the size that its source had."""
    from benchmarks.recipe import ROLES, configure
    from models.registry import parameter_counts

    role = ROLES[recipe.role]
    of = f"{role.images:,} images" if role.images else "as many images as there are"
    lines = [f"role {recipe.role}: {role.summary}; {of}, {role.share:.4g} of the source's"]
    config = configure(recipe, role.images or 1000)
    g_parameters, d_parameters = parameter_counts(config.model, config.options)
    lines += [f"parameters: G {g_parameters:,}, D {d_parameters:,}"]
    if role.images is None:
        return [*lines, f"length: {recipe.length}"]
    for part in (config.training, config.options):
        for option, value in vars(part).items():
            if option.endswith("kimg") and value != ():
                lines.append(f"{option} = {list(value) if isinstance(value, tuple) else value}")
    return lines


def reported(published: Mapping[str, Any]) -> str:
    """What a source published, in a line: numbers by name, with their spread, and its words."""
    numbers = {name: value for name, value in published.items() if isinstance(value, int | float)}
    parts = []
    for name, value in numbers.items():
        if not name.endswith("_sd"):
            spread = numbers.get(f"{name}_sd")
            parts.append(f"{name} {value:g}" + (f" +- {spread:g}" if spread else ""))
    return "; ".join([part for part in (", ".join(parts), published.get("words")) if part])
