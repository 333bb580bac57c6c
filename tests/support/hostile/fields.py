"""Values that lie, lead elsewhere or have no end, from somebody whose key is right."""

from collections.abc import Iterator

from support.hostile.caller import Caller

IDS = {
    "leads up": "../../etc/passwd",
    "leads up inside": "a/../../b",
    "leads up, encoded": "..%2f..%2fetc",
    "leads up, backwards": "..\\..\\windows",
    "absolute": "/etc/passwd",
    "only dots": "..",
    "a dot": ".",
    "an empty part": "a//b",
    "ends with a slash": "a/",
    "a NUL": "a\0b",
    "a line break": "a\r\nX-Evil: 1",
    "an escape sequence": "\x1b[2Jevil",
    "of the library's own": "#raw/upload/evil",
    "a question mark": "evil?x=1",
    "5,000 letters": "a" * 5_000,
    "a million letters": "a" * 1_000_000,
    "5,000 folders": "a/" * 5_000 + "b",
    "space alone": " ",
}
URLS = {
    "loopback": "http://127.0.0.1/a.jpg",
    "loopback, IPv6": "http://[::1]/a.jpg",
    "loopback as a number": "http://2130706433/a.jpg",
    "loopback in octal": "http://0177.0.0.1/a.jpg",
    "cloud metadata": "http://169.254.169.254/latest/meta-data/",
    "a private address": "http://10.0.0.1/a.jpg",
    "localhost": "http://localhost/a.jpg",
    "credentials": "http://user:secret@photos.example/a.jpg",
    "a local file": "file:///etc/passwd",
    "the store itself": "store:///test/2026/11/30/secret",
    "a bucket": "s3://secrets/a.jpg",
    "gopher": "gopher://127.0.0.1:70/_x",
    "ftp": "ftp://photos.example/a.jpg",
    "a line break": "http://photos.example/a.jpg\r\nX-Evil: 1",
    "no host": "http:///a.jpg",
    "another port": "http://127.0.0.1:22/",
    "a script": "javascript:alert(1)",
    "200,000 letters": "http://photos.example/" + "a" * 200_000,
    "a data URI that is none": "data:image/jpeg",
    "broken base64": "data:image/jpeg;base64,@@@@",
    "base64 cut short": "data:image/jpeg;base64,/9j/4AAQSkZ",
    "an empty data URI": "data:image/jpeg;base64,",
    "HTML in a data URI": "data:text/html;base64,PHNjcmlwdD4=",
    "8 MB of no image": "data:image/png;base64," + "AAAA" * 2_000_000,
    "a name of a file": "koala.jpg",
}
OPTIONS: dict[str, dict[str, str]] = {
    "auto_tagging: NaN": {"categorization": "imagga_tagging", "auto_tagging": "nan"},
    "auto_tagging: infinite": {"categorization": "imagga_tagging", "auto_tagging": "-inf"},
    "auto_tagging: negative": {"categorization": "imagga_tagging", "auto_tagging": "-1"},
    "auto_tagging: above one": {"categorization": "imagga_tagging", "auto_tagging": "2"},
    "auto_tagging: a word": {"categorization": "imagga_tagging", "auto_tagging": "high"},
    "auto_tagging: a huge exponent": {"categorization": "imagga_tagging", "auto_tagging": "1e400"},
    "auto_tagging: 5,000 digits": {"categorization": "imagga_tagging", "auto_tagging": "0." + "4" * 5_000},
    "categorization: unknown": {"categorization": "nobody_tagging"},
    "categorization: leads up": {"categorization": "../../etc"},
    "categorization: 10,000 names": {"categorization": ",".join(f"a{i}" for i in range(10_000))},
    "detection: unknown": {"detection": "nobody"},
    "tags: one of 300 letters": {"tags": "t" * 300},
    "tags: 1,001": {"tags": ",".join(f"t{i}" for i in range(1_001))},
    "tags: a NUL": {"tags": "a\0b"},
    "context: 1,001 pairs": {"context": "|".join(f"k{i}=v" for i in range(1_001))},
    "context: 200 kB": {"context": "k=" + "v" * 200_000},
    "notification: a file": {"notification_url": "file:///etc/passwd"},
    "notification: a line break": {"notification_url": "http://shop.example/\r\nX-Evil: 1"},
    "type: unknown": {"type": "../../private"},
    "folder: leads up": {"folder": "../../etc"},
    "folder: a NUL": {"folder": "a\0b"},
    "asset folder: leads up": {"asset_folder": "../../etc"},
    "allowed formats: others": {"allowed_formats": "png,webp"},
    "boolean: a word": {"overwrite": "perhaps"},
}
CALLS: dict[str, tuple[str, dict[str, str]]] = {
    "explicit of nothing": ("image/explicit", {"public_id": "missing", "type": "upload"}),
    "explicit without an id": ("image/explicit", {"type": "upload"}),
    "explicit that leads up": ("image/explicit", {"public_id": "../../a", "type": "upload"}),
    "rename of nothing": ("image/rename", {"from_public_id": "missing", "to_public_id": "other"}),
    "rename that leads up": ("image/rename", {"from_public_id": "missing", "to_public_id": "../../a"}),
    "rename without a name": ("image/rename", {"from_public_id": "missing"}),
    "destroy without an id": ("image/destroy", {"type": "upload"}),
    "destroy that leads up": ("image/destroy", {"public_id": "../../a"}),
    "tags: an unknown command": ("image/tags", {"command": "explode", "tag": "a", "public_ids[]": "missing"}),
    "tags: no ids": ("image/tags", {"command": "add", "tag": "a"}),
    "context: an unknown command": ("image/context", {"command": "explode", "public_ids[]": "missing"}),
    "an unknown action": ("image/explode", {"public_id": "a"}),
    "an unknown type": ("hologram/upload", {"public_id": "a"}),
}
ANSWERED = {"destroy that leads up", "tags: no ids"}  # may be told that there is no such thing, with 200


def fields(caller: Caller, photo: bytes) -> Iterator[tuple[str, bytes]]:
    """Each a name and a request, signed."""
    for name, public_id in IDS.items():
        yield f"id: {name}", caller.upload(caller.signed(("public_id", public_id)), photo)
    for name, url in URLS.items():
        yield f"file: {name}", caller.upload(caller.signed(("public_id", "evil"), ("file", url)), None)
    for name, options in OPTIONS.items():
        signed = caller.signed(("public_id", "evil"), *options.items())
        yield f"option: {name}", caller.upload(signed, photo)
    for name, (action, given) in CALLS.items():
        yield f"call: {name}", caller.form(action, caller.signed(*given.items()))
    many = [("public_ids[]", f"a{i}") for i in range(1_001)]
    ids = ",".join(value for _, value in many)
    vouched = caller.signed(("command", "add"), ("tag", "a"), ("public_ids", ids))
    yield (
        "call: tags of 1,001 images",
        caller.form("image/tags", [*many, *(p for p in vouched if p[0] != "public_ids")]),
    )
