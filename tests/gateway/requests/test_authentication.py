import base64
from pathlib import Path

import pytest
from support.gateway.requests import scope_of

from schemas.errors import SettingsError
from streams.gateway.requests.authentication import (
    Caller,
    authenticate_basic,
    authenticate_signed,
    check_before_file,
)
from streams.gateway.requests.credentials import Right
from streams.gateway.requests.credentials_file import CredentialsFile, new_credentials, read_credentials
from streams.gateway.requests.fields import Fields
from streams.gateway.requests.options import check_preset
from streams.gateway.requests.problems import BadCallError, ForbiddenError, UnknownCallerError
from streams.gateway.requests.signature import Algorithm, sign, string_to_sign

NOW = 1_795_987_445
FILE = """
[[cloud]]
name = "demo"
signature_algorithm = "sha256"
notification_url = "https://h/n"

[[cloud.key]]
id = "testkey"
secret = "testsecret"

[[cloud.key]]
id = "k>>>???"
secret = "s~~~ü?>aaa"
may = ["read"]

[[cloud.preset]]
name = "phones"
unsigned = true
tags = ["a", "b"]
auto_tagging = 0.4
categorization = "imagga_tagging"
context = { "a=b" = "c|d" }
overwrite = true

[[cloud.preset]]
name = "office"

[[cloud]]
name = "other"

[[cloud.key]]
id = "otherkey"
secret = "othersecret"
""".replace("ü", "u")


def written(folder: Path, content: str, mode: int = 0o600) -> Path:
    """A file of credentials."""
    path = folder / "gateway.toml"
    path.write_text(content)
    path.chmod(mode)
    return path


@pytest.fixture
def file(tmp_path: Path) -> CredentialsFile:
    """The file above, read."""
    return CredentialsFile(written(tmp_path, FILE), lambda: 0.0)


def basic(text: str, *, url_safe: bool = False) -> tuple[str, str]:
    """A header with Basic credentials."""
    encode = base64.urlsafe_b64encode if url_safe else base64.b64encode
    return ("Authorization", f"Basic {encode(text.encode()).decode()}")


def signed(secret: str = "testsecret", **fields: str) -> Fields:  # noqa: S107 - of no key
    """A call that is signed."""
    call = Fields.of_pairs({"timestamp": str(NOW), "api_key": "testkey", **fields}.items())
    digest = sign(string_to_sign(call), secret, Algorithm.SHA1)
    return Fields.of_pairs([("signature", digest)]).over(call)


def call(
    file: CredentialsFile,
    fields: Fields,
    *headers: tuple[str, str],
    action: str = "upload",
    cloud: str = "demo",
) -> Caller:
    """Who makes a call of the Upload API."""
    return authenticate_signed(file.now, cloud, scope_of(headers), fields, NOW, action=action)


def test_a_signed_call(file: CredentialsFile) -> None:
    """It is its key's, and carries the signature that tells a repeat of it."""
    fields = signed(public_id="a")
    caller = call(file, fields)
    assert caller.key is not None
    assert (caller.key.id, caller.cloud.name, caller.repeat) == (
        "testkey",
        "demo",
        fields.text("signature"),
    )


@pytest.mark.parametrize("url_safe", [False, True])
def test_basic_credentials(file: CredentialsFile, url_safe: bool) -> None:  # noqa: FBT001 - a case
    """They count in either alphabet of base64, on both APIs: Ruby's SDK uses the URL-safe one."""
    header = basic("k>>>???:s~~~u?>aaa", url_safe=url_safe)
    assert ("-" in header[1] or "_" in header[1]) == url_safe
    assert authenticate_basic(file.now, "demo", scope_of([header])).name == "k>>>???"
    caller = call(file, Fields({}), header)
    assert (caller.name, caller.repeat) == ("k>>>???", None)


def test_what_tells_a_repeat(file: CredentialsFile) -> None:
    """Signature and boundary: like calls of one second are two. Without one only an upload can be one."""
    fields = signed(public_id="a")
    kinds = [("Content-Type", f"multipart/form-data; boundary={boundary}") for boundary in ("x", "y", "x")]
    first, second, again = (call(file, fields, kind).repeat for kind in kinds)
    assert first == again != second
    assert call(file, fields, action="tags").repeat is None


