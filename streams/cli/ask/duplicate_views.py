"""Images that look alike, as people read them."""

from rich.console import RenderableType

from schemas.answers.duplicates import AlikeImages, Duplicates, SimilarImages
from streams.cli.ask.framing import framed
from streams.cli.charts import counted, name, table
from streams.cli.flow import Flow

SHOWN_IMAGES = 8


def duplicates_view(answer: Duplicates) -> RenderableType:
    """Show the images that look like one, nearest first."""
    title = name(answer.public_id, "bold")
    if answer.phash is None:
        title.append(": it has no perceptual hash: not looked at yet, or of one colour")
        return framed(title, None, answer)
    title.append(f": {counted(answer.total, 'image')} like it")
    if not answer.images:
        return framed(title, None, answer)
    rows = table("image", "bits that differ", "url", right=("bits that differ",))
    for image in answer.images:
        rows.add_row(name(image.public_id), str(image.distance), name(image.url))
    return framed(title, rows, answer)


def similar_view(answer: SimilarImages) -> RenderableType:
    """Show the images that show something similar, the most similar first."""
    title = name(answer.public_id, "bold")
    if answer.embedding is None:
        title.append(": it has no embedding: not looked at yet, without a picture, or there are none here")
        return framed(title, None, answer)
    title.append(f": {counted(len(answer.images), 'image')} most like it")
    if not answer.images:
        return framed(title, None, answer)
    rows = table("image", "similarity", "url", right=("similarity",))
    for image in answer.images:
        rows.add_row(name(image.public_id), f"{image.similarity:.3f}", name(image.url))
    return framed(title, rows, answer)


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
