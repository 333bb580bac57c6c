"""What an upload, a deletion or a new look at an image makes of its row."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from schemas.results import ModelInfo, ReadWord, ScoredTag
from schemas.uploads import Upload, UploadType
from streams.fold.changes import Row
from streams.fold.history import ChangedTags, encode_sources
from streams.fold.outcomes import Rederived, Tagged
from streams.fold.people import assigned_by_add_ons, forget, weigh
from streams.fold.precedence.standing import placed, raised_version, state_of, uncovered, versions
from streams.fold.precedence.tellings import inherit, overhear, tell

_RENEWED = {"raw", "models", "failed", "people", "phash", "thumb", "embedding", "words"}
REMEMBERED_CHANGES = 10  # changes of an image's tags that can be looked up
REMEMBERED_CHARACTERS = 262_144  # in the names of their tags: ten changes of a thousand tags fit no record
_CHARACTERS_PER_PLACE = 4  # of an added tag, where it is told who gave it

_FOUND = (
    "scores",
    "raw",
    "model",
    "models",
    "rules",
    "failed",
    "asked",
    "phash",
    "thumb",
    "embedding",
    "words",
)  # what a look at an image leaves

Scores = Mapping[str, list[ScoredTag]]


class _Tagged(NamedTuple):
    row: Row
    people: Row


def overtaken_row(old: Row, upload: Upload, offset: int, behind: Row | None = None) -> Row:
    """An image's row after an upload or a deletion that does not become its state.

    What the event tells beside that counts: who, which tags, and that people's words before it are void.

    Args:
        old: The row before.
        upload: The event.
        offset: Its place.
        behind: The row that it would have made, where that may come to count.
    """
    new = overhear(old, upload, offset) | moved_on(old, max(old["o"], offset)) | raised_version(old, upload)
    if behind is not None:
        new["behind"] = state_of(behind)
    return _reweighed(old, new, upload, offset)


def uncovered_row(old: Row, upload: Upload, offset: int) -> Row:
    """An image's row after an event that ends its state, and loses to the one behind that."""
    new = overhear(inherit(uncovered(old), old), upload, offset) | {"o": max(old["o"], offset)}
    return _reweighed(old, new | {"version": upload.version}, upload, offset)


def _reweighed(old: Row, new: Row, upload: Upload, offset: int) -> Row:
    people = new.get("people", {})
    if _ends_edits(upload):
        people = forget(people, upload.at, offset)
    if not new.get("deleted"):
        sources, people = weigh(people, new["own"], assigned_by_add_ons(new))
        new |= {"tags": list(sources), "by": list(sources.values())}
    if people:
        new["people"] = people
    new["history"] = changed_history(old, new, upload, rules=new["rules"])
    return new


def _ends_edits(upload: Upload) -> bool:
    return upload.type is UploadType.DELETED or upload.data.keep_edits is False


def moved_on(old: Row, offset: int) -> Row:
    """A row's places in the log after an event that does not become its state."""
    return {"o": offset, "placed": placed(old)}


def uploaded_row(old: Row | None, tagged: Tagged, offset: int) -> Row:
    """An image's row after an upload or an update."""
    tagged = _with_last_known(old, tagged)
    new, people = _with_tags(old, tagged.upload, tagged.assigned, offset)
    new["url"] = None if tagged.url.startswith("data:") else tagged.url  # bytes of images are not kept
    new |= _findings(tagged) | _asset(old, tagged.upload)
    return _completed(old, new, people, tagged.upload)


def stored_row(old: Row | None, upload: Upload, offset: int) -> Row:
    """An image's row after an upload or an update that nobody was to look at.

    What add-ons said holds still as long as the bytes are the same ones.
    """
    same = _same_bytes(old, upload)
    new, people = _with_tags(old, upload, assigned_by_add_ons(old) if old and same else {}, offset)
    url = upload.data.url or (old and old["url"])
    new["url"] = None if url and url.startswith("data:") else url
    new |= {"scores": {}, "model": None, "rules": None, "asked": None}
    if old and same:
        new |= {name: old[name] for name in _FOUND if name in old}
    return _completed(old, new | _asset(old, upload), people, upload, looked=False)