def test_basic_credentials_beside_a_broken_signature(file: CredentialsFile) -> None:
    """They vouch for it: PHP's SDK changes fields of later chunks after signing them."""
    fields = Fields.of_pairs([("public_id", "added")]).over(signed())
    caller = call(file, fields, basic("testkey:testsecret"))
    assert (caller.name, caller.repeat) == ("testkey", None)
    with pytest.raises(UnknownCallerError, match="Invalid Signature"):
        call(file, fields)


@pytest.mark.parametrize(
    "header",
    [
        basic("testkey:wrong"),
        basic("otherkey:othersecret"),
        basic("testkey"),
        basic("nobody:xxxxxxxxxxxxxxxxxxxxxxxxxxx"),
        ("Authorization", "Bearer tok"),
        ("Authorization", "Basic ????"),
        ("Authorization", "Basic " + "A" * 10_000),
        ("Authorization", "Digest x"),
        ("Authorization", ""),
    ],
)
def test_wrong_credentials(file: CredentialsFile, header: tuple[str, str]) -> None:
    """They are refused, also beside a right signature; a secret is in no message."""
    for attempt in (
        lambda: authenticate_basic(file.now, "demo", scope_of([header])),
        lambda: call(file, signed(), header),
    ):
        with pytest.raises(UnknownCallerError) as refused:
            attempt()
        assert refused.value.status == 401
        assert "secret" not in str(refused.value).replace("key and its secret", "").replace(
            "key or secret", ""
        )


def test_empty_basic_credentials(file: CredentialsFile) -> None:
    """They are as good as none: PHP's SDK sends them with unsigned uploads."""
    assert call(file, signed(), basic(":")).name == "testkey"
    with pytest.raises(UnknownCallerError):
        authenticate_basic(file.now, "demo", scope_of([basic(":")]))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (signed(api_key="nobody"), "Unknown API key nobody"),
        (signed("othersecret", api_key="otherkey"), "Unknown API key otherkey"),
        (signed(api_key=""), "Must supply api_key"),
        (
            Fields.of_pairs([("api_key", "testkey"), ("timestamp", str(NOW))]),
            "Missing required parameter - signature",
        ),
    ],
)
def test_calls_of_nobody(file: CredentialsFile, fields: Fields, reason: str) -> None:
    """A key counts for its own cloud, with a signature."""
    with pytest.raises(UnknownCallerError, match=reason):
        call(file, fields)


def test_a_cloud_that_does_not_exist(file: CredentialsFile) -> None:
    """Nobody has a key for it."""
    with pytest.raises(UnknownCallerError, match="Invalid cloud_name nowhere"):
        call(file, signed(), cloud="nowhere")


def test_unsigned_uploads(file: CredentialsFile) -> None:
    """They need a preset that the operator opened, and are uploads."""
    fields = Fields.of_pairs([("upload_preset", "phones")])
    caller = call(file, fields)
    assert (caller.key, caller.name, caller.signing_key.id) == (None, "preset phones", "testkey")
    caller.require(Right.WRITE)
    for right in (Right.READ, Right.DELETE, Right.TAG):
        with pytest.raises(UnknownCallerError):
            caller.require(right)
    with pytest.raises(UnknownCallerError, match="signature"):
        call(file, fields, action="explicit")
    for name, reason in (("office", "whitelisted for unsigned"), ("none", "not found: none")):
        with pytest.raises(BadCallError, match=reason):
            call(file, Fields.of_pairs([("upload_preset", name)]))
    with pytest.raises(BadCallError, match="Upload preset must be specified"):
        call(file, Fields({}))
    with_key = call(file, signed(upload_preset="office"))
    assert with_key.preset is not None
    assert with_key.preset.name == "office"


def test_what_a_key_may(file: CredentialsFile) -> None:
    """What it may not is refused with a status that its API's clients read."""
    caller = authenticate_basic(file.now, "demo", scope_of([basic("k>>>???:s~~~u?>aaa")]))
    caller.require(Right.READ)
    with pytest.raises(UnknownCallerError, match="may read; this call needs a key that may write"):
        caller.require(Right.WRITE)
    with pytest.raises(ForbiddenError):
        caller.require(Right.DELETE, admin=True)


