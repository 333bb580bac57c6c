"""Images and tags that come together, as people read them."""

from collections.abc import Collection, Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from schemas.answers.images import FoundImages, ImageState, RelatedTags, TagChange, TagEdit
from schemas.results import ScoredTag
from streams.cli.ask.framing import framed, more, window_text
from streams.cli.charts import bar_of, counted, name, number, printable, share, table, when
from streams.cli.flow import Flow

SHOWN_TAGS = 8


def images_view(answer: FoundImages, wanted: Collection[str] = ()) -> RenderableType:
    """Show images that match; the tags in `wanted` stand out and come first."""
    title = f"{counted(answer.total, 'image')}, {window_text(answer.window)}"
    if not answer.images:
        return framed(title, None, answer)
    rows = table(
        "image",
        "uploaded (UTC)",
        "user",
        "confidence",
        "tags",
        right=("confidence",),
        whole=("uploaded (UTC)",),
    )
    for image in answer.images:
        confidence = "" if image.confidence is None else f"{image.confidence:.2f}"
        tags = scored_text(image.tags, wanted)
        rows.add_row(name(image.public_id), when(image.uploaded_at), name(image.user_id), confidence, tags)
    return framed(title, rows, answer, *more(answer.cursor))


def scored_text(tags: Sequence[ScoredTag], standing_out: Collection[str] = ()) -> Flow:
    """An image's tags with their confidences, those that stand out first."""
    ranked = sorted(tags, key=lambda tag: tag.tag not in standing_out)
    text = Flow()
    for tag in ranked[:SHOWN_TAGS]:
        style = "bold green" if tag.tag in standing_out else ""
        text.add(f"{printable(tag.tag)} {tag.confidence:.2f}", style)
    if len(ranked) > SHOWN_TAGS:
        text.add(f"and {len(ranked) - SHOWN_TAGS} more", "dim")
    return text


def image_view(answer: ImageState) -> RenderableType:
    """Show an image's state, what each add-on said of it, and what changed its tags."""
    title = name(answer.public_id, "bold")
    if answer.deleted:
        title.append(" (deleted)", style="red")
    parts: list[RenderableType] = [_facts(answer)]
    if any(answer.scores.values()):
        parts += ["", _scores(answer)]
    parts += ["", _history(answer.history)]
    return framed(title, Group(*parts), answer)


def _facts(answer: ImageState) -> Table:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    model = answer.model
    rows = {
        "uploaded": Text(f"{when(answer.uploaded_at, '%Y-%m-%d %H:%M:%S')} UTC"),
        "user": name(answer.user_id),
        "url": name(answer.url),
        "version": Text("-" if answer.version is None else str(answer.version)),
        "tags": _names((tag.tag for tag in answer.tags), "bold green", ", "),
        **({"people": _said(answer.edits)} if answer.edits else {}),
        "model": name(None if model is None else f"{model.name} {model.version}"),
        "rules": name(answer.rules),
        "cause": name(f"{answer.cause.type} {answer.cause.id} from {answer.cause.source}"),
        "partition": Text(str(answer.partition)),
    }
    for fact, value in rows.items():
        facts.add_row(fact, value)
    return facts


def _scores(answer: ImageState) -> Table:
    sources = {tag.tag: tag.sources for tag in answer.tags}
    rows = table("add-on", "tag", "confidence", "", "assigned", right=("confidence",))
    for add_on, scores in answer.scores.items():
        for place, score in enumerate(scores):
            assigned = add_on in sources.get(score.tag, ())
            rows.add_row(
                name(add_on if place == 0 else ""),
                name(score.tag, "bold green" if assigned else ""),
                f"{score.confidence:.2f}",
                bar_of(score.confidence, 1),
                "yes" if assigned else "",
            )
    return rows


def _history(changes: Iterable[TagChange]) -> Table:
    rows = table("changed (UTC)", "by", "event", "tagger", "tags", whole=("changed (UTC)",))
    for change in changes:
        tags = _names(change.added, "green", " ", "+")
        tags = Text(" ").join(part for part in (tags, _names(change.removed, "red", " ", "-")) if part)
        who = change.cause.type if change.by is None else f"{change.by} ({change.cause.type})"
        at, event = when(change.at, "%Y-%m-%d %H:%M:%S"), name(change.cause.id)
        rows.add_row(at, name(who), event, _taggers(change), tags)
    return rows


def _taggers(change: TagChange) -> Text:
    """The add-ons that looked, each with its model; of an old change the model alone is known."""
    taggers = [(f"{add_on} ", model) for add_on, model in change.taggers.items()]
    if not taggers and change.model is not None:
        taggers = [("", change.model)]
    return Text("\n").join(name(f"{add_on}{model.name} {model.version}") for add_on, model in taggers)


def _said(edits: Iterable[TagEdit]) -> Text:
    """What people said: each tag that they added or took away, and who it was."""
    return Text(", ").join(
        name(f"{'+' if edit.added else '-'}{edit.tag}", "green" if edit.added else "red").append(
            f" {printable(edit.by)}" if edit.by is not None else "", style="dim"
        )
        for edit in edits
    )


def _names(names: Iterable[str], style: str, between: str, before: str = "") -> Text:
    return Text(between).join(name(before + each, style) for each in names)


def related_view(answer: RelatedTags) -> RenderableType:
    """Show the tags that come together with a tag; bars are of the lift."""
    found = f": on {number(answer.images)} of {counted(answer.all_images, 'image')}, together with"
    title = Text.assemble(name(answer.tag, "bold"), found)
    if not answer.related:
        return framed(title, None, answer, "nothing often enough; --min-both 1 shows what is rare, too")
    rows = table(
        "tag", "both", "support", "confidence", "lift", "", right=("both", "support", "confidence", "lift")
    )
    top = max(tag.lift for tag in answer.related)
    for tag in answer.related:
        figures = (number(tag.both), share(tag.support), share(tag.confidence), f"{tag.lift:,.2f}")
        rows.add_row(name(tag.tag), *figures, bar_of(tag.lift, top))
    return framed(title, rows, answer)
