"""Results: ids that repeat, and shapes that Cloudinary's consumers know."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from schemas.results import (
    CATEGORIZED,
    TAGS_CHANGED,
    AddOnResult,
    Categorization,
    Cause,
    ChangedResource,
    Info,
    ModelInfo,
    ReportedTag,
    TagUpdate,
    Timings,
    result_id,
)

visible = st.text(st.characters(exclude_categories=["C"], exclude_characters=","), min_size=1)
identities = st.tuples(visible, visible, visible, st.lists(visible, min_size=1), visible)


def test_result_ids_do_not_change() -> None:
    """Consumers keep ids: this one is from the first release."""
    first = result_id(CATEGORIZED, "shop", "e1", ["imagga_tagging"], "lite2/1")
    assert first == "2b1fd1e04136d673a05d727f0700d88d"
    assert first != result_id(TAGS_CHANGED, "shop", "e1", ["imagga_tagging"], "lite2/1")


@given(identities, identities)
def test_result_ids_tell_results_apart(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    """Ids are equal where all parts are, and only there; names hold neither commas nor control characters."""
    assert (result_id(*one) == result_id(*other)) == (one == other)


def test_categorization() -> None:
    """What is not known is left out."""
    result = Categorization(
        public_id="koala",
        uploaded_at="2026-01-31T12:00:00Z",
        bytes=896838,
        width=1920,
        height=1441,
        format="jpg",
        tags=["koala"],
        info=Info({"imagga_tagging": AddOnResult("complete", [ReportedTag("koala", 0.951)])}),
        model=ModelInfo("lite2", "1"),
        timings_ms=Timings(12.1, 3.9, 4.2, 25.0),
        user_id="u1",
    )
    assert msgspec.to_builtins(result) == {
        "public_id": "koala",
        "uploaded_at": "2026-01-31T12:00:00Z",
        "bytes": 896838,
        "width": 1920,
        "height": 1441,
        "format": "jpg",
        "tags": ["koala"],
        "info": {
            "categorization": {
                "imagga_tagging": {"status": "complete", "data": [{"tag": "koala", "confidence": 0.951}]}
            }
        },
        "model": {"name": "lite2", "version": "1"},
        "timings_ms": {"fetch": 12.1, "decode": 3.9, "inference": 4.2, "total": 25.0},
        "user_id": "u1",
    }


def test_tag_update() -> None:
    """Every field is written, also where it holds its default."""
    update = TagUpdate(
        resources=[ChangedResource(public_id="koala", added=["koala"], removed=[], updated=[])],
        tags=["koala"],
        cause=Cause("shop", "e1", "image.uploaded"),
    )
    assert msgspec.to_builtins(update) == {
        "notification_type": "resource_tags_changed",
        "resources": [
            {
                "public_id": "koala",
                "resource_type": "image",
                "type": "upload",
                "added": ["koala"],
                "removed": [],
                "updated": [],
            }
        ],
        "tags": ["koala"],
        "cause": {"source": "shop", "id": "e1", "type": "image.uploaded"},
    }
