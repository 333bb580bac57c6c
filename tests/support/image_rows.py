"""Image rows for the tests of what is fed by them."""

import orjson

from streams.fold.history import encode_sources

RULES = "0e57c2a1b94d"


def image_row(
    tags: dict[str, float] | None = None,
    *,
    own: tuple[str, ...] = (),
    at: int = 1_000,
    user: str | None = "ann",
    url: str | None = "http://h/1.jpg",
    others: dict[str, dict[str, float]] | None = None,
    phash: str | None = None,
    embedding: str | None = None,
) -> bytes:
    """A row whose tags `own` came with the image and whose `tags` an add-on gave."""
    scores = {"imagga_tagging": tags or {}} | (others or {})
    sources: dict[str, list[str]] = {tag: ["own"] for tag in own}
    for add_on, found in scores.items():
        for tag in found:
            sources.setdefault(tag, []).append(add_on)
    cause = ["kafka:image.uploads", f"image.uploads/0/{at}", "image.uploaded"]
    change = {"at": at, "cause": cause, "rules": RULES, "models": {name: ["m", "1"] for name in scores}}
    places = encode_sources(sources, sources, scores)
    change |= {"added": list(sources), "removed": []} | ({"from": places} if places else {})
    return orjson.dumps(
        {
            "o": 0,
            "at": at,
            "version": 3,
            "user": user,
            "tenant": "",
            "ids": ["0"],
            "cause": cause,
            "own": list(own),
            "tags": list(sources),
            "by": list(sources.values()),
            "url": url,
            "scores": {add_on: list(found.items()) for add_on, found in scores.items()},
            "model": ["m", "1"],
            "rules": RULES,
            "history": [change],
            **({"phash": phash} if phash else {}),
            **({"embedding": embedding} if embedding else {}),
        }
    )


def deleted_row(at: int = 2_000) -> bytes:
    """The row of an image that was deleted."""
    cause = ["test", "gone", "image.deleted"]
    nothing = {"model": None, "rules": None}
    history = [{"at": at, "cause": cause, "added": [], "removed": ["sea"], "rules": None}]
    row = orjson.loads(image_row(at=at)) | {"deleted": True, "url": None, "scores": {}, **nothing}
    return orjson.dumps(row | {"cause": cause, "tags": [], "by": [], "history": history})
