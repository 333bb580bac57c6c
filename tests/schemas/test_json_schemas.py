"""The published JSON Schema files: in step with the types, and true of real records."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

import schemas
from schemas.__main__ import FOLDER, main
from schemas.answers.duplicates import (
    AlikeImage,
    AlikeImages,
    Duplicate,
    DuplicateGroup,
    Duplicates,
    SimilarImage,
    SimilarImages,
)
from schemas.answers.images import (
    AssignedTag,
    FoundImage,
    FoundImages,
    ImageState,
    RelatedTag,
    RelatedTags,
    TagChange,
    TagEdit,
    TagOrigin,
)
from schemas.answers.trends import (
    ComparedTag,
    ComparedTags,
    Health,
    PartitionState,
    Point,
    Problem,
    RisingTag,
    RisingTags,
    TagCount,
    TagLine,
    TagLines,
    TagList,
    TagSeries,
    TopTags,
    Window,
)
from schemas.answers.users import (
    FeedImage,
    Interest,
    ListedTenant,
    ListedUser,
    SimilarUser,
    SimilarUsers,
    TagUser,
    TagUsers,
    TenantList,
    UserFeed,
    UserInterests,
    UserList,
    UserTag,
    UserTags,
)
from schemas.assets import Asset
from schemas.errors import BadEventError
from schemas.json_schemas import DIALECT, PUBLISHED, file_name, rendered
from schemas.plain.leniency import as_meant
from schemas.results import (
    AddOnResult,
    Categorization,
    Cause,
    ChangedResource,
    Info,
    ModelInfo,
    ReadWord,
    ReportedTag,
    ScoredTag,
    TagUpdate,
    Timings,
)
from schemas.streams.records import (
    CountedTag,
    ImageTag,
    ImageTagKey,
    TagCountKey,
    Trend,
    TrendKey,
    TrendPhase,
)
from schemas.uploads import Record, UploadData, UploadType, parse_upload

README = (Path(schemas.__file__).parent / "README.md").read_text(encoding="utf-8")
NOW = 1_770_000_000_000  # 2026-02-02T02:40:00Z
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
STATE = PartitionState(partition=0, ready=True, next_offset=12, lag=None, event_time=NOON)
DAY = Window("24h", NOON - timedelta(days=1), NOON)
COMMON: dict[str, Any] = {"window": DAY, "as_of": [STATE], "complete": False, "behind": [1]}
MODEL = ModelInfo("lite2", "1")
RULES = "0e57c2a1b94d"
CAUSE = Cause("kafka:image.uploads", "image.uploads/0/5", "image.uploaded")
ASSET = Asset(asset_id="0123456789abcdef" * 2, object="demo/1", format="jpg", bytes=7, version=1)
WHOLE: dict[str, msgspec.Struct] = {
    "upload-event": UploadData(
        public_id="koala",
        url="https://example.com/koala.jpg",
        event_id="e1",
        type="image.uploaded",
        user_id="u1",
        tenant="t1",
        uploaded_at="2026-01-31T12:00:00Z",
        version=1719307544,
        sequencer="0055AED6DCD90281E5",
        etag="9e10",
        tags=["grey"],
        categorization=["imagga_tagging"],
        auto_tagging="0.6",
        added=["zoo"],
        removed=["tree"],
        by="ann",
        keep_edits=False,
        retag="rules",
        language=["en", "de"],
        notification_url="https://example.com/hook",
        context={"album": {"pages": [1, 2]}},
        asset=ASSET,
    ),
    "categorization": Categorization(
        public_id="koala",
        uploaded_at="2026-01-31T12:00:00Z",
        bytes=896838,
        width=1920,
        height=1441,
        format="jpg",
        tags=["koala"],
        info=Info(
            {
                "imagga_tagging": AddOnResult(
                    "failed",
                    [ReportedTag("koala", 0.951, 0.96, {"de": "Koala"}, ["de"])],
                    ModelInfo("lite2", "1"),
                    "no",
                    [ReadWord("SALE", 0.988)],
                )
            }
        ),
        model=MODEL,
        rules=RULES,
        timings_ms=Timings(12.1, 3.9, 4.2, 25.0),
        cause=CAUSE,
        version=1719307544,
        user_id="u1",
        tenant="t1",
        etag="9e10",
        phash="d5956d148752d4cb",
        embedding="ARR3alaotYN4pH5reXdpZZg3hVVnWImMuZmYWna5l5aa",
        url="https://example.com/koala.jpg",
        language="en",
        unknown_languages=["xx"],
        notification_url="https://example.com/hook",
        context={"album": "zoo"},
        asset=ASSET,
    ),
    "tag-update": TagUpdate(
        resources=[ChangedResource(public_id="koala", added=["koala"], removed=["bear"], updated=[])],
        tags=["koala"],
        cause=CAUSE,
        tenant="acme",
        categorized=False,
        asset=ASSET,
        notification_url="https://example.com/hook",
    ),
    "image-tag": ImageTag(
        "", "koala", "marsupial", 0.9, "imagga_tagging", "lite2/1", "u1", "2026-01-31T12:00:00Z"
    ),
    "image-tag-key": ImageTagKey("", "koala", "marsupial"),
    "tag-count": CountedTag(
        "", "koala", "*", "hour", "2026-01-31T12:00:00Z", 2, 7, 1769861103000, "AgEHCgMI"
    ),
    "tag-count-key": TagCountKey("", "koala", "*", "hour", "2026-01-31T12:00:00Z", 2),
    "trend": Trend(
        TrendPhase.PEAKED,
        "5f0c" * 8,
        "",
        "koala",
        "1h",
        "2026-01-31T12:20:00Z",
        "2026-01-31T12:40:00Z",
        "2026-01-31T12:00:00Z",
        12,
        2.25,
        42.25,
        9,
    ),
    "trend-key": TrendKey("", "koala"),
    "top-tags": TopTags(**COMMON, tags=[TagCount("koala", 3, 2)], uploaders_error=0.033),
    "rising-tags": RisingTags(
        **COMMON,
        baseline=DAY,
        method="observed against expected",
        half_life_seconds=14_400,
        uploaders_error=0.033,
        tags=[RisingTag("koala", observed=9, expected=1.5, score=37.5, recency=0.8, uploaders=6)],
    ),
    "tag-series": TagSeries(
        **COMMON,
        tag="koala",
        step="hour",
        points=[Point(NOON, 3)],
        total=3,
        by_add_on={"imagga_tagging": 2, "own": 1},
        uploaders=2,
        uploaders_error=0.033,
        first_seen=NOON,
        last_seen=NOON,
    ),
    "compared-tags": ComparedTags(**COMMON, b=DAY, tags=[ComparedTag("koala", a=3, b=2, ratio=1.5)]),
    "tag-list": TagList(**COMMON, tags=[TagCount("koala", 3)], cursor="WyJrb2FsYSJd"),
    "related-tags": RelatedTags(
        **COMMON,
        tag="koala",
        images=4,
        all_images=10,
        related=[RelatedTag("tree", both=3, support=0.3, confidence=0.75, lift=1.5)],
    ),
    "found-images": FoundImages(
        **COMMON,
        total=1,
        images=[
            FoundImage(
                public_id="zoo",
                uploaded_at=NOON,
                user_id="u1",
                url="https://example.com/koala.jpg",
                confidence=0.951,
                tags=[ScoredTag("koala", 0.951)],
            )
        ],
        cursor="WyJrb2FsYSJd",
    ),
    "duplicates": Duplicates(
        **COMMON,
        public_id="koala",
        phash="d5956d148752d4cb",
        total=1,
        images=[Duplicate("zoo", "https://example.com/koala.jpg", 4)],
    ),
    "similar-images": SimilarImages(
        **COMMON,
        public_id="koala",
        embedding="ARR3alaotYN4pH5reXdpZZg3hVVnWImMuZmYWna5l5aa",
        images=[SimilarImage("panda", "https://example.com/panda.jpg", 0.3331)],
    ),
    "alike-images": AlikeImages(
        **COMMON,
        total=1,
        groups=[
            DuplicateGroup(2, [AlikeImage("koala", "https://example.com/koala.jpg"), AlikeImage("zoo", None)])
        ],
    ),
    "image-state": ImageState(
        **COMMON,
        public_id="zoo",
        user_id="u1",
        uploaded_at=NOON,
        version=1719307544,
        url="https://example.com/koala.jpg",
        deleted=False,
        tags=[
            AssignedTag(
                "koala",
                ["people", "imagga_tagging"],
                [
                    TagOrigin("people", CAUSE, by="ann"),
                    TagOrigin("imagga_tagging", CAUSE, 0.951, ModelInfo("lite2", "1"), RULES),
                ],
            )
        ],
        edits=[TagEdit("koala", added=True, at=NOON, by="ann", cause=CAUSE)],
        scores={"imagga_tagging": [ScoredTag("koala", 0.951)]},
        before_rules={"imagga_tagging": [ScoredTag("koala bear", 0.951)]},
        model=ModelInfo("lite2", "1"),
        rules=RULES,
        failed={"scene_tagging": "RuntimeError: out of memory"},
        words={"text_tagging": [ReadWord("SALE", 0.988)]},
        cause=CAUSE,
        partition=0,
        history=[TagChange(NOON, CAUSE, ModelInfo("lite2", "1"), added=["koala"], removed=[], rules=RULES)],
    ),
    "user-interests": UserInterests(
        **COMMON,
        user_id="u1",
        half_life_days=14,
        total_tags=1,
        interests=[Interest("koala", weight=1.5, share=1.0, images=2)],
    ),
    "tag-lines": TagLines(**COMMON, step="hour", starts=[NOON], tags=[TagLine("koala", 3, [3])]),
    "tag-users": TagUsers(**COMMON, tag="koala", by="interest", users=[TagUser("u1", 2, 0.5)]),
    "user-tags": UserTags(**COMMON, user_id="u1", images=3, tags=[UserTag("koala", 2)]),
    "user-list": UserList(**COMMON, users=[ListedUser("u1", 3)], cursor="WyJ1MSJd"),
    "tenant-list": TenantList(**COMMON, tenants=[ListedTenant("", 3, 1)]),
    "similar-users": SimilarUsers(
        **COMMON,
        user_id="u1",
        method="cosine",
        half_life_days=14,
        profiles_as_of=NOON,
        profiles_age_seconds=12.5,
        users=[SimilarUser("u2", score=0.9, shared_tags=["koala"])],
    ),
    "user-feed": UserFeed(
        **COMMON,
        user_id="u1",
        method="weight times confidence",
        half_life_days=14,
        images=[
            FeedImage(
                public_id="zoo",
                uploaded_at=NOON,
                user_id="u2",
                url=None,
                score=0.9,
                because=["koala"],
                tags=[ScoredTag("koala", 0.951)],
            )
        ],
    ),
    "health": Health("ready", [STATE], RULES, "rules.toml: threshold = 2: must be a number from 0 to 1"),
    "problem": Problem("invalid_limit", "limit '0': say a number from 1 to 1000"),
}


def published(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((FOLDER / file_name(name)).read_text(encoding="utf-8"))
    return schema


def validate(name: str, value: object) -> None:
    Draft202012Validator(published(name)).validate(value)


def test_files_are_in_step_with_the_types(capsys: pytest.CaptureFixture[str]) -> None:
    """After a change to a type, `python -m schemas` must be run."""
    assert main(["--check"]) == 0, capsys.readouterr().err


def test_check_names_what_drifted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Missing, changed and left-over files are named, with the cure; writing mends all three."""
    folder = tmp_path / "json"
    assert main([], folder) == 0
    (folder / "health.schema.json").write_text("{}")
    (folder / "problem.schema.json").unlink()
    (folder / "gone.schema.json").write_text("{}")
    assert main(["--check"], folder) == 1
    message = capsys.readouterr().err
    assert "gone.schema.json, health.schema.json, problem.schema.json; run `python -m schemas`" in message
    assert main([], folder) == 0
    assert main(["--check"], folder) == 0
    assert {path.name for path in folder.iterdir()} == rendered().keys()


