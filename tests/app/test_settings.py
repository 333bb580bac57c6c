"""Settings: read once from a mapping, and refused with a message that helps."""

import dataclasses
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

from schemas.errors import SettingsError
from streams.app.settings import Settings, variable
from streams.cli.worker import worker

NAMES = [item.name for item in fields(Settings)]
NUMBERS = [item.name for item in fields(Settings) if type(item.default) in {int, float}]


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
            "TAGSTREAM_QUERIES": "no",
        }
    )
    assert (settings.partitions, settings.fetch_timeout) == (12, 2.5)
    assert settings.data_dir == Path("/var/lib/tagstream")
    assert settings.auto_tagging == 0.4
    assert settings.queries is False


@pytest.mark.parametrize("text", ["1", "true", "TRUE", "yes", "on"])
def test_ways_to_say_true(text: str) -> None:
    """What people write for true is true."""
    assert Settings.from_mapping({"TAGSTREAM_QUERIES": text}).queries is True


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
    "TAGSTREAM_AUTO_TAGGING": ("1.5", "must lie between 0 and 1"),
    "TAGSTREAM_TAGGER": ("magic", "must be onnx or stub"),
    "TAGSTREAM_ADD_ONS": ("imagga_tagging,people=/models/mine", "names .people., which stands for"),
    "TAGSTREAM_QUERIES": ("perhaps", "say true or false"),
    "TAGSTREAM_CATEGORIZATION": ("nobody", "offered: tagstream, imagga_tagging"),
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


@pytest.mark.parametrize(
    ("names", "fault"), [("imagga_tagging,scenes", "'scenes' is no add-on"), (" , ", "names no add-on")]
)
def test_default_add_ons_are_offered(names: str, fault: str) -> None:
    """The message says which are."""
    with pytest.raises(SettingsError, match=f"{fault}; offered: tagstream, imagga_tagging, scene_tagging"):
        Settings.from_mapping({"TAGSTREAM_CATEGORIZATION": names})
