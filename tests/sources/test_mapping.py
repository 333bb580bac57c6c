"""The file of sources: what it may say, and how it says what is wrong."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.sources.mapping import SourcesFileError, parse_sources, read_sources
from schemas.sources.templates import KeyPattern, Template

GOOD = """
[topics."minio.events"]
source = "s3"
keys = "users/{user}/**"
user_id = "{user}"
tenant = "acme"
url = "http://127.0.0.1:9000/{bucket}/{key}"
auto_tagging = 0.4

[topics.rows]
source = "debezium"
public_id = "photo-{id}"
url = "{url}"
"""


def refused(text: str) -> str:
    with pytest.raises(SourcesFileError) as caught:
        parse_sources(text.encode(), Path("sources.toml"))
    return str(caught.value)


def test_a_file_says_how_each_topic_is_read() -> None:
    """Where it names no template, the source's own holds."""
    topics = parse_sources(b"\xef\xbb\xbf" + GOOD.encode(), Path("sources.toml")).topics
    assert list(topics) == ["minio.events", "rows"]
    templates = topics["minio.events"].templates()
    assert templates["public_id"].text == "{bucket}/{key}"
    assert templates["user_id"].text == "{user}"
    assert not topics["rows"].holds_events


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('source = "event-bridge"', "'event-bridge': is no source; did you mean eventbridge?"),
        ("", "source is missing; there are s3"),
        ('source = "s3"\nbucket = "x"', "bucket = 'x': is no setting of a source"),
        ('source = "s3"\ntenent = "x"', "did you mean tenant?"),
        ('source = "s3"\nauto_tagging = 4', "a number from 0 to 1 is wanted"),
        ('source = "s3"\nauto_tagging = "x"', "auto_tagging = 'x': Expected `float"),
        ('source = "s3"\nurl = "{bucket"', "a brace stands alone"),
        ('source = "s3"\nurl = "{a b}"', "'{a b}' names no value"),
        ('source = "s3"\nkeys = "a/*x*"', "one * or {name} has room between two slashes"),
        ('source = "s3"\nkeys = "**/a/**"', "one ** in all"),
        ('source = "s3"\nkeys = "{A}/b"', "'{A}' is no name"),
        ('source = "s3"\nkeys = "{a}/{a}"', "'{a}' is there twice"),
        ('source = "s3"\ntypes = {a = "upload"}', "source s3 has types of its own"),
        ('source = "json"\ntypes = {a = "remove"}', "choose of upload, update, delete, skip"),
        ('source = "json"\nkeys = "*"', "source json has no keys of objects"),
        ('source = "debezium"', 'say public_id = "{id}"'),
        ('source = "json"\nurl = "{a}"', "public_id is missing beside `url`"),
        ('source = "json"\ntombstones = "delete"', 'say public_id = "{key}"'),
        ('source = "json"\ntime_unit = "seconds"', "the unit of `uploaded_at`, which is missing"),
        ('source = "json"\ntime_unit = "hours"', "time_unit = 'hours': "),
        ("source = s3", "no TOML"),
    ],
)
def test_faults_name_the_value_the_rule_and_the_cure(line: str, said: str) -> None:
    """What cannot be meant is refused before a worker reads a topic by it."""
    message = refused(f"[topics.photos]\n{line}\n")
    assert message.startswith("sources.toml: ")
    assert said in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "topics: there are none"),
        ("a = 1", "only sections [topics"),
        ("topics = 1", "topics: there are none"),
        ("topics.x = 1", "must be a section"),
        ('[topics."a b"]\nsource = "s3"', "1 to 249 letters"),
        ("\n".join(f'[topics.t{n}]\nsource = "s3"' for n in range(101)), "at most 100"),
    ],
)
def test_a_file_without_topics_is_none(text: str, said: str) -> None:
    """A file has a section for each topic, at most 100."""
    assert said in refused(text)


def test_all_faults_are_told_at_once() -> None:
    """Whoever mends a file sees all that is wrong with it."""
    message = refused('[topics.a]\nsource = "s4"\n[topics.b]\nsource = "s3"\nurl = 7\n')
    assert message.count("sources.toml: ") == 2


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    """No such file; text in another encoding; a file of megabytes."""
    with pytest.raises(SourcesFileError, match="cannot be read"):
        read_sources(tmp_path / "none.toml")
    for raw, said in ((b"\xff", "no UTF-8"), (b" " * 1_048_577, "more than 1048576 bytes")):
        with pytest.raises(SourcesFileError, match=said):
            parse_sources(raw, Path("sources.toml"))


def test_templates() -> None:
    """Values stand in braces; in URLs they are escaped, unless a value is the whole URL."""
    values = {"bucket": "b", "key": "a b/c?d", "n": {"x": 7}, "u": "http://x/a%20b?c", "t": True}
    assert Template("{{{bucket}}}/{n.x}-{t}").expanded(values) == "{b}/7-true"
    assert Template("s3://{bucket}/{key}").expanded(values, escape=True) == "s3://b/a%20b/c%3Fd"
    assert Template("{u}").expanded(values, escape=True) == values["u"]
    assert Template("{bucket}/{none}").expanded(values) is None


def test_patterns_of_keys() -> None:
    """`*` and a name stay between slashes, `**` goes through them; all of the key must fit."""
    assert KeyPattern("users/{user}/**.jpg").match("users/u1/2026/a b.jpg") == {"user": "u1"}
    assert KeyPattern("**/{user}/*.jpg").match("a/b/c/d.jpg") == {"user": "c"}
    assert KeyPattern("*.jpg").match("a/b.jpg") is None
    assert KeyPattern("{a}").match("") is None


@given(st.text(alphabet="*{}ab/.", max_size=30), st.text(alphabet="ab/.\n", max_size=30))
def test_no_pattern_and_key_end_in_an_unhandled_error(pattern: str, key: str) -> None:
    """A pattern is refused with a reason, or matches or not."""
    with contextlib.suppress(ValueError):
        KeyPattern(pattern).match(key)
