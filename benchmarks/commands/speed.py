"""`bench speed`: how fast, against whom."""

import click

from benchmarks.commands.options import json_option

PARTS = ("step", "batches", "import", "faces", "ops", "train")


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS), metavar=f"[{'|'.join(PARTS)}]")
@json_option
def speed(parts: tuple[str, ...], as_json: bool) -> None:
    """Measure speed as ratios against rivals that run in the same minutes; all PARTS by default.

    \b
    bench speed
    bench speed ops train    the fused ops, and what they make of StyleGAN
    """
    import dataclasses
    import json

    from benchmarks.speed import SUITE

    results = []
    for part in parts or PARTS:
        click.echo(f"measuring {part} ...", err=True)
        results += SUITE[part]()
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(result) for result in results], indent=2))
        return
    for result in results:
        line = f"{result.what:40} {result.images_per_sec:10,.0f} img/s"
        if result.ratio:
            line += f"  {result.ratio:5.2f} x {result.rival} ({result.rival_images_per_sec:,.0f})"
        click.echo(f"{line}  goal {result.goal}")
