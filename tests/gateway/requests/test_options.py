import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.gateway.requests.credentials import Preset
from streams.gateway.requests.fields import Fields
from streams.gateway.requests.options import UploadOptions, read_options
from streams.gateway.requests.parameters import ADMIN, REFUSALS, UPLOAD, Fate
from streams.gateway.requests.problems import BadCallError
from streams.gateway.requests.signature import string_to_sign

ADD_ONS = ("imagga_tagging", "google_tagging")


def read(
    preset: Preset | None = None, *, signed: bool = True, update: bool = False, **given: str
) -> UploadOptions:
    """Options of fields."""
    fields = Fields.of_pairs((name.removesuffix("_"), text) for name, text in given.items())
    return read_options(fields, ADD_ONS, preset=preset, signed=signed, update=update)


def test_an_upload_that_asks_for_nothing() -> None:
    """It overwrites, and nothing is looked at."""
    assert read() == UploadOptions()
    assert read(notification_url="", moderation="", tags_="", context="", public_id="") == UploadOptions()
    assert read_options(Fields.of_json(b'{"tags":[],"context":{}}'), ADD_ONS, update=True) == UploadOptions(
        tags=[], context={}
    )


def test_an_upload_that_asks_for_much() -> None:
    """Each option is typed."""
    options = read(
        public_id="x & y",
        folder="/fo/ba/",
        asset_folder="af",
        tags="a, käfer,,a,c d",
        context=r"k=v\=1\|2|alt=ein = b",
        use_filename="1",
        unique_filename="false",
        overwrite="0",
        allowed_formats="PNG,.jpg",
        categorization="imagga_tagging, google_tagging",
        auto_tagging="0.0",
        async_="true",
        notification_url="http://h/n?a=1&b=2",
        filename_override="k.jpg",
        display_name="K",
        type_="private",
    )
    assert options == UploadOptions(
        type="private",
        public_id="fo/ba/x & y",
        prefix="fo/ba/",
        asset_folder="af",
        display_name="K",
        use_filename=True,
        unique_filename=False,
        overwrite=False,
        tags=["a", "käfer", "c d"],
        context={"k": "v=1|2", "alt": "ein = b"},
        allowed_formats=frozenset({"png", "jpg"}),
        categorization=("imagga_tagging", "google_tagging"),
        auto_tagging=0.0,
        is_async=True,
        notification_url="http://h/n?a=1&b=2",
        filename_override="k.jpg",
    )


@pytest.mark.parametrize(
    ("text", "threshold"), [("0", 0.0), ("0.0", 0.0), ("0.4", 0.4), ("1", 1.0), ("", None)]
)
def test_auto_tagging(text: str, threshold: float | None) -> None:
    """0 is a threshold, and means all; only an absent one means none."""
    assert read(auto_tagging=text).auto_tagging == threshold


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"auto_tagging": "1.1"}, "Invalid value 1.1 for parameter auto_tagging"),
        ({"auto_tagging": "nan"}, "auto_tagging"),
        ({"auto_tagging": "0_1"}, "auto_tagging"),
        ({"categorization": "illegal"}, "Categorization item illegal is not valid"),
        ({"detection": "illegal"}, "Detection invalid model 'illegal'"),
        ({"ocr": "illegal"}, "Illegal value 'illegal' for parameter ocr"),
        ({"raw_convert": "illegal"}, "Raw convert is invalid"),
        ({"overwrite": "yes"}, "overwrite 'yes' must be true or false"),
        ({"type_": "fetch"}, "type"),
        ({"tags": "x" * 256}, "256 characters"),
        ({"tags": "a\x00b"}, "control character"),
        ({"tags": ",".join(f"t{number}" for number in range(1001))}, "1001 items"),
        ({"context": "novalue"}, "no key=value"),
        ({"context": "k=" + "v" * 40_000}, "bytes"),
        ({"context": "|".join(f"k{number}=v" for number in range(1001))}, "1001 pairs"),
        ({"notification_url": "ftp://h"}, "no address"),
        ({"notification_url": "http://h/a b"}, "no address"),
        ({"display_name": "x" * 256}, "255 characters"),
        ({"public_id": "x" * 231}, "230 characters"),
        ({"folder": "x" * 130, "public_id": "x" * 130}, "230 characters"),
    ],
)
def test_options_that_are_refused(given: dict[str, str], reason: str) -> None:
    """The refusal names value and rule."""
    with pytest.raises(BadCallError, match=reason):
        read(**given)


@pytest.mark.parametrize(
    "public_id",
    [
        "../x",
        "a/../b",
        "a/./b",
        "/a",
        "a/",
        "a//b",
        "..",
        ".",
        " a",
        "a ",
        "a?b",
        "a#b",
        "a%2fb",
        "a\\b",
        "<a>",
        "a\nb",
        "\x7f",
    ],
)
def test_public_ids_that_are_refused(public_id: str) -> None:
    """No part is empty or only dots, and no character means something in an address."""
    with pytest.raises(BadCallError, match=r"public_id \(.*\) is invalid"):
        read(public_id=public_id)


