"""Results as people read them."""

import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from streams.cli.charts import printable
from streams.kafka.output_follower import OutputRecord
from streams.kafka.publishing import Publication

SHOWN_TAGS = 5


def counting_progress() -> Progress:
    """A bar with numbers and the time left, on standard error where that is a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def tags_text(categorization: Mapping[str, Any], limit: int = SHOWN_TAGS) -> Text:
    """Each add-on's best tags with their confidence; assigned ones stand out."""
    assigned = set(categorization["tags"])
    text = Text()
    add_ons = categorization["info"]["categorization"]
    for name, add_on in add_ons.items():
        if len(add_ons) > 1:
            text.append(f"{printable(name)}: ", style="cyan")
        if add_on["status"] == "failed":
            text.append(f"failed ({printable(add_on['error'])})  ", style="red")
        for score in add_on["data"][:limit]:
            style = "bold green" if score["tag"] in assigned else "dim"
            text.append(f"{printable(score['tag'])} {score['confidence']:.2f}  ", style=style)
    return text


def results_table(publication: Publication) -> Table:
    """One line per event that was published."""
    table = Table(title="assigned tags stand out", title_justify="left", title_style="dim")
    table.add_column("image", style="bold")
    table.add_column("size", justify="right")
    table.add_column("tags and confidences")
    table.add_column("fetch + decode + infer", justify="right")
    for name, answer in sorted(publication.categorizations.items()):
        value, times = answer.value, answer.value["timings_ms"]
        spent = " + ".join(f"{times[part]:.0f}" for part in ("fetch", "decode", "inference"))
        table.add_row(
            Text(printable(name)), f"{value['width']}x{value['height']}", tags_text(value), f"{spent} ms"
        )
    for name, answer in sorted(publication.dead_letters.items()):
        table.add_row(Text(printable(name)), "", fault_text(answer))
    for name in sorted(publication.waiting.values()):
        table.add_row(Text(printable(name)), "", Text("no answer yet", style="yellow"))
    return table


def fault_text(letter: OutputRecord) -> Text:
    """The reason of a dead letter."""
    fault = letter.fault
    if fault is None:
        return Text()
    return Text(f"dead letter: {printable(fault.reason)} ({printable(fault.message)})", style="red")


def line(answer: OutputRecord) -> Text:
    """One line for one record, as `tagstream tail` prints it."""
    text = Text(f"{answer.kind:<15}", style="cyan")
    if answer.kind == "dead-letter":
        return text.append(f"{printable(answer.key)}  ", style="bold").append_text(fault_text(answer))
    if answer.kind == "categorization":
        return text.append(f"{printable(answer.value['public_id'])}  ", style="bold").append_text(
            tags_text(answer.value)
        )
    for resource in answer.value["resources"]:
        text.append(f"{printable(resource['public_id'])}  ", style="bold")
        text.append("".join(f"+{printable(tag)} " for tag in resource["added"]), style="green")
        text.append("".join(f"-{printable(tag)} " for tag in resource["removed"]), style="red")
    return text.append(f"= {', '.join(map(printable, answer.value['tags']))}", style="dim")
