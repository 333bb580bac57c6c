"""Questions about images: search, one image's state and history, tags that come together."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from model.tagger.languages import TagNames
from schemas.answers.images import FoundImage, FoundImages, ImageState, RelatedTag, RelatedTags
from schemas.answers.trends import Window
from schemas.results import Cause, ModelInfo, ReadWord, ScoredTag
from schemas.times import utc_datetime
from streams.fold.rows import ImageKey, State
from streams.state.images.index import ImageIndex
from streams.state.images.origins import assigned_tags, tag_changes, tag_edits
from streams.state.images.related_tags import related_tags
from streams.state.images.rows import find_image, find_url
from streams.state.images.search import Hit, ImageQuery, Page, SortKey, fitting, search
from streams.state.images.view import View
from streams.web.access.pricing import off_loop
from streams.web.api.freshness import ALWAYS, Freshness, not_found, provenance
from streams.web.api.image_questions import ImageQuestion, ImagesQuestion, RelatedQuestion
from streams.web.api.routes import Route


class ImageRoutes:
    """Answers from the index; addresses, and all about a single image, from the rows themselves."""

    def __init__(self, index: ImageIndex, states: Mapping[int, State], freshness: Freshness) -> None:
        """Prepare.

        Args:
            index: The library.
            states: Rows by partition; those that the index is fed from.
            freshness: How fresh they are.
        """
        self._index = index
        self._states = states
        self._freshness = freshness

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            Route("/images", ImagesQuestion, FoundImages, self.images),
            Route("/images/{public_id}", ImageQuestion, ImageState, self.image),
            Route("/trends/tags/{tag}/related", RelatedQuestion, RelatedTags, self.related),
        ]

    async def images(self, question: ImagesQuestion) -> FoundImages:
        """Give the images that match a tag expression.

        `tag` and `all` name tags that an image must have, `any` tags of which it must have one, `none` tags
        that it must not have. A tag's confidence on an image is the highest of any add-on, and 1 if the tag
        came with the image. A name that no image ever had as a tag, such as `Hund`, is understood in any
        language that tags have names in. Upper and lower case are one, and so are composed and decomposed
        signs. `untagged=true` finds images without a tag.

        The cursor names the last image of a page, so images that come, change or go meanwhile make no other
        image appear twice or not at all. A page whose images have very many or very long tags, or very long
        addresses, ends before `limit`, after about a megabyte; it has one image at least. What comes next is
        behind its cursor.
        """
        query, after = question.query(), question.after()
        view = self._index.view(question.tenant)
        common = provenance(self._freshness, _window(question))
        page, images = await off_loop(self._search, view, query, question.limit, after)
        more = page.more or len(images) < len(page.hits)
        last = page.hits[len(images) - 1].place if more else None
        return FoundImages(
            **common,
            total=page.total,
            images=images,
            cursor=None if last is None else question.cursor_of(last),
        )

    def _search(
        self, view: View, query: ImageQuery, limit: int, after: SortKey | None
    ) -> tuple[Page, list[FoundImage]]:
        """Find a page, and what is told of it. For any thread."""
        page = search(view, _meant(view, query), limit=limit, after=after)
        return page, fitting((self._found(hit) for hit in page.hits), lambda image: len(image.url or ""))

    async def image(self, question: ImageQuestion) -> ImageState:
        """Give an image's state, and what changed its tags.

        A deleted image is known still, with its history, for as long as `TAGSTREAM_KEEP_DELETED` says.
        """
        found = find_image(self._states, question.tenant, question.public_id)
        common = provenance(self._freshness)
        if found is None:
            shown = f"no image {question.public_id[:64]!r} is known, and deleted ones only for a while"
            raise not_found(common, "unknown_image", f"{shown}; /images finds those there are")
        partition, row = found
        return ImageState(
            **common,
            public_id=question.public_id,
            user_id=row.user,
            uploaded_at=utc_datetime(row.at),
            version=row.version if isinstance(row.version, int) else None,
            url=row.url,
            deleted=row.deleted,
            tags=assigned_tags(row),
            edits=tag_edits(row),
            scores={add_on: scored(scores) for add_on, scores in row.scores.items()},
            before_rules={add_on: scored(scores) for add_on, scores in row.raw.items()},
            model=_model(row.model),
            rules=row.rules,
            failed=row.failed,
            words={name: [ReadWord(*word) for word in words] for name, words in row.words.items()},
            cause=Cause(*row.cause),
            partition=partition,
            history=tag_changes(row),
        )

    async def related(self, question: RelatedQuestion) -> RelatedTags:
        """Give the tags that come together with a tag.

        `support` is the share of all images that have both tags, `confidence` the share of the tag's images
        that have the other too, and `lift` how many times more often that is than on images in general: 1
        where the tags know nothing of each other. Pairs below `min_both` images are left out, since lift
        overrates what is rare.
        """
        view = self._index.view(question.tenant)
        common = provenance(self._freshness)
        (tag,) = await off_loop(_names_meant, view, (question.tag,))
        tag = await off_loop(_as_spelled, view, tag)
        found = await off_loop(
            related_tags, view, tag, limit=question.limit, min_both=question.min_both, order=question.order
        )
        if found is None:
            message = f"no image has the tag {tag[:64]!r}; /tags lists those there are"
            raise not_found(common, "unknown_tag", message)
        return RelatedTags(
            **common,
            tag=tag,
            images=view.count(tag),
            all_images=view.live,
            related=[RelatedTag(*related) for related in found],
        )

    def _found(self, hit: Hit) -> FoundImage:
        place = hit.place
        return FoundImage(
            public_id=ImageKey.decode(place.key).public_id,
            uploaded_at=utc_datetime(hit.at),
            user_id=hit.user,
            url=find_url(self._states, place.partition, place.key),
            confidence=hit.confidence,
            tags=scored(hit.tags),
        )


def scored(tags: Iterable[tuple[str, float]]) -> list[ScoredTag]:
    """Give tags and confidences as answers do."""
    return [ScoredTag(tag, confidence) for tag, confidence in tags]


def _meant(view: View, query: ImageQuery) -> ImageQuery:
    """The query, with tags that no image ever had taken for their names in another language."""
    all_of, any_of, none_of = (
        _names_meant(view, tags) for tags in (query.all_of, query.any_of, query.none_of)
    )
    return replace(query, all_of=all_of, any_of=any_of, none_of=none_of)


def _names_meant(view: View, names: tuple[str, ...]) -> tuple[str, ...]:
    return TagNames.load().meant(names, lambda name: bool(view.spellings(name)))


def _as_spelled(view: View, name: str) -> str:
    """A tag as most images have it, where none has it as it is asked for."""
    if view.count(name):
        return name
    names = view.library.tags.names
    return max((names[tag] for tag in view.spellings(name)), key=view.count, default=name)


def _model(model: tuple[str, str] | None) -> ModelInfo | None:
    return None if model is None else ModelInfo(*model)


def _window(question: ImagesQuestion) -> Window:
    if question.since is None and question.until is None:
        return ALWAYS
    start, end = (None if at is None else utc_datetime(at) for at in (question.since, question.until))
    return Window("range", start, end)
