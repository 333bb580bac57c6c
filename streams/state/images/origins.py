"""Where each tag of an image is from: who gave it, how sure they were, and which event made them say so."""

from collections.abc import Iterable

from schemas.answers.images import AssignedTag, TagChange, TagEdit, TagOrigin
from schemas.results import Cause, ModelInfo
from schemas.times import utc_datetime
from schemas.uploads import UploadType
from streams.fold.history import decode_sources
from streams.fold.people import ADDED, OWN, PEOPLE, Decision
from streams.state.images.rows import Change, ImageRow


def assigned_tags(row: ImageRow) -> list[AssignedTag]:
    """An image's tags with their origins."""
    confidences = {add_on: dict(scores) for add_on, scores in row.scores.items()}
    tags = zip(row.tags, row.by, strict=True)
    return [AssignedTag(tag, sources, _origins(row, tag, sources, confidences)) for tag, sources in tags]


def tag_edits(row: ImageRow) -> list[TagEdit]:
    """What people said of an image's tags, the tags that they took away too; oldest first."""
    decisions = [(tag, Decision(*decision)) for tag, decision in row.people.tags.items()]
    ordered = sorted(decisions, key=lambda item: (item[1].at, item[1].offset, item[0]))
    return [
        TagEdit(tag, decision.kind == ADDED, utc_datetime(decision.at), decision.who, _edit(decision))
        for tag, decision in ordered
    ]


def tag_changes(row: ImageRow) -> list[TagChange]:
    """What changed an image's tags, oldest first, with the add-ons that looked and what they gave."""
    return [_change(change) for change in row.history]


def _change(change: Change) -> TagChange:
    taggers = {add_on: ModelInfo(*model) for add_on, model in change.models.items()}
    is_old = change.model is not None
    return TagChange(
        utc_datetime(change.at),
        Cause(*change.cause),
        ModelInfo(*change.model) if change.model is not None else next(iter(taggers.values()), None),
        change.added,
        change.removed,
        change.rules,
        change.by,
        taggers,
        {} if is_old else decode_sources(change.added, change.places, taggers),
    )


def _origins(
    row: ImageRow, tag: str, sources: Iterable[str], confidences: dict[str, dict[str, float]]
) -> list[TagOrigin]:
    origins = []
    for source in sources:
        if source == PEOPLE:
            decision = Decision(*row.people.tags[tag])
            origins.append(TagOrigin(source, _edit(decision), by=decision.who))
        elif source == OWN:
            origins.append(TagOrigin(source, Cause(*(row.own_from or row.cause))))
        else:
            model = row.models.get(source, row.model)
            origin = TagOrigin(
                source,
                Cause(*row.cause),
                confidence=confidences.get(source, {}).get(tag),
                model=None if model is None else ModelInfo(*model),
                rules=row.rules,
            )
            origins.append(origin)
    return origins


def _edit(decision: Decision) -> Cause:
    return Cause(decision.source, decision.id, UploadType.EDITED.value)
