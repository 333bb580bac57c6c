"""The records that tell others what became of an event."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from model.tagger.languages import TagNames
from schemas.assets import Asset
from schemas.cloudevents import event_headers
from schemas.dead_letters import Fault, dead_letter
from schemas.origins import Origin, routed_headers
from schemas.results import (
    CATEGORIZED,
    TAGS_CHANGED,
    AddOnResult,
    Categorization,
    Cause,
    ChangedResource,
    Info,
    ReportedTag,
    ScoredTag,
    TagUpdate,
    result_id,
)
from schemas.topics import TopicNames
from schemas.uploads import Record, Upload, UploadType
from streams.fold.history import ChangedTags
from streams.fold.outcomes import Forwarded, Output, Tagged


def split_languages(language: str | Sequence[str] | None) -> tuple[list[str], list[str]]:
    """The languages of an upload in which tags have names, and the others; each once."""
    if not language:
        return [], []
    parts: Iterable[str] = language.split(",") if isinstance(language, str) else language
    asked = dict.fromkeys(part.strip() for part in parts if part.strip())
    names = TagNames.load()
    known = [code for code in asked if names.knows(code)]
    return known, [code for code in asked if code not in known]


def reported_tag(score: ScoredTag, probability: float | None, languages: Sequence[str]) -> ReportedTag:
    """Name a tag in languages that are known; where it has no name it stays English and is marked."""
    if not languages:
        return ReportedTag(score.tag, score.confidence, probability)
    found = {code: TagNames.load().name(score.tag, code) for code in languages}
    missing = [code for code, name in found.items() if name is None]
    names = {code: name or score.tag for code, name in found.items()}
    return ReportedTag(score.tag, score.confidence, probability, names, missing or None)


def dead_letter_output(record: Record, fault: Fault, names: TopicNames) -> Output:
    """The original record with its trace, as far as there is room, and the fault in its headers."""
    return Output(names.dead_letters, *dead_letter(record, fault))


def forwarded_output(record: Record, forwarded: Forwarded, names: TopicNames) -> Output:
    """The event as it was published, in the partition of its image; where it came from tells what it is."""
    headers = routed_headers(record.headers, Origin(record.place, record.timestamp))
    return Output(
        names.upload_log, forwarded.upload.public_id.encode(), record.value, headers, forwarded.partition
    )


def categorization_output(
    tagged: Tagged, row: Mapping[str, Any], record: Record, names: TopicNames
) -> Output:
    """Every tag of an image with its confidence; `row` is the image's as it is now."""
    upload, data = tagged.upload, tagged.upload.data
    known, unknown = split_languages(data.language)
    add_ons = {name: _add_on_result(tagged, name, known) for name in upload.add_ons}
    result = Categorization(
        public_id=upload.public_id,
        version=data.version,
        user_id=data.user_id,
        tenant=data.tenant,
        uploaded_at=datetime.fromtimestamp(upload.at / 1000, UTC).isoformat().replace("+00:00", "Z"),
        url=None if tagged.url.startswith("data:") else tagged.url,
        bytes=tagged.size,
        width=tagged.width,
        height=tagged.height,
        format=tagged.format,
        etag=tagged.etag,
        phash=tagged.phash,
        embedding=tagged.embedding,
        tags=row["tags"],
        info=Info(add_ons),
        model=tagged.model,
        rules=tagged.rules,
        timings_ms=tagged.timings,
        cause=Cause(upload.source, upload.id, upload.type.value),
        language=data.language,
        unknown_languages=unknown or None,
        notification_url=data.notification_url,
        context=data.context,
        asset=data.asset or _asset_in(row),
    )
    models = dict.fromkeys(f"{model.name}/{model.version}" for model in tagged.models.values())
    identity = result_id(CATEGORIZED, upload.source, upload.id, add_ons, ",".join(models))
    headers = _headers(identity, CATEGORIZED, record, names)
    return Output(names.categorizations, _key(upload, record), msgspec.json.encode(result), headers)


def _add_on_result(tagged: Tagged, name: str, languages: list[str]) -> AddOnResult:
    model = tagged.models[name]
    if name in tagged.failed:
        return AddOnResult("failed", [], model, tagged.failed[name])
    reported = [
        reported_tag(score, tagged.probabilities.get(name, {}).get(score.tag), languages)
        for score in tagged.scores[name]
    ]
    return AddOnResult("complete", reported, model, words=tagged.words.get(name))


def tag_update_output(
    upload: Upload,
    rows: tuple[Mapping[str, Any] | None, Mapping[str, Any]],
    record: Record,
    names: TopicNames,
) -> Output:
    """What came, what went, and the tags that the image has now, by its row before and its row now."""
    old, new = rows
    after = tags_of(new)
    changed = ChangedTags.between(tags_of(old), after)
    asset = upload.data.asset or _asset_in(new) or _asset_in(old or {})
    kind = (asset.resource_type, asset.type) if asset else ("image", "upload")
    resource = ChangedResource(
        public_id=upload.public_id,
        added=changed.added,
        removed=changed.removed,
        updated=[],
        resource_type=kind[0],
        type=kind[1],
    )
    asks = upload.asks_for_no_add_on and upload.type in {UploadType.UPLOADED, UploadType.UPDATED}
    update = TagUpdate(
        resources=[resource],
        tags=after,
        cause=Cause(upload.source, upload.id, upload.type.value),
        tenant=upload.data.tenant or msgspec.UNSET,
        categorized=False if asks else msgspec.UNSET,
        asset=asset or msgspec.UNSET,
        notification_url=upload.data.notification_url or msgspec.UNSET,
    )
    identity = result_id(TAGS_CHANGED, upload.source, upload.id, (), "")
    headers = _headers(identity, TAGS_CHANGED, record, names)
    return Output(names.tag_updates, _key(upload, record), msgspec.json.encode(update), headers)


def tags_of(row: Mapping[str, Any] | None) -> list[str]:
    """The tags that an image's row tells; those of raw and video assets lie in the asset, uncounted."""
    if row is None:
        return []
    asset: Mapping[str, Any] = row.get("asset", {})
    told = asset.get("resource_type", "image") != "image"
    tags: list[str] = asset.get("tags", []) if told else row["tags"]
    return tags


def _asset_in(row: Mapping[str, Any]) -> Asset | None:
    return msgspec.convert(row["asset"], Asset) if "asset" in row else None


def _headers(identity: str, kind: str, record: Record, names: TopicNames) -> list[tuple[str, bytes]]:
    """Those of a CloudEvent of ours, and the trace of the record that caused it."""
    ours = event_headers(id=identity, source=f"tagstream:{names.app_id}", type=kind)
    return [*ours, *record.trace_context.headers()]


def _key(upload: Upload, record: Record) -> bytes:
    return record.key if record.key is not None else upload.public_id.encode()
