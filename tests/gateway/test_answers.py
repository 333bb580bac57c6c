from datetime import datetime

import orjson
import pytest
from support.gateway.rows import asset_row, library_of

from streams.gateway.answers import Addresses, info_of, pending_answer, upload_answer, version_id
from streams.gateway.assets.library_asset import LibraryAsset
from streams.gateway.requests.authentication import Caller
from streams.gateway.requests.credentials import Cloud, Key
from streams.gateway.requests.signature import Algorithm, sign

KEY = Key("testkey", "testsecret")
CALLER = Caller(Cloud("demo", {"testkey": KEY}), KEY)
AT = Addresses.of("http://127.0.0.1:6067/gw/")


def asset(**fields: object) -> LibraryAsset:
    """An asset as it is committed."""
    row = asset_row(
        "a/k&o",
        tags=["z", "a", "koala"],
        by=[["own"], ["people"], ["imagga_tagging"]],
        scores={"imagga_tagging": [("koala", 0.9), ("tree", 0.2)], "google_tagging": []},
        **fields,
    )
    return library_of({"a/k&o": row}).all("demo")[0]


def test_an_upload() -> None:
    """Types as SDKs demand them; tags in their order; what the add-ons said that were asked for."""
    answer = upload_answer(asset(), CALLER, AT, add_ons=["imagga_tagging"], more={"done": True})
    assert (answer["public_id"], answer["tags"], answer["done"]) == ("a/k&o", ["z", "a", "koala"], True)
    data = [{"tag": "koala", "confidence": 0.9}, {"tag": "tree", "confidence": 0.2}]
    assert answer["info"] == {"categorization": {"imagga_tagging": {"status": "complete", "data": data}}}
    assert isinstance(answer["version"], int)
    assert datetime.fromisoformat(answer["created_at"]).tzinfo is not None
    path = f"127.0.0.1:6067/gw/demo/image/upload/v{answer['version']}/a/k%26o.jpg"
    assert (answer["url"], answer["secure_url"]) == (f"http://{path}", f"https://{path}")
    assert (len(answer["asset_id"]), len(answer["version_id"]), answer["api_key"]) == (32, 32, "testkey")
    assert not {"error", "context", "status"} & answer.keys()


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_the_signature_of_an_answer(algorithm: Algorithm) -> None:
    """Of name and version, never escaped, by the cloud's algorithm."""
    caller = Caller(Cloud("demo", {"testkey": KEY}, signature_algorithm=algorithm), KEY)
    answer = upload_answer(asset(), caller, AT)
    text = f"public_id=a/k&o&version={answer['version']}"
    assert answer["signature"] == sign(text, "testsecret", algorithm)


def test_an_upload_that_asked_for_nothing() -> None:
    """What add-ons said once is not told again; context is there if there is any."""
    answer = upload_answer(asset(context={"k": "v"}), CALLER, AT)
    assert ("info" in answer, answer["context"]) == (False, {"custom": {"k": "v"}})


def test_words_that_were_read() -> None:
    """They are told with what the add-on that read them says."""
    row = orjson.loads(asset_row("sign", scores={"text_tagging": []})) | {
        "words": {"text_tagging": [["SALE", 0.9]]}
    }
    (found,) = library_of({"sign": orjson.dumps(row)}).all("demo")
    said = info_of(found, ["text_tagging"])["categorization"]["text_tagging"]
    assert said == {"status": "complete", "data": [], "words": [{"word": "SALE", "confidence": 0.9}]}


def test_add_ons_that_failed() -> None:
    """They say so, beside the others; one that found nothing is complete."""
    found = asset()
    failed = LibraryAsset(
        **{name: getattr(found, name) for name in found.__struct_fields__} | {"failed": {"x": "timeout"}}
    )
    assert info_of(failed, ["x", "google_tagging", "unasked"]) == {
        "categorization": {
            "google_tagging": {"status": "complete", "data": []},
            "x": {"status": "failed", "message": "timeout"},
        }
    }


def test_pending_and_versions() -> None:
    """A call that is answered later has no version yet; each version has an id of its own."""
    told = pending_answer("image", "upload", "a", "b" * 64)
    assert (told["status"], "version" in told) == ("pending", False)
    assert version_id(asset().asset) != version_id(asset(version=2).asset)
