"""What counting keeps is bounded, whatever tags come."""

import orjson
from support.fakes import apply, done, upload

from schemas.topics import MAX_RECORD_BYTES
from schemas.uploads import UploadType
from streams.fold.counts import MAX_TAGS_OF_A_DAY
from streams.state.partition import PartitionState


def interests(state: PartitionState) -> bytes:
    (row,) = state.rows["interests"].values()
    return row


def test_a_users_day_fits_a_record() -> None:
    """The longest tags, in images without end; what is there goes on counting, and all can be undone."""
    state = PartitionState(0)
    widest = "\U0001f43e" * 251  # four bytes each
    images = 2 * MAX_TAGS_OF_A_DAY // 200
    for image in range(images):
        tags = {f"{widest}{number:04}": 0.9 for number in range(image * 200, (image + 1) * 200)}
        apply(state, done(image, upload(f"i{image}", str(image), user_id="u"), **tags))
    assert len(interests(state)) < MAX_RECORD_BYTES
    counted = orjson.loads(interests(state))["t"]
    assert len(counted) == MAX_TAGS_OF_A_DAY
    apply(state, done(images, upload("more", "more", user_id="u"), **{f"{widest}0000": 0.9, "new": 0.9}))
    assert orjson.loads(interests(state))["t"] == counted | {f"{widest}0000": 2}
    for offset, name in enumerate([*(f"i{number}" for number in range(images)), "more"], images + 1):
        apply(state, done(offset, upload(name, f"no {name}", at=3_600_001, kind=UploadType.DELETED)))
    assert not state.rows["interests"]