def _with_tags(old: Row | None, upload: Upload, assigned: Mapping[str, list[str]], offset: int) -> _Tagged:
    """The beginning of an image's row with its tags, and what people said of them."""
    people = old.get("people", {}) if old else {}
    if _ends_edits(upload):
        people = forget(people, upload.at, offset)
    new = tell(_head(old, upload, offset), old, upload, offset)
    sources, people = weigh(people, new["own"], assigned)
    return _Tagged(new | {"tags": list(sources), "by": list(sources.values())}, people)


def _same_bytes(old: Row | None, upload: Upload) -> bool:
    """Whether an event is an update of the bytes that are known."""
    if old is None or old.get("deleted") or upload.type is not UploadType.UPDATED:
        return False
    return upload.data.url in {None, old["url"]}


def _asset(old: Row | None, upload: Upload) -> Row:
    """What is known of the bytes after an event."""
    if upload.data.asset is not None:
        return {"asset": msgspec.to_builtins(upload.data.asset)}
    return {"asset": old["asset"]} if old and "asset" in old and _same_bytes(old, upload) else {}


def deleted_row(old: Row | None, upload: Upload, offset: int) -> Row:
    """An image's row after it was deleted."""
    people = forget(old.get("people", {}) if old else {}, upload.at, offset)
    people.pop("hidden", None)
    gone: Row = {"deleted": True, "url": None, "scores": {}, "model": None, "rules": None}
    new = tell(_head(old, upload, offset) | {"tags": [], "by": []} | gone, old, upload, offset)
    return _completed(old, new, people, upload)


def retagged_row(old: Row, tagged: Tagged, offset: int) -> Row:
    """An image's row after a new look at it; whose it is, and from when, stays."""
    tagged = _with_last_known(old, tagged)
    return _renewed(old, tagged.upload, _findings(tagged), tagged.assigned, offset)


def rederived_row(old: Row, rederived: Rederived, offset: int) -> Row:
    """An image's row after the rules were applied anew to what taggers had said."""
    raw = raw_scores(old)
    ruling = rederived.rules.apply(raw, old["asked"])
    found = _reported(ruling.scores, raw) | {"rules": rederived.rules.hash}
    found |= {
        name: old[name]
        for name in ("models", "failed", "phash", "thumb", "embedding", "words")
        if name in old
    }
    return _renewed(old, rederived.upload, found, ruling.assigned, offset)


def raw_scores(row: Row) -> dict[str, list[ScoredTag]]:
    """What taggers said of an image, before any rules."""
    said = row["scores"] | row.get("raw", {})
    return {add_on: [ScoredTag(*score) for score in scores] for add_on, scores in said.items()}


def models_of(row: Row) -> dict[str, ModelInfo]:
    """The model of each add-on that looked at an image."""
    return {add_on: ModelInfo(*model) for add_on, model in _models_in(row).items()}


def _words_in(row: Row) -> dict[str, list[ReadWord]]:
    return {name: [ReadWord(*word) for word in words] for name, words in row.get("words", {}).items()}


def _models_in(row: Row) -> dict[str, list[str]]:
    others = row.get("models", {})
    return {add_on: others.get(add_on, row["model"]) for add_on in row["scores"]}


def changed_history(old: Row | None, new: Row, upload: Upload, **told: Any) -> list[Row]:  # noqa: ANN401 - JSON
    """An image's history with what an event changed about its tags."""
    changed = ChangedTags.between(old["tags"] if old else [], new["tags"])
    kept: list[Row] = old["history"] if old else []
    if not any(changed):
        return kept
    change = {
        "at": upload.at,
        "cause": [upload.source, upload.id, upload.type.value],
        **told,
        "added": changed.added,
        "removed": changed.removed,
    }
    sources = dict(zip(new["tags"], new["by"], strict=True))
    if places := encode_sources(changed.added, sources, told.get("models", ())):
        change["from"] = places
    return _shortened([*kept, change])


