"""What a call of `/v2/tags` asks for: checked and typed. Pure."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from model.tagger.languages import ENGLISH, TagNames
from schemas.uploads import MAX_LANGUAGES
from streams.gateway.requests.fields import Fields
from streams.gateway.requests.problems import BadCallError, UnknownAssetError, shown

MOST_TAGS = 1000
_ALL = "-1"
_SOURCES = ("image_url", "image_upload_id")


@dataclass(frozen=True)
class TagsQuestion:
    """A question for tags.

    Attributes:
        add_ons: Who looks.
        source: Name and text of the field that says which image; None: its bytes came along.
        limit: Most tags; None: all.
        threshold: Least confidence, 0 to 100.
        languages: In which tags are named.
        decrease_parents: Whether general tags are discounted.
        verbose: Whether more is told of each tag.
        keep: Whether the image becomes an asset as well.
    """

    add_ons: tuple[str, ...]
    source: tuple[str, str] | None
    limit: int | None
    threshold: float
    languages: tuple[str, ...]
    decrease_parents: bool
    verbose: bool
    keep: bool


def read_question(
    fields: Fields, offered: Collection[str], default: Sequence[str], tagger: str | None, *, with_file: bool
) -> TagsQuestion:
    """Read a question.

    Args:
        fields: The call's.
        offered: The add-ons that there are.
        default: Those that look where the call names none.
        tagger: The one that the path names.
        with_file: Whether the image's bytes came along.

    Raises:
        BadCallError: A parameter breaks its rule, or not exactly one image is named.
        UnknownAssetError: There is no such tagger.
    """
    if tagger is not None and tagger not in offered:
        raise UnknownAssetError(f"There is no tagger {shown(tagger)}; there are {', '.join(offered)}")
    return TagsQuestion(
        add_ons=tuple(default) if tagger is None else (tagger,),
        source=_source(fields, with_file=with_file),
        limit=_limit(fields),
        threshold=_threshold(fields),
        languages=_languages(fields),
        decrease_parents=fields.flag("decrease_parents", True),
        verbose=fields.flag("verbose"),
        keep=fields.flag("keep"),
    )


def _source(fields: Fields, *, with_file: bool) -> tuple[str, str] | None:
    named = [(name, text) for name in _SOURCES if (text := fields.text(name)) is not None]
    count = len(named) + with_file
    if count != 1:
        rule = "name one, by image_url, image, image_base64 or image_upload_id"
        raise BadCallError(f"{'No' if not count else 'More than one'} image is given; {rule}")
    return named[0] if named else None


def _limit(fields: Fields) -> int | None:
    if fields.text("limit") in {None, _ALL}:
        return None
    return fields.whole_number("limit", 0, MOST_TAGS, MOST_TAGS)


def _threshold(fields: Fields) -> float:
    text = fields.text("threshold")
    if text is None:
        return 0.0
    try:
        threshold = float(text) if text.isascii() else math.nan
    except ValueError:
        threshold = math.nan
    if not 0 <= threshold <= 100:  # noqa: PLR2004 - per cent
        raise BadCallError(f"Invalid value {shown(text)} for parameter threshold: use a number from 0 to 100")
    return threshold


def _languages(fields: Fields) -> tuple[str, ...]:
    given = fields.array("language", MAX_LANGUAGES) or [ENGLISH]
    codes = tuple(dict.fromkeys(code for text in given for code in text.split(",") if code))
    names = TagNames.load()
    for code in codes:
        if not names.knows(code):
            known = ", ".join(names.languages)
            raise BadCallError(f"Invalid value {shown(code)} for parameter language: use some of {known}")
    return codes
