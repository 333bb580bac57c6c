"""Results as people read them."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from streams.cli.charts import counted, printable, table
from streams.cli.flow import Flow
from streams.kafka.output_follower import OutputRecord
from streams.kafka.publishing import Publication

SHOWN_TAGS = 5
IMAGGA = (
    "imagga_tagging is the name of the add-on whose form these results have: the model runs on this machine, "
    "nothing is sent to Imagga."
)
KNOWN = (
    "The model knows animals, things, vehicles and food; not people, faces, trees or streets "
    "(model/MODEL_CARD.md). For scenes and colours: publish --categorization imagga_tagging,scene_tagging"
)
_OURS = "efficientnet_lite"  # the models that come along; of others nobody here knows what they know
_KIND_WIDTH = 15  # columns of a record's kind, with the space behind it
_TIMES = "fetch + decode\n+ infer, in ms"


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


def tags_text(categorization: Mapping[str, Any], limit: int = SHOWN_TAGS) -> Flow:
    """Each add-on's best tags with their confidence; assigned ones stand out."""
    assigned = set(categorization["tags"])
    text = Flow()
    add_ons = categorization["info"]["categorization"]
    for name, add_on in add_ons.items():
        if len(add_ons) > 1:
            text.add(f"{printable(name)}:", "cyan")
        if add_on["status"] == "failed":
            text.add(f"failed ({printable(add_on['error'])})", "red", gap=1)
        for place, score in enumerate(add_on["data"][:limit]):
            style = "bold green" if score["tag"] in assigned else "dim"
            named = len(add_ons) > 1 and place == 0
            text.add(f"{printable(score['tag'])} {score['confidence']:.2f}", style, gap=1 if named else 2)
    return text


def results_table(publication: Publication) -> RenderableType:
    """One line per event that was published."""
    rows = table("image", "size", "tags and confidences", _TIMES, right=("size", _TIMES))
    for name, answer in sorted(publication.categorizations.items()):
        value, times = answer.value, answer.value["timings_ms"]
        spent = " + ".join(f"{times[part]:.0f}" for part in ("fetch", "decode", "inference"))
        size = f"{value['width']}x{value['height']}"
        rows.add_row(Text(printable(name)), size, tags_text(value), spent)
    for name, answer in sorted(publication.dead_letters.items()):
        rows.add_row(Text(printable(name)), "", fault_text(answer))
    for name in sorted(publication.waiting.values()):
        rows.add_row(Text(printable(name)), "", Text("no answer yet", style="yellow"))
    return Group("", rows, Text("assigned tags stand out", style="dim"))


def first_notes(publication: Publication) -> list[str]:
    """What whoever sees results for the first time may take wrongly; a line each."""
    notes = [IMAGGA] if any("imagga_tagging" in _add_ons(answer) for answer in _results(publication)) else []
    return [*notes, KNOWN] if any(map(_by_ours, _results(publication))) else notes


def untagged_note(publication: Publication, threshold: float) -> str | None:
    """What to know where photos got no tag; None: each has one."""
    results = _results(publication)
    untagged = [answer for answer in results if not answer.value["tags"]]
    if not untagged:
        return None
    found = f"{len(untagged)} of {counted(len(results), 'photo')} without a tag above {threshold:g}"
    return f"{found}. {KNOWN}" if any(map(_by_ours, untagged)) else f"{found}."


def _results(publication: Publication) -> list[OutputRecord]:
    return list(publication.categorizations.values())


def _add_ons(answer: OutputRecord) -> Mapping[str, Any]:
    found: Mapping[str, Any] = answer.value["info"]["categorization"]
    return found


def _by_ours(answer: OutputRecord) -> bool:
    models = (
        add_on.get("model") or {} for add_on in _add_ons(answer).values()
    )  # one that failed may have none
    return any(str(model.get("name")).startswith(_OURS) for model in models)


def fault_text(letter: OutputRecord) -> Text:
    """The reason of a dead letter."""
    fault = letter.fault
    if fault is None:
        return Text()
    return Text(f"dead letter: {printable(fault.reason)} ({printable(fault.message)})", style="red")


def line(answer: OutputRecord) -> Flow:
    """One record, as `tagstream tail` prints it."""
    text = Flow(indent=_KIND_WIDTH).add(f"{answer.kind:<{_KIND_WIDTH - 1}}", "cyan")
    if answer.kind == "dead-letter":
        text.add(printable(answer.key), "bold", gap=1)
        return text.extend(
            (1 if place else 2, word) for place, word in enumerate(fault_text(answer).split(" "))
        )
    if answer.kind == "categorization":
        return text.add(printable(answer.value["public_id"]), "bold", gap=1).extend(tags_text(answer.value))
    for resource in answer.value["resources"]:
        text.add(printable(resource["public_id"]), "bold", gap=1)
        changes = [*(("+", tag) for tag in resource["added"]), *(("-", tag) for tag in resource["removed"])]
        for place, (sign, tag) in enumerate(changes):
            text.add(f"{sign}{printable(tag)}", "green" if sign == "+" else "red", gap=1 if place else 2)
    return _listed(text, [printable(tag) for tag in answer.value["tags"]])


def _listed(text: Flow, tags: Sequence[str]) -> Flow:
    text.add("=", "dim", gap=1)
    for place, tag in enumerate(tags, 1):
        text.add(tag if place == len(tags) else f"{tag},", "dim", gap=1)
    return text
