"""Settings: read once from a mapping, and refused with a message that helps."""

import dataclasses
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

from schemas.errors import SettingsError
from streams.app.roles import Role
from streams.app.settings import Settings, variable
from streams.cli.worker import worker

NAMES = [item.name for item in fields(Settings)]
OPTIONAL = {"metrics_port"}  # a number, or none
NUMBERS = [
    item.name for item in fields(Settings) if type(item.default) in {int, float} and item.name not in OPTIONAL
]


def test_an_empty_mapping_gives_the_defaults() -> None:
    """Nothing has to be set, and what is not a setting of ours is none of our business."""
    assert Settings.from_mapping({}) == Settings()
    assert Settings.from_mapping({"PATH": "/bin", "KAFKA_BOOTSTRAP_SERVERS": "x:1"}) == Settings()


def test_values_are_read_as_their_types() -> None:
    """Variables are text; settings are numbers, paths and truths."""
    settings = Settings.from_mapping(
        {
            "TAGSTREAM_PARTITIONS": "12",
            "TAGSTREAM_FETCH_TIMEOUT": "2.5",
            "TAGSTREAM_DATA_DIR": "/var/lib/tagstream",
            "TAGSTREAM_AUTO_TAGGING": "0.4",
            "TAGSTREAM_OPEN_API": "no",
        }
    )
    assert (settings.partitions, settings.fetch_timeout) == (12, 2.5)
    assert settings.data_dir == Path("/var/lib/tagstream")
    assert settings.auto_tagging == 0.4
    assert settings.open_api is False


@pytest.mark.parametrize("text", ["1", "true", "TRUE", "yes", "on"])
def test_ways_to_say_true(text: str) -> None:
    """What people write for true is true."""
    assert Settings.from_mapping({"TAGSTREAM_OPEN_API": text}).open_api is True


@pytest.mark.parametrize(
    ("text", "does"), [("tag", (True, False)), ("query", (False, True)), (" query, tag,", (True, True))]
)
def test_a_process_has_the_roles_that_are_named(text: str, does: tuple[bool, bool]) -> None:
    """In any order; where none is named, a process tags and answers, and does no more."""
    settings = Settings.from_mapping({"TAGSTREAM_ROLES": text})
    assert (settings.tags, settings.answers) == does
    assert Settings().chosen_roles == {Role.TAG, Role.QUERY}
    with pytest.raises(SettingsError, match="names no role"):
        Settings(roles=",")


def test_an_empty_value_unsets_an_optional_setting() -> None:
    """Compose files and shells cannot unset a variable, so empty means none."""
    assert Settings.from_mapping({"TAGSTREAM_AUTO_TAGGING": ""}).auto_tagging is None


def test_overrides_win_where_they_are_given() -> None:
    """A flag beats its variable; an absent flag does not."""
    mapping = {"TAGSTREAM_WEB_PORT": "1", "TAGSTREAM_PARTITIONS": "7"}
    settings = Settings.from_mapping(mapping, web_port=2, partitions=None)
    assert (settings.web_port, settings.partitions) == (2, 7)


def test_settings_do_not_change() -> None:
    """What a worker was started with is what it runs with."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().partitions = 8  # type: ignore[misc]


@pytest.mark.parametrize(("text", "tells"), [("", False), ("-1", False), ("0", True), ("9646", True)])
def test_metrics_can_be_switched_off(text: str, tells: bool) -> None:  # noqa: FBT001 - a case
    """Empty for those who set variables, -1 for those who set flags; 0 is any free port."""
    assert Settings.from_mapping({"TAGSTREAM_METRICS_PORT": text}).tells_metrics is tells
    with pytest.raises(SettingsError, match="TAGSTREAM_METRICS_PORT"):
        Settings.from_mapping({"TAGSTREAM_METRICS_PORT": "-2"})


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("text", ["many", "", "-1"])
def test_a_number_that_is_none_is_refused(name: str, text: str) -> None:
    """The message names the variable and the value."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_mapping({variable(name): text})
    assert str(caught.value).startswith(f"{variable(name)}=")
    assert text in str(caught.value)


