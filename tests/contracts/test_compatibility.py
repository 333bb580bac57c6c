"""What a release may change: a breaking change fails by rule, field and cure."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import schemas.__main__ as command
from schemas.contracts.compatibility import breaks, present_schemas, read_releases
from schemas.contracts.differences import BACKWARD, FORWARD, Difference, differences
from schemas.json_schemas import PUBLISHED

OLD: dict[str, Any] = {
    "type": "object",
    "required": ["id", "parts"],
    "properties": {
        "id": {"type": "string", "maxLength": 8},
        "kind": {"enum": ["a", "b"]},
        "size": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/Part"}},
        "names": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "$defs": {
        "Part": {
            "type": "object",
            "required": ["id"],
            "properties": {"id": {"type": "string"}, "inner": {"$ref": "#/$defs/Part"}},
        }
    },
}


def changed(change: Callable[[dict[str, Any]], object]) -> list[Difference]:
    """What is found where this is done to `OLD`."""
    new = copy.deepcopy(OLD)
    change(new)
    return [*differences(OLD, new)]


def fields(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schema["properties"]
    return found


NUMBER = {"type": "integer"}
TEXT_OR_NUMBER = {"anyOf": [OLD["properties"]["id"], NUMBER]}
NUMBERS = {"type": "object", "additionalProperties": NUMBER}
CHANGES: list[tuple[str, str, str, Callable[[dict[str, Any]], object]]] = [
    ("field removed", "kind", FORWARD, lambda new: fields(new).pop("kind")),
    ("required field became optional", "id", FORWARD, lambda new: new["required"].remove("id")),
    ("required field added", "kind", BACKWARD, lambda new: new["required"].append("kind")),
    ("type added", "id", FORWARD, lambda new: fields(new).update(id=TEXT_OR_NUMBER)),
    ("type removed", "size", BACKWARD, lambda new: fields(new)["size"]["anyOf"].pop()),
    ("value added", "kind", FORWARD, lambda new: fields(new)["kind"]["enum"].append("c")),
    ("value removed", "kind", BACKWARD, lambda new: fields(new)["kind"]["enum"].pop()),
    ("bound narrowed", "id", BACKWARD, lambda new: fields(new)["id"].update(maxLength=7)),
    ("bound widened", "id", FORWARD, lambda new: fields(new)["id"].update(maxLength=9)),
    ("bound narrowed", "size", BACKWARD, lambda new: fields(new)["size"]["anyOf"][0].update(minimum=1)),
    ("bound narrowed", "id", BACKWARD, lambda new: fields(new)["id"].update(pattern="^x")),
    ("bound widened", "id", FORWARD, lambda new: fields(new)["id"].pop("maxLength")),
    ("type removed", "parts[].id", BACKWARD, lambda new: fields(new["$defs"]["Part"]).update(id=NUMBER)),
    ("type removed", "names{}", BACKWARD, lambda new: fields(new).update(names=NUMBERS)),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "field", "whom", "change"), CHANGES)
def test_each_break_is_found(
    rule: str, field: str, whom: str, change: Callable[[dict[str, Any]], object]
) -> None:
    """With its rule, its field, whom it breaks, and a cure."""
    found = changed(change)
    assert (rule, field, whom) in [(each.rule, each.field, each.breaks) for each in found]
    assert all(each.cure for each in found)


@pytest.mark.parametrize(
    "change",
    [
        lambda new: fields(new).update(later={"type": "string"}),
        lambda new: fields(new["$defs"]["Part"]).update(later={"$ref": "#/$defs/Part"}),
        lambda new: new.update(description="Other words."),
        lambda new: fields(new)["size"]["anyOf"].reverse(),
        lambda new: fields(new)["kind"]["enum"].reverse(),
    ],
)
def test_an_optional_field_or_other_words_break_nobody(change: Callable[[dict[str, Any]], object]) -> None:
    """Objects are open: who does not know a field ignores it."""
    assert changed(change) == []


def test_another_type_breaks_both_sides() -> None:
    """Neither reads what the other writes."""
    found = changed(lambda new: fields(new).update(id={"type": "integer"}))
    assert {(each.rule, each.breaks) for each in found} == {
        ("type added", FORWARD),
        ("type removed", BACKWARD),
    }


def test_this_code_keeps_what_every_release_promised() -> None:
    """`make check` runs the same."""
    releases = read_releases(command.FOLDER.parent / command.RELEASED)
    assert releases
    assert [str(each) for each in breaks(releases, present_schemas())] == []


def test_a_field_that_is_gone_must_not_come_back_as_something_else() -> None:
    """All releases count, not only the last one."""
    now = present_schemas()
    first, second = copy.deepcopy(now), copy.deepcopy(now)
    first["tag-update"]["properties"]["later"] = {"type": "integer"}
    now["tag-update"]["properties"]["later"] = {"type": "string"}
    assert [*breaks({"2": second}, now)] == []
    told = [str(each) for each in breaks({"1": first, "2": second}, now)]
    assert len(told) == 2
    assert all(line.startswith("tag-update: later: type ") and "since 1" in line for line in told)


def test_answers_may_say_more() -> None:
    """Nobody reads an old answer by a new schema; a new answer is read by those who know an old one."""
    now, released = present_schemas(), present_schemas()
    now["top-tags"]["properties"]["more"] = {"type": "string"}
    now["top-tags"]["required"].append("more")
    assert [*breaks({"1": released}, now)] == []
    now["top-tags"]["properties"].pop("tags")
    (told,) = map(str, breaks({"1": released}, now))
    assert told.startswith("top-tags: tags: field removed since 1")
    assert "FORWARD_TRANSITIVE" in told


def test_a_schema_stays() -> None:
    """One that is gone is told by its name."""
    released, now = present_schemas(), present_schemas()
    now.pop("categorization")
    (told,) = map(str, breaks({"1": released}, now))
    assert told == "categorization: schema removed, it is in release 1; leave it in PUBLISHED"


def test_make_check_fails_where_a_field_breaks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the schema, the field, the rule, whom it breaks and the cure."""
    folder = tmp_path / "json"
    assert command.main([], folder) == 0
    assert command.main(["--release"], folder) == 0
    assert command.main(["--check"], folder) == 0
    (release,) = (tmp_path / command.RELEASED).iterdir()
    released = json.loads(release.read_bytes())
    released["categorization"]["properties"]["width"]["type"] = "string"
    release.write_text(json.dumps(released))
    capsys.readouterr()
    assert command.main(["--check"], folder) == 1
    added, removed = sorted(capsys.readouterr().err.splitlines())
    assert added.startswith("categorization: width: type added since ")
    assert "not forward compatible, and FULL_TRANSITIVE is the rule" in added
    assert added.endswith("; add an optional field of the new type beside it")
    assert "not backward compatible" in removed
    make = (command.FOLDER.parents[1] / "Makefile").read_text("utf-8")
    assert "python -m schemas --check" in make[make.index("\ncheck:") : make.index("\nlock:")]


def test_releases_have_all_schemas(tmp_path: Path) -> None:
    """What is kept of a release is what `PUBLISHED` has."""
    assert command.main(["--release"], tmp_path / "json") == 0
    (release,) = read_releases(tmp_path / command.RELEASED).values()
    assert release.keys() == PUBLISHED.keys()