@pytest.mark.parametrize(
    "public_id", ["a", "a b", "käfer/中", "a.b", "a..b", "f/x & y", "a+b,c", "ko:ala=(1)", "..."[:0] + ".a"]
)
def test_public_ids_that_are_fine(public_id: str) -> None:
    """Folders, dots within, commas and any letters."""
    assert read(public_id=public_id).public_id == public_id


def test_an_update_words_it_otherwise() -> None:
    """What SDKs' users know of updates begins with `Illegal value`."""
    for options in ({"categorization": "illegal"}, {"detection": "illegal"}, {"raw_convert": "illegal"}):
        with pytest.raises(BadCallError, match=r"^Illegal value"):
            read(update=True, **options)


PRESET = Preset("p", True, {"tags": "p", "auto_tagging": "0.4", "folder": "f", "context": "a=p|b=p"})


def test_a_preset_without_a_key() -> None:
    """The preset wins, but for the name; contexts are one; nothing is overwritten unless it says so."""
    options = read(PRESET, signed=False, public_id="x", tags="mine", context="b=m|c=m", filename_override="n")
    assert (options.public_id, options.tags, options.auto_tagging) == ("f/x", ["p"], 0.4)
    assert options.context == {"a": "p", "b": "p", "c": "m"}
    assert (options.overwrite, options.filename_override) == (False, "n")
    assert read(Preset("p", True, {"overwrite": "true"}), signed=False).overwrite is True


def test_a_preset_with_a_key() -> None:
    """The call wins; what it does not say is the preset's."""
    options = read(PRESET, public_id="x", tags="mine", context="b=m|c=m")
    assert (options.public_id, options.tags, options.auto_tagging) == ("f/x", ["mine"], 0.4)
    assert options.context == {"a": "p", "b": "m", "c": "m"}


@pytest.mark.parametrize("name", ["tags", "tags[]", "auto_tagging", "allowed_formats", "overwrite", "folder"])
def test_what_is_empty_is_in_no_signature_and_changes_nothing(name: str) -> None:
    """Whoever sees a signed call may add empty fields to it: the preset's options hold all the same."""
    preset = Preset("p", False, {**PRESET.options, "allowed_formats": "png", "overwrite": "false"})
    fields = Fields.of_pairs([("timestamp", "1")])
    more = Fields.of_pairs([("timestamp", "1"), (name, "")])
    assert string_to_sign(more) == string_to_sign(fields)
    assert read_options(more, ADD_ONS, preset=preset) == read_options(fields, ADD_ONS, preset=preset)


def test_a_context_is_read_in_no_time_however_it_ends() -> None:
    """A backslash at its end stands for itself, and does not make every character be read again and again."""
    assert read(context="a=b|c=d\\").context == {"a": "b", "c": "d\\"}
    begun = time.process_time()
    assert read(context="a=" + "b" * 30_000 + "\\").context == {"a": "b" * 30_000 + "\\"}
    with pytest.raises(BadCallError, match="characters; at most"):
        read(context="a=b|" * 200_000)
    assert time.process_time() - begun < 1


def test_what_an_unsigned_upload_may_not_say() -> None:
    """It belongs into the preset."""
    for name in ("overwrite", "categorization", "notification_url", "async", "eager"):
        with pytest.raises(BadCallError, match=f"{name} parameter is not allowed when using unsigned upload"):
            read(PRESET, signed=False, **{name: "1"})


def test_unknown_parameters() -> None:
    """They are ignored; so are those of which the table says so."""
    ignored = {name: "1" for name, parameter in UPLOAD.items() if parameter.fate is Fate.IGNORED}
    assert read(unheard_of="1", **ignored) == UploadOptions()


def test_the_table_of_parameters() -> None:
    """It says of each what becomes of it, and is right about what is refused."""
    refused = {name for name, parameter in UPLOAD.items() if parameter.fate is Fate.REFUSED}
    assert refused == set(REFUSALS)
    assert all(parameter.meaning.endswith(".") for parameter in (*UPLOAD.values(), *ADMIN.values()))
    assert {name for name, parameter in ADMIN.items() if parameter.fate is Fate.REFUSED} == set(REFUSALS)


@given(pairs=st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=50), max_size=8))
def test_any_context(pairs: dict[str, str]) -> None:
    """What is escaped as the SDKs do it comes back, or is refused."""

    def escaped(text: str) -> str:
        return text.replace("\\", "\\\\").replace("=", "\\=").replace("|", "\\|")

    text = "|".join(f"{escaped(key)}={escaped(value)}" for key, value in pairs.items())
    try:
        context = read(context=text).context or {}
    except BadCallError:
        assert any(not key.isprintable() or not key.strip() for key in pairs)
    else:
        assert context == {key.strip(): value for key, value in pairs.items()}


@given(name=st.sampled_from(sorted(UPLOAD)), text=st.text(max_size=60))
def test_any_text_as_any_option(name: str, text: str) -> None:
    """It is an option, or the caller's fault."""
    with contextlib.suppress(BadCallError):
        read(**{name: text})
