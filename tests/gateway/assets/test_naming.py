"""Names that the gateway gives."""

import re

import pytest

from streams.gateway.assets.naming import (
    FileName,
    asset_id_of,
    event_id_of,
    object_key,
    public_id_of_file,
    random_public_id,
)
from streams.gateway.delivery import Part, read_part


def test_a_call_that_is_sent_again_has_the_same_names() -> None:
    """Event, asset and public id come from the call alone; parts are told apart from each other."""
    one, two = (event_id_of("upload", "demo", "key", "signature", "digest", None) for _ in range(2))
    assert one == two
    assert asset_id_of(one) == asset_id_of(two)
    assert random_public_id(one) == random_public_id(two)
    assert event_id_of("a", "bc") != event_id_of("ab", "c")
    assert len({one, asset_id_of(one), random_public_id(one)}) == 3


def test_names_are_of_the_vendors_form() -> None:
    """20 letters and digits; 32 hexadecimal digits; a new object has a new key."""
    assert re.fullmatch("[a-z0-9]{20}", random_public_id("e"))
    assert re.fullmatch("[0-9a-f]{32}", asset_id_of("e"))
    assert re.fullmatch(r"demo/\d{4}/\d\d/\d\d/[0-9a-f]{32}", object_key("demo"))
    assert object_key("demo") != object_key("demo")


@pytest.mark.parametrize(
    ("name", "stem", "extension"),
    [
        ("koala.JPG", "koala", "jpg"),
        ("a.tar.gz", "a.tar", "gz"),
        ("koala", "koala", ""),
        (".profile", ".profile", ""),
        ("C:\\photos\\koala.jpg", "koala", "jpg"),
        ("a/b.c/d", "d", ""),
        ("x." + "y" * 30, "x." + "y" * 30, ""),
    ],
)
def test_file_names(name: str, stem: str, extension: str) -> None:
    """What follows the last dot is the extension, unless nothing is before it."""
    assert FileName.of(name) == (stem, extension)


@pytest.mark.parametrize(
    ("stem", "public_id"),
    [("my photo", "my_photo"), ("a?b&c#d", "a_b_c_d"), ("größe", "größe"), ("///", "file"), ("", "file")],
)
def test_public_ids_of_files(stem: str, public_id: str) -> None:
    """What no public id may hold becomes an underscore; some letters make it unique."""
    assert public_id_of_file(stem, "e", unique=False) == public_id
    assert re.fullmatch(re.escape(public_id) + "_[a-z0-9]{6}", public_id_of_file(stem, "e", unique=True))


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-9", Part(0, 10)),
        ("bytes=90-", Part(90, 100)),
        ("bytes=-10", Part(90, 100)),
        ("bytes=-1000", Part(0, 100)),
        ("bytes=50-1000", Part(50, 100)),
        ("bytes=0-0,5-6", Part(0, 100)),
        ("bytes=-", Part(0, 100)),
        ("lines=1-2", Part(0, 100)),
        ("bytes=100-", None),
        ("bytes=9-3", None),
        ("bytes=-0", None),
    ],
)
def test_ranges_of_what_is_served(header: str, part: Part | None) -> None:
    """One range is served; what is not understood is answered with the whole, as RFC 9110 allows."""
    assert read_part(header, 100) == part
