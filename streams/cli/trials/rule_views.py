"""What rules did with the tags of a photo, as people and programs read it."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from streams.cli.charts import name, table
from streams.fold.rules.applying import Fate, Ruling, Verdict

_STYLES = {Fate.ASSIGNED: "bold green", Fate.HIDDEN: "red", Fate.CUT: "yellow"}


def verdicts_table(photo: str, rules: str, ruling: Ruling, failed: Mapping[str, str]) -> RenderableType:
    """Show what became of each tag, and which rules did something about it."""
    title = name(photo, "bold").append(f"  rules {rules}", style="dim")
    return Group(title, "", _table(ruling, failed), "", _outcome(ruling), "")


def as_json(photo: str, rules: str, ruling: Ruling, failed: Mapping[str, str]) -> dict[str, Any]:
    """What became of each tag, for programs."""
    add_ons = {add_on: [_verdict(each) for each in judged] for add_on, judged in ruling.verdicts.items()}
    return {
        "photo": photo,
        "rules": rules,
        "tags": ruling.assigned,
        "add_ons": add_ons,
        "failed": dict(failed),
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "tag": verdict.tag,
        "confidence": verdict.confidence,
        "fate": verdict.fate.name.lower(),
        "threshold": verdict.threshold,
        "rules": verdict.notes,
    }


def _table(ruling: Ruling, failed: Mapping[str, str]) -> Table:
    rows = table("add-on", "tag", "confidence", "what rules did", "outcome", right=("confidence",))
    for add_on, judged in ruling.verdicts.items():
        for place, verdict in enumerate(judged):
            rows.add_row(
                name(add_on if place == 0 else ""),
                name(verdict.tag, _STYLES.get(verdict.fate, "")),
                f"{verdict.confidence:.2f}",
                name("; ".join(verdict.notes)),
                Text(_told(verdict), style=_STYLES.get(verdict.fate, "dim")),
            )
        if not judged:
            rows.add_row(name(add_on), "", "", "", Text("no tag is likely enough", style="dim"))
    for add_on, error in failed.items():
        rows.add_row(name(add_on), "", "", "", name(f"failed: {error}", "red"))
    return rows


def _told(verdict: Verdict) -> str:
    match verdict.fate:
        case Fate.ASSIGNED:
            return f"assigned: > {verdict.threshold:g}"
        case Fate.HIDDEN:
            return "hidden"
        case Fate.UNSURE if verdict.threshold is not None:
            return f"reported: ≤ {verdict.threshold:g}"
        case _:
            return "reported"


def _outcome(ruling: Ruling) -> Text:
    if not ruling.assigned:
        return Text("tags: none is assigned", style="dim")
    return Text("tags: ").append_text(Text(", ").join(name(tag, "bold green") for tag in ruling.assigned))