def test_a_look_before_the_file(file: CredentialsFile) -> None:
    """A key that is unknown is refused before a byte of the file is stored; what is not known yet is not."""
    check_before_file(file.now, "demo", scope_of(), Fields({}))
    check_before_file(file.now, "demo", scope_of(), Fields.of_pairs([("api_key", "testkey")]))
    with pytest.raises(UnknownCallerError):
        check_before_file(file.now, "demo", scope_of(), Fields.of_pairs([("api_key", "nobody")]))
    with pytest.raises(UnknownCallerError):
        check_before_file(file.now, "demo", scope_of([basic("testkey:wrong")]), Fields({}))


def test_presets_of_the_file(file: CredentialsFile) -> None:
    """Their options are what a call would send."""
    cloud = file.now.clouds["demo"]
    assert cloud.presets["phones"].options == {
        "tags": "a,b",
        "auto_tagging": "0.4",
        "categorization": "imagga_tagging",
        "context": r"a\=b=c\|d",
        "overwrite": "true",
    }
    assert (cloud.signature_algorithm, list(cloud.notification_urls)) == (Algorithm.SHA256, ["https://h/n"])


def test_a_file_that_changes(tmp_path: Path) -> None:
    """A key is revoked within a second, without a restart; a file that is wrong leaves things as they are."""
    now = 0.0
    path = written(tmp_path, FILE)
    file = CredentialsFile(path, lambda: now)
    written(tmp_path, FILE.replace('id = "testkey"', 'id = "newkey"'))
    assert "testkey" in file.now.clouds["demo"].keys
    now = 1.1
    assert set(file.now.clouds["demo"].keys) == {"newkey", "k>>>???"}
    written(tmp_path, "nonsense")
    now = 2.2
    assert "newkey" in file.now.clouds["demo"].keys
    path.unlink()
    now = 3.3
    assert "newkey" in file.now.clouds["demo"].keys


def test_a_new_key(tmp_path: Path) -> None:
    """It is one that the file's reader knows."""
    key, secret, lines = new_credentials("demo")
    credentials = read_credentials(written(tmp_path, lines))
    assert credentials.key("demo", key, secret) is credentials.clouds["demo"].keys[key]
    assert credentials.key("demo", key, secret[:-1]) is None
    assert credentials.key("other", key, secret) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[[cloud]]\nname = 3", "name"),
        ('[[cloud]]\nname = "a b"', "name"),
        ('[[cloud]]\nname = "demo"', "key"),
        ('[[cloud]]\nname = "demo"\nkey = []', "key"),
        (FILE + FILE, "two clouds are called 'demo'"),
        (FILE.replace("testkey", "k>>>???"), "two keys of the cloud 'demo' have the same id"),
        (FILE.replace("office", "phones"), "two presets of the cloud 'demo' are called 'phones'"),
        (FILE.replace('"testsecret"', '"short"'), "secret"),
        (FILE.replace('may = ["read"]', 'may = ["rule"]'), "rule"),
        (FILE.replace('may = ["read"]', "may = []"), "may"),
        (FILE.replace("may =", "mai ="), "mai"),
        (FILE.replace("sha256", "md5"), "md5"),
        (FILE.replace("https://h/n", "ftp://h"), "notification_url"),
        (FILE.replace("auto_tagging = 0.4", "auto_tagging = 4"), "preset 'phones': Invalid value 4"),
        (
            FILE.replace("imagga_tagging", "imaga_tagging"),
            "preset 'phones': Categorization item imaga_tagging",
        ),
        (FILE.replace("overwrite = true", 'public_id = "x"'), "public_id is no option of a preset"),
        (FILE.replace("overwrite = true", 'ocr = "x"'), "Illegal value 'x' for parameter ocr"),
        ("\0", "no file of credentials"),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, content: str, reason: str) -> None:
    """The fault names file, value and rule, and no secret."""
    path = written(tmp_path, content)
    with pytest.raises(SettingsError, match=reason) as fault:
        read_credentials(path, lambda preset: check_preset(preset, ["imagga_tagging"]))
    assert str(path) in str(fault.value)
    assert "testsecret" not in str(fault.value)


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o660, 0o602])
def test_files_that_others_read(tmp_path: Path, mode: int) -> None:
    """They are refused, and the cure is said; a group may read, as containers have it."""
    with pytest.raises(SettingsError, match="chmod 600"):
        read_credentials(written(tmp_path, FILE, mode))
    assert read_credentials(written(tmp_path, FILE, 0o640)).clouds


def test_no_file(tmp_path: Path) -> None:
    """What is missing, or no file, is named."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(SettingsError, match=str(path)):
            read_credentials(path)
