"""A tagger for load and chaos tests: the "image" is JSON that names its tags.

Everything around it is the real worker. `{"koala": 0.9}` as the bytes of an image is tagged `koala` 0.9.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import orjson

from model import BadImageError, Tag
from streams.tag.fair_queue import NOBODY, Share
from streams.tag.jobs import TaggedImage
from streams.tag.known_images import digest_of

NAME, VERSION = "stub", "1"


class StubTagger:
    """Reads the tags out of the bytes.

    Attributes:
        tag_names: For each add-on the tags that it can give: nobody knows them.
    """

    tag_names: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    async def tag(
        self,
        data: bytes,
        add_ons: Sequence[str],
        decoded: Callable[[], None] | None = None,  # noqa: ARG002 - nobody waits for this little memory
        *,
        share: Share = NOBODY,  # noqa: ARG002 - it is never busy
        aside: Callable[[], None] | None = None,  # noqa: ARG002 - no image is dear to it
    ) -> TaggedImage:
        """The tags that the bytes name, best first.

        Raises:
            BadImageError: The bytes are no JSON object of numbers.
        """
        try:
            confidences = {str(tag): float(value) for tag, value in orjson.loads(data).items()}
        except (ValueError, AttributeError, TypeError) as error:
            raise BadImageError(
                "not_an_image", f"the stub tagger takes a JSON object, got {error}"
            ) from error
        ranked = sorted(confidences.items(), key=lambda item: (-item[1], item[0]))
        tags = [Tag(tag, value, value) for tag, value in ranked]
        return TaggedImage(digest_of(data), 1, 1, "json", dict.fromkeys(add_ons, tags), 0.0, 0.0)
