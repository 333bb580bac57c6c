"""Looks at images that are no event: tagged and ruled as events are, and nothing comes of it elsewhere."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from model import Tag
from schemas.results import ModelInfo, ScoredTag
from streams.fold.rules.applying import Rules
from streams.tag.categorizer import Offer, Tags
from streams.tag.fair_queue import Share
from streams.tag.words import split

_ASKED = "asked for"  # the source of images that somebody waits for


@dataclass(frozen=True)
class Look:
    """What was found in an image.

    Attributes:
        scores: For each add-on what is reported, best first.
        failed: Why each of the others failed, in short.
    """

    scores: dict[str, list[ScoredTag]]
    failed: dict[str, str] = field(default_factory=dict)


class Looker:
    """Looks at images.

    Attributes:
        models: The model behind each add-on.
        default_add_ons: The add-ons that look where nobody names one.
        tag_names: For each add-on the tags that it can give, before any rules.
    """

    def __init__(
        self,
        tagger: Tags,
        offer: Offer,
        rules: Callable[[], Rules],
        tag_names: dict[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.models: dict[str, ModelInfo] = offer.models
        self.default_add_ons = offer.default_add_ons
        self.tag_names = tag_names or {}
        self._offer = offer
        self._tagger = tagger
        self._rules = rules

    async def look(
        self,
        data: bytes,
        add_ons: Sequence[str],
        decoded: Callable[[], None],
        *,
        tenant: str = "",
        decrease_parents: bool = True,
    ) -> Look:
        """Decode, infer and rule.

        Args:
            data: The image's bytes.
            add_ons: Which are to look; each is offered.
            decoded: Called when the bytes are no longer needed.
            tenant: On whose account.
            decrease_parents: Whether general tags are discounted; otherwise confidences are probabilities.

        Raises:
            BadImageError: The bytes are no image that may be decoded.
            Exception: Every add-on failed; this is what the first one raised.
        """
        share = Share(tenant, _ASKED)
        image = await self._tagger.tag(data, tuple(add_ons), decoded, share=share, aside=_nothing)
        candidates = {
            name: _scored(image.tags[name], decrease_parents=decrease_parents)
            for name in add_ons
            if name in image.tags
        }
        tags, _ = split(candidates, self._offer.readers, as_tags=self._offer.words_are_tags)
        return Look(self._rules().apply(tags, None).scores, image.failed)


def _scored(tags: Sequence[Tag], *, decrease_parents: bool) -> list[ScoredTag]:
    """As rules take them, best first."""
    if decrease_parents:
        return [ScoredTag(tag.name, round(tag.confidence, 4)) for tag in tags]
    return sorted(
        (ScoredTag(tag.name, round(tag.probability, 4)) for tag in tags), key=lambda tag: -tag.confidence
    )


def _nothing() -> None:
    """Whoever asked waits, whatever it costs."""
