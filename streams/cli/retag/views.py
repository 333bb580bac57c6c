"""What a re-tag changed, as people and as machines read it."""

import orjson
from rich.console import Group, RenderableType
from rich.text import Text

from streams.cli.charts import counted, name, number, printable, table
from streams.cli.retag.job import Report
from streams.cli.retag.plan import Fate

SHOWN_TAGS = 40
_TOLD = (Fate.DONE, Fate.CURRENT, Fate.WITHOUT_URL, Fate.UNKEPT)


def report_view(report: Report) -> RenderableType:
    """Show how many images changed, which tags, and what was left out."""
    differences = report.differences
    verb = "would change" if report.options.dry_run else "changed"
    title = f"{counted(report.done, 'image')} re-tagged, {number(differences.images)} {verb}"
    title += f" by rules {report.rules}" if report.rules else ""
    parts: list[RenderableType] = [Text(title, style="bold")]
    changes = differences.by_tag()
    if changes:
        rows = table("tag", "added to", "removed from", right=("added to", "removed from"))
        for tag, added, removed in changes[:SHOWN_TAGS]:
            rows.add_row(name(tag), number(added) if added else "", number(removed) if removed else "")
        parts.append(rows)
    if len(changes) > SHOWN_TAGS:
        parts.append(Text(f"and {number(len(changes) - SHOWN_TAGS)} more tags; --json has all", style="dim"))
    parts += [Text(f"left out: {counted(count, 'image')} {why}", style="dim") for why, count in _left(report)]
    parts += [
        Text(f"failed: {counted(count, 'image')}, {printable(reason)}", style="red")
        for reason, count in differences.failed.most_common()
    ]
    return Group(*parts)


def as_json(report: Report) -> bytes:
    """The report as one line of JSON."""
    differences = report.differences
    tags = {tag: {"added": added, "removed": removed} for tag, added, removed in differences.by_tag()}
    return orjson.dumps(
        {
            "run": report.options.run,
            "mode": report.options.mode,
            "dry_run": report.options.dry_run,
            "rules": report.rules,
            "total": report.total,
            "done": report.done,
            "changed": differences.images,
            "tags": tags,
            "left_out": {fate.name.lower(): count for fate, count in report.fates.items() if fate in _TOLD},
            "failed": dict(differences.failed),
        }
    )


def _left(report: Report) -> list[tuple[str, int]]:
    return [(fate.value, report.fates[fate]) for fate in _TOLD if report.fates[fate]]