BAD = {
    "TAGSTREAM_PARTITIONS": ("0", "must be at least 1"),
    "TAGSTREAM_UPLOADS_TOPICS": ("web,image.tag-updates", "topic image.tag-updates is written by workers"),
    "TAGSTREAM_AUTO_TAGGING": ("1.5", "must lie between 0 and 1"),
    "TAGSTREAM_FORMATS": ("jpg, psd", "names 'psd', which is no format that is decoded; choose of jpg, png"),
    "TAGSTREAM_TAGGER": ("magic", "must be onnx or stub"),
    "TAGSTREAM_OPEN_API": ("perhaps", "say true or false"),
    "TAGSTREAM_ROLES": ("tag,cook", "knows no role 'cook'; name one or more of tag,query"),
    "TAGSTREAM_STREAMS": ("image.tags,tags", "names 'tags', which is no stream; choose of image.tags, tag.c"),
    "TAGSTREAM_TRENDS_WINDOW": ("7d", "must be 1h or 24h"),
    "TAGSTREAM_QUERIES": ("false", "there is no such setting any more; say TAGSTREAM_ROLES=tag"),
    "TAGSTREAM_CATEGORIZATION": ("nobody", "offered: tagstream, imagga_tagging"),
    "TAGSTREAM_PARTS": ("classifier,faces", "names 'faces', which is no part; choose of classifier, objects"),
    "TAGSTREAM_SCHEMA_REGISTRY": ("registry:8081", "must be a URL such as http://registry:8081"),
    "TAGSTREAM_KEEP_MINUTES": ("0.1", "must be at least 0.125: the window 1h and the one before it are"),
    "TAGSTREAM_KEEP_HOURS": ("13.9", "must be at least 14: the window 7d and the one before it are"),
    "TAGSTREAM_KEEP_DAYS": ("59", "must be at least 60: the window 30d and the one before it are"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_value_is_refused_with_its_rule(name: str) -> None:
    """The message names the variable, the value, and the rule, which says what to write instead."""
    text, rule = BAD[name]
    with pytest.raises(SettingsError, match=rule) as caught:
        Settings.from_mapping({name: text})
    assert name in str(caught.value)
    assert text in str(caught.value)


def test_trends_are_told_by_counts() -> None:
    """The role needs the stream, and the message names both and the cure."""
    with pytest.raises(
        SettingsError, match=r"'tag,trends' with TAGSTREAM_STREAMS='image.tags'.*add tag.counts"
    ):
        Settings.from_mapping({"TAGSTREAM_ROLES": "tag,trends", "TAGSTREAM_STREAMS": "image.tags"})
    chosen = {"TAGSTREAM_ROLES": "trends", "TAGSTREAM_STREAMS": "tag.counts"}
    assert Settings.from_mapping(chosen).judges_trends


@pytest.mark.parametrize("url", ["ftp://a", "http://", "http://a:x", "http://ann:secret@a"])
def test_a_registry_has_a_url_without_a_password(url: str) -> None:
    """Secrets come by variables of their own: settings are shown."""
    with pytest.raises(SettingsError, match=r"TAGSTREAM_SCHEMA_REGISTRY=.* must "):
        Settings.from_mapping({"TAGSTREAM_SCHEMA_REGISTRY": url})
    assert Settings.from_mapping({"TAGSTREAM_SCHEMA_REGISTRY": "https://a:8081/x"}).schema_registry


def test_the_parts_of_the_default_add_on() -> None:
    """All by default; the classifier is always among them."""
    assert Settings.from_mapping({}).chosen_parts == {"classifier", "objects", "scenes"}
    assert Settings.from_mapping({"TAGSTREAM_PARTS": "scenes, classifier"}).chosen_parts == {
        "classifier",
        "scenes",
    }
    for parts in ("objects,scenes", ""):
        with pytest.raises(SettingsError, match=r"TAGSTREAM_PARTS=.* lacks 'classifier', .*; add it"):
            Settings.from_mapping({"TAGSTREAM_PARTS": parts})


def test_add_ons_name_their_models() -> None:
    """NAME is the model that comes along, NAME=FOLDER one's own; blanks do not matter."""
    settings = Settings.from_mapping({"TAGSTREAM_ADD_ONS": " mine=/models/mine , imagga_tagging,"})
    assert settings.model_folders == {"mine": Path("/models/mine"), "imagga_tagging": None}


def test_a_worker_has_a_name_of_its_own() -> None:
    """Workers of one machine differ by their port, so each is a static member of the group."""
    names = {
        Settings().group_instance_id,
        Settings(web_port=6067).group_instance_id,
        Settings(instance_id="a").group_instance_id,
    }
    assert len(names) == 3
    assert "a" in names


def test_the_worker_has_a_flag_for_each_setting() -> None:
    """No setting without a flag, no flag without a setting but --broker and --help."""
    context = click.Context(worker)
    flags = {flag for option in worker.get_params(context) for flag in option.opts}
    assert flags - {"--broker", "--help", "-h"} == {f"--{name.replace('_', '-')}" for name in NAMES}


@pytest.mark.parametrize("item", fields(Settings), ids=NAMES)
def test_the_help_of_a_flag_tells_its_variable_and_default(item: dataclasses.Field[Any]) -> None:
    """`tagstream worker --help` is the reference: a sentence, the variable, the default."""
    text = re.sub(r"\s+", " ", worker.get_help(click.Context(worker, max_content_width=10_000)))
    default = "empty" if item.default in {"", None} else item.default
    assert f"{item.metadata['help']} [{variable(item.name)}; default: {default}]" in text
    assert item.metadata["help"].endswith(".")


def test_several_add_ons_by_default() -> None:
    """`TAGSTREAM_CATEGORIZATION` may name several of those that are offered, each once."""
    names = "scene_tagging, imagga_tagging,scene_tagging"
    settings = Settings.from_mapping({"TAGSTREAM_CATEGORIZATION": names})
    assert settings.default_add_ons == ("scene_tagging", "imagga_tagging")


NEEDS = "does not offer 'imagga_tagging', which runs where an event names no add-on; add it, or say in"
ALL = "offered: tagstream, imagga_tagging, object_tagging, scene_tagging"
HERE = "or offer it in TAGSTREAM_ADD_ONS"


@pytest.mark.parametrize(
    ("offer", "rule"),
    [
        ("", "names no add-on; say NAME or NAME=FOLDER, several separated by commas"),
        (" , ", "names no add-on; say NAME or NAME=FOLDER, several separated by commas"),
        ("imagga_tagging,=/models/mine", "has '=/models/mine'; say NAME=FOLDER, or NAME alone"),
        ("imagga_tagging,mine=", "has 'mine='; say NAME=FOLDER, or NAME alone for the model that"),
        ("imagga_tagging,people=/models/mine", "names 'people', which stands for tags that no add-on gave"),
        ("imagga_tagging,a=/x,a=/y", "names 'a' twice, with different models; choose another name for one"),
        ("a,imagga_tagging,a=/y", "names 'a' twice, with different models"),
        ("mine=/m", f"{NEEDS} TAGSTREAM_CATEGORIZATION which is to run instead: mine"),
        ("imaga_tagging,x", f"{NEEDS} TAGSTREAM_CATEGORIZATION which is to run instead: imaga_tagging, x"),
    ],
)
def test_an_offer_that_cannot_be_is_blamed_itself(offer: str, rule: str) -> None:
    """The message names what the operator set, and never that a default of something else is wrong."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_mapping({"TAGSTREAM_ADD_ONS": offer})
    assert str(caught.value).startswith(f"TAGSTREAM_ADD_ONS={offer!r} {rule}")


@pytest.mark.parametrize(
    ("offer", "choice", "message"),
    [
        (None, "imagga_tagging,scenes", f"'scenes' is no add-on; {ALL}; choose of these, {HERE}"),
        (None, " , ", f"names no add-on; {ALL}; choose of these"),
        (None, "", f"names no add-on; {ALL}; choose of these"),
        (
            "a=/m,b",
            "c",
            f"'c' is no add-on; offered: a, b by TAGSTREAM_ADD_ONS='a=/m,b'; choose of these, {HERE}",
        ),
        ("mine=/m", "", "names no add-on; offered: mine by TAGSTREAM_ADD_ONS='mine=/m'; choose of these"),
    ],
)
def test_a_choice_that_is_not_offered_is_blamed_itself(offer: str | None, choice: str, message: str) -> None:
    """The message says which are offered, and by whom where that is not the default."""
    mapping = {"TAGSTREAM_CATEGORIZATION": choice} | ({"TAGSTREAM_ADD_ONS": offer} if offer else {})
    with pytest.raises(SettingsError) as caught:
        Settings.from_mapping(mapping)
    assert str(caught.value) == f"TAGSTREAM_CATEGORIZATION={choice!r}: {message}"


@pytest.mark.parametrize(
    ("offer", "choice", "chosen"),
    [
        ("mine=/m", "mine", ("mine",)),
        ("mine=/m,mine=/m", "mine", ("mine",)),
        ("a,imagga_tagging", None, ("imagga_tagging",)),
    ],
)
def test_an_offer_and_a_choice_of_it(offer: str, choice: str | None, chosen: tuple[str, ...]) -> None:
    """Neither has to have anything to do with the defaults."""
    mapping = {"TAGSTREAM_ADD_ONS": offer} | ({"TAGSTREAM_CATEGORIZATION": choice} if choice else {})
    assert Settings.from_mapping(mapping).default_add_ons == chosen


IMAGE, FLIGHT = "TAGSTREAM_MAX_IMAGE_BYTES", "TAGSTREAM_MAX_BYTES_IN_FLIGHT"
MINUTES, HOURS = "TAGSTREAM_KEEP_MINUTES", "TAGSTREAM_KEEP_HOURS"


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ({IMAGE: "100000000"}, (f"{IMAGE}=100000000 with {FLIGHT}=128000000", "the second to 200000000")),
        ({FLIGHT: "10"}, (f"{IMAGE}=30000000 with {FLIGHT}=10:", "raise the second to 60000000")),
        ({MINUTES: "40"}, (f"{MINUTES}=40.0, {HOURS}=31.0, ", "raise the later ones, or lower the first")),
    ],
)
def test_settings_that_do_not_fit_together_are_all_named(
    given: dict[str, str], parts: tuple[str, ...]
) -> None:
    """Whichever was set: each with its value, and the cure for either."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_mapping(given)
    for part in parts:
        assert part in str(caught.value)


def test_a_fault_of_a_profile_is_told_with_its_file(tmp_path: Path) -> None:
    """Nobody looks for it in an environment that does not have it; the environment's own are told as ever."""
    profile = tmp_path / "machine.env"
    profile.write_text("TAGSTREAM_THREADS=-1\nTAGSTREAM_MAX_BATCH=4\n")
    with pytest.raises(SettingsError) as caught:
        Settings.from_mapping({"TAGSTREAM_PROFILE": str(profile)})
    said = f"TAGSTREAM_THREADS=-1 must be at least 0 (TAGSTREAM_THREADS: said in {profile})"
    assert str(caught.value) == said
    with pytest.raises(SettingsError) as caught:
        Settings.from_mapping({"TAGSTREAM_PROFILE": str(profile), "TAGSTREAM_THREADS": "-2"})
    assert str(caught.value) == "TAGSTREAM_THREADS=-2 must be at least 0"
