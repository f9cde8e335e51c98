"""``edge-deeplab models``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from edge_deeplab.weights.card import Card


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The whole cards as JSON, name to card.")
def command(as_json: bool) -> None:
    """List the models that come with edge-deeplab. Every command that takes a model takes their names.

    Scores are those of the int8 files on test photos. docs/models.md has everything that is known of each: what it is
    for, what it learned from under which terms, and where it fails.
    """
    import dataclasses
    import json

    from rich.console import Console

    from edge_deeplab.weights import shipped_card, shipped_names

    cards = [shipped_card(name) for name in shipped_names()]
    if as_json:
        click.echo(json.dumps({card.name: dataclasses.asdict(card) for card in cards}, indent=2, ensure_ascii=False))
        return
    Console().print(_tables(cards))


def _tables(cards: Sequence[Card]) -> Group:
    from rich.console import Group
    from rich.text import Text

    notes = [Text(f"{card.name}: {card.summary} {card.intended_use} {card.terms}") for card in cards]
    return Group(_table(cards), *notes)


def _table(cards: Sequence[Card]) -> Table:
    from rich.text import Text

    from edge_deeplab.files import size
    from edge_deeplab.terminal import megabytes, number_columns, plain_table
    from edge_deeplab.weights import shipped_model
    from edge_deeplab.weights.card import FALSE_PERSON, PERSON_IOU

    table = plain_table("Shipped models: person IoU of the int8 file by source", "model")
    table.collapse_padding = True
    sources = list(dict.fromkeys(score.name for card in cards for score in card.scores if PERSON_IOU in score.int8))
    number_columns(table, "size", "times as\nlong", *sources, "false\nperson")
    against = {card.latency.against for card in cards if card.latency}
    if against:
        table.caption = f"Times as long as {', '.join(sorted(against))}, one after the other on one machine."
    for card in cards:
        persons = {score.name: score.int8[PERSON_IOU] for score in card.scores if PERSON_IOU in score.int8}
        false = [score.int8[FALSE_PERSON] for score in card.scores if FALSE_PERSON in score.int8]
        table.add_row(
            Text(card.name),
            megabytes(size(shipped_model(card.name))),
            f"{card.latency.ratio:.2f}" if card.latency else "-",
            *(f"{persons[source]:.3f}" if source in persons else "-" for source in sources),
            f"{100 * max(false):.1f} %" if false else "-",
        )
    return table
