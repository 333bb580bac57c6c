"""The perceptual hash and the embedding of an image's bytes, in its row and in the result."""

import dataclasses

import orjson
import pytest
from support.fakes import NAMES, record, tagged, upload

from schemas.uploads import UploadType
from streams.fold.images import deleted_row, rederived_row, retagged_row, stored_row, uploaded_row
from streams.fold.outcomes import Rederived
from streams.fold.outputs import categorization_output
from streams.fold.precedence.standing import state_of
from streams.fold.rules.applying import Rules

HASH, OTHER = "d5956d148752d4cb", "00000000000000ff"
SEEN = dataclasses.replace(tagged(upload(auto_tagging=0.5), koala=0.9), phash=HASH)
ROW = uploaded_row(None, SEEN, 0)


def test_it_is_in_the_row_and_in_the_result() -> None:
    """As it was found; an image without one, or of an earlier version, has no such field."""
    assert ROW["phash"] == HASH
    result = categorization_output(SEEN, ROW, record({}), NAMES)
    assert orjson.loads(result.value or b"")["phash"] == HASH
    plain = dataclasses.replace(SEEN, phash=None)
    row = uploaded_row(ROW, plain, 1)
    assert "phash" not in row
    assert "phash" not in orjson.loads(categorization_output(plain, row, record({}), NAMES).value or b"")


def test_it_is_that_of_the_present_bytes() -> None:
    """New bytes have a hash of their own, rules have no say, and a deleted image has none."""
    assert uploaded_row(ROW, dataclasses.replace(SEEN, phash=OTHER), 1)["phash"] == OTHER
    assert rederived_row(ROW, Rederived(upload(), Rules()), 1)["phash"] == HASH
    again = dataclasses.replace(SEEN, phash=OTHER)
    assert retagged_row(ROW, again, 1)["phash"] == OTHER
    assert "phash" not in retagged_row(ROW, dataclasses.replace(SEEN, phash=None), 1)
    update = upload(kind=UploadType.UPDATED)
    assert stored_row(ROW, update, 1)["phash"] == HASH
    assert "phash" not in stored_row(ROW | {"url": "http://h/other.jpg"}, update, 1)
    assert "phash" not in deleted_row(ROW, upload(kind=UploadType.DELETED), 1)


def test_it_comes_back_with_the_state() -> None:
    """What an event with a version has covered has its hash still."""
    assert state_of(ROW)["phash"] == HASH


def test_a_thumbnail_is_that_of_the_present_bytes() -> None:
    """It comes and goes as the hash does: rules leave it, new bytes and a deletion do not."""
    seen = dataclasses.replace(SEEN, thumb="a" * 32)
    row = uploaded_row(None, seen, 0)
    assert row["thumb"] == "a" * 32
    assert rederived_row(row, Rederived(upload(), Rules()), 1)["thumb"] == "a" * 32
    assert stored_row(row, upload(kind=UploadType.UPDATED), 1)["thumb"] == "a" * 32
    assert "thumb" not in uploaded_row(row, SEEN, 1)
    assert "thumb" not in retagged_row(row, SEEN, 1)
    assert "thumb" not in deleted_row(row, upload(kind=UploadType.DELETED), 1)
    assert "thumb" not in ROW


@pytest.mark.parametrize("name", ["phash", "embedding"])
def test_both_follow_the_bytes_alike(name: str) -> None:
    """In row and result while the bytes are the same ones, and no longer."""
    seen = dataclasses.replace(SEEN, **{"phash": None, name: HASH})
    row = uploaded_row(None, seen, 0)
    update = upload(kind=UploadType.UPDATED)
    again = [row, rederived_row(row, Rederived(upload(), Rules()), 1), retagged_row(row, seen, 1)]
    assert [each[name] for each in (*again, stored_row(row, update, 1), state_of(row))] == [HASH] * 5
    assert orjson.loads(categorization_output(seen, row, record({}), NAMES).value or b"")[name] == HASH
    plain = dataclasses.replace(SEEN, phash=None)
    others = [uploaded_row(row, plain, 1), retagged_row(row, plain, 1), deleted_row(row, update, 1)]
    assert not any(name in each for each in (*others, stored_row(row | {"url": "http://h/2.jpg"}, update, 1)))