def _head(old: Row | None, upload: Upload, offset: int) -> Row:
    return {
        "o": offset,  # first, so that it is found without decoding the row
        "at": upload.at,
        **versions(old, upload),
        "tenant": upload.data.tenant or "",
        "cause": [upload.source, upload.id, upload.type.value],
    }


def _renewed(old: Row, upload: Upload, found: Row, assigned: Mapping[str, list[str]], offset: int) -> Row:
    sources, people = weigh(old.get("people", {}), old["own"], assigned)
    kept = {name: value for name, value in old.items() if name not in _RENEWED}
    new = kept | moved_on(old, offset) | {"cause": [upload.source, upload.id, upload.type.value]}
    new |= {"tags": list(sources), "by": list(sources.values())} | found
    if new["own"]:
        new.setdefault("own_from", old["cause"])
    return _completed(old, new, people, upload)


def _completed(old: Row | None, new: Row, people: Row, upload: Upload, *, looked: bool = True) -> Row:
    if people:
        new["people"] = people
    models = _models_in(new) if looked else {}
    told = {"models": models} if models else {}
    new["history"] = changed_history(old, new, upload, **told, rules=new["rules"])
    return new


def _with_last_known(old: Row | None, tagged: Tagged) -> Tagged:
    """Let what an add-on said last hold still where it failed this time."""
    known = [name for name in tagged.failed if old and name in old["scores"]]
    if old is None or not known:
        return tagged
    said, models = raw_scores(old), models_of(old)
    assigned = {tag: list(add_ons) for tag, add_ons in tagged.assigned.items()}
    for tag, add_ons in assigned_by_add_ons(old).items():
        if again := [name for name in add_ons if name in known]:
            assigned.setdefault(tag, []).extend(again)
    return dataclasses.replace(
        tagged,
        words=tagged.words | {name: words for name, words in _words_in(old).items() if name in known},
        raw=tagged.raw | {name: said[name] for name in known},
        scores=tagged.scores | {name: [ScoredTag(*score) for score in old["scores"][name]] for name in known},
        models=tagged.models | {name: models[name] for name in known},
        assigned=assigned,
    )


def _findings(tagged: Tagged) -> Row:
    others = {
        add_on: [model.name, model.version]
        for add_on, model in tagged.models.items()
        if model != tagged.model and add_on in tagged.scores
    }
    found = _reported(tagged.scores, tagged.raw) | {
        "model": [tagged.model.name, tagged.model.version],
        "rules": tagged.rules,
        "asked": tagged.upload.auto_tagging,
    }
    found |= {"models": others} if others else {}
    found |= {"phash": tagged.phash} if tagged.phash else {}
    found |= {"thumb": tagged.thumb} if tagged.thumb else {}
    found |= {"embedding": tagged.embedding} if tagged.embedding else {}
    words = {name: [[each.word, each.confidence] for each in said] for name, said in tagged.words.items()}
    found |= {"words": words} if any(words.values()) else {}
    return found | ({"failed": tagged.failed} if tagged.failed else {})


def _reported(scores: Scores, raw: Scores) -> Row:
    """What is reported; what taggers said only where the rules made something else of it."""
    differs = {add_on: _pairs(said) for add_on, said in raw.items() if said != scores.get(add_on)}
    found: Row = {"scores": {add_on: _pairs(reported) for add_on, reported in scores.items()}}
    return found | ({"raw": differs} if differs else {})


def _pairs(scores: list[ScoredTag]) -> list[list[Any]]:
    return [[score.tag, score.confidence] for score in scores]


def _shortened(history: list[Row]) -> list[Row]:
    """Keep the last changes: so many, and so many characters, but always the very last one."""
    kept, room = history[-1:], REMEMBERED_CHARACTERS
    for change in history[-2 : -REMEMBERED_CHANGES - 1 : -1]:
        room -= sum(map(len, change["added"])) + sum(map(len, change["removed"]))
        room -= _CHARACTERS_PER_PLACE * sum(map(len, change.get("from", {}).values()))
        if room < 0:
            break
        kept.insert(0, change)
    return kept