def test_check_before_anything_was_written(tmp_path: Path) -> None:
    """A missing folder is drift, not a crash."""
    assert main(["--check"], tmp_path / "json") == 1


def test_command() -> None:
    """It runs as a module, and refuses what it does not know."""
    run = subprocess.run(
        [sys.executable, "-m", "schemas", "--fix"],
        cwd=FOLDER.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert "usage: python -m schemas [--check | --release]" in run.stderr


@pytest.mark.parametrize("name", PUBLISHED)
def test_schemas_are_schemas(name: str) -> None:
    """Each file is valid, and has its own id, title and description; so has each field of the events."""
    schema = published(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == DIALECT
    assert schema["$id"] == f"urn:tagstream:schema:{name}:v1"
    assert schema["title"]
    assert "  " not in schema["description"]
    for field, rules in schema["properties"].items():
        assert "description" in rules or "$ref" in rules or "enum" in rules, field


@pytest.mark.parametrize("name", PUBLISHED)
def test_encoded_records_are_valid(name: str) -> None:
    """Records that use every field, and those that use only what they must, fit their schema."""
    whole = msgspec.json.decode(msgspec.json.encode(WHOLE[name]))
    assert whole.keys() == published(name)["properties"].keys()
    validate(name, whole)
    required = published(name)["required"]
    validate(name, {field: whole[field] for field in required})
    for field in required:
        with pytest.raises(ValidationError, match=f"'{field}' is a required property"):
            validate(name, {key: value for key, value in whole.items() if key != field})


def test_documented_examples() -> None:
    """The README's examples fit their schemas, and the upload event is read."""
    examples = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", README, re.DOTALL)]
    names = ("upload-event", "upload-event", "categorization", "tag-update")
    for name, example in zip(names, examples, strict=True):
        validate(name, example)
        assert msgspec.convert(example, PUBLISHED[name][1])
    for example in examples[:2]:
        value = json.dumps(example).encode()
        parse_upload(Record(topic="t", partition=0, offset=0, timestamp=NOW, key=None, value=value))


def test_documentation_names_every_schema() -> None:
    """The README links each file once."""
    assert re.findall(r"\(json/(.*?)\)", README) == list(rendered())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("public_id", "a\x00b"),
        ("public_id", "a\n"),
        ("public_id", "  "),
        ("public_id", "x" * 256),
        ("url", ""),
        ("type", "image.painted"),
        ("version", -1),
        ("tags", "sea"),
        ("tags", ["x"] * 1001),
        ("added", ["x" * 256]),
        ("by", ""),
        ("keep_edits", "no"),
        ("retag", "all"),
        ("auto_tagging", 1.5),
        ("auto_tagging", True),
        ("context", []),
        ("asset", {}),
        ("asset", {"asset_id": "K"}),
        ("asset", {"asset_id": "0" * 32, "resource_type": "film"}),
        ("asset", {"asset_id": "0" * 32, "context": {"a": 1}}),
        ("asset", {"asset_id": "0" * 32, "public_id": "\x00"}),
    ],
)
def test_schema_and_parser_refuse_the_same(field: str, value: object) -> None:
    """What the upload schema refuses, the parser refuses."""
    event = {"public_id": "koala", "url": "https://example.com/koala.jpg", field: value}
    with pytest.raises(ValidationError):
        validate("upload-event", event)
    with pytest.raises(BadEventError):
        parse_upload(
            Record(
                topic="t", partition=0, offset=0, timestamp=NOW, key=b"k", value=json.dumps(event).encode()
            )
        )


UPLOAD_VALIDATOR = Draft202012Validator(published("upload-event"))
scalars = st.none() | st.text() | st.integers() | st.floats(allow_nan=False) | st.lists(st.text(), max_size=2)


@given(st.dictionaries(st.sampled_from(UploadData.__struct_fields__), scalars))
def test_what_the_parser_accepts_is_valid(fields: dict[str, object]) -> None:
    """No event that is accepted breaks the published schema, but for digits in the place of numbers."""
    event = {"url": "https://example.com/koala.jpg", "type": str(UploadType.UPDATED)} | fields
    value = json.dumps(event).encode()
    try:
        parse_upload(Record(topic="t", partition=0, offset=0, timestamp=NOW, key=b"k", value=value))
    except BadEventError:
        return
    UPLOAD_VALIDATOR.validate(as_meant(value, UploadData))
