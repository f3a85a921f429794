"""`bench speed`: how fast, against whom."""

import click

from benchmarks.commands.options import json_option

PARTS = ("step", "batches", "import", "faces", "ops", "train", "fid")


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS), metavar=f"[{'|'.join(PARTS)}]")
@json_option
def speed(parts: tuple[str, ...], as_json: bool) -> None:
    """Measure speed as ratios against rivals that run in the same minutes; all PARTS by default.

    \b
    bench speed
    bench speed ops train    the fused ops, and what they make of StyleGAN
    bench speed fid          each stage of an FID beside clean-fid's
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
        line = f"{result.what:40} {_rate(result.images_per_sec):>10} img/s"
        if result.rival_images_per_sec:
            rivals = _rate(result.rival_images_per_sec)
            line += f"  {result.ratio:5.2f} x {result.rival} ({rivals})"
        click.echo(f"{line}  goal {result.goal}")


def _rate(images_per_sec: float) -> str:
    return f"{images_per_sec:,.{0 if images_per_sec >= 10 else 2}f}"
