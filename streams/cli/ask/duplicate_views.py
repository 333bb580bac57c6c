"""Images that look alike, as people read them."""

from collections.abc import Sequence

from rich.console import RenderableType

from schemas.answers.duplicates import AlikeImage, AlikeImages, Duplicates, SimilarImages
from streams.cli.ask.framing import framed
from streams.cli.charts import counted, name, table
from streams.cli.flow import Flow

SHOWN_IMAGES = 8


def duplicates_view(answer: Duplicates) -> RenderableType:
    """Show the images that look like one, nearest first."""
    if answer.phash is None:
        return _unknown(answer, "it has no perceptual hash: not looked at yet, or of one colour")
    found = [(image, str(image.distance)) for image in answer.images]
    return _beside(answer, f"{counted(answer.total, 'image')} like it", "bits that differ", found)


def similar_view(answer: SimilarImages) -> RenderableType:
    """Show the images that show something similar, the most similar first."""
    if answer.embedding is None:
        why = "it has no embedding: not looked at yet, without a picture, or there are none here"
        return _unknown(answer, why)
    found = [(image, f"{image.similarity:.3f}") for image in answer.images]
    return _beside(answer, f"{counted(len(found), 'image')} most like it", "similarity", found)


def _unknown(answer: Duplicates | SimilarImages, why: str) -> RenderableType:
    return framed(name(answer.public_id, "bold").append(f": {why}"), None, answer)


def _beside(
    answer: Duplicates | SimilarImages, title: str, measure: str, found: Sequence[tuple[AlikeImage, str]]
) -> RenderableType:
    """Images beside one, each with how near it is."""
    rows = table("image", measure, "url", right=(measure,))
    for image, nearness in found:
        rows.add_row(name(image.public_id), nearness, name(image.url))
    return framed(name(answer.public_id, "bold").append(f": {title}"), rows if found else None, answer)


def groups_view(answer: AlikeImages) -> RenderableType:
    """Show groups of images that look alike, the largest first."""
    title = f"{counted(answer.total, 'group')} of images that look alike"
    if not answer.groups:
        return framed(title, None, answer)
    rows = table("images", "which", right=("images",))
    for group in answer.groups:
        text = Flow()
        for image in group.images[:SHOWN_IMAGES]:
            text.add(str(name(image.public_id)))
        if group.count > SHOWN_IMAGES:
            text.add(f"and {group.count - SHOWN_IMAGES} more", "dim")
        rows.add_row(str(group.count), text)
    return framed(title, rows, answer)
