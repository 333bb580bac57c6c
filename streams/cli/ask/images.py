"""`tagstream images`: the library, searched by tags."""

from functools import partial

import click

from schemas.answers.duplicates import AlikeImages, Duplicates, SimilarImages
from schemas.answers.images import FoundImages, ImageState
from streams.cli.ask.asking import Asking, DefaultGroup, asks
from streams.cli.ask.duplicate_views import duplicates_view, groups_view, similar_view
from streams.cli.ask.image_edits import edit
from streams.cli.ask.image_views import image_view, images_view
from streams.web.api.duplicates import DuplicatesQuestion, GroupsQuestion, SimilarQuestion
from streams.web.api.image_questions import ImageQuestion, ImagesQuestion


@click.group(cls=DefaultGroup, default="list")
def images() -> None:
    """Search the images by their tags, and edit those.

    Without a command it is `list`, and takes its options.

    Exit codes: 0 with an answer, 1 where the API gives a reason instead, 78 when it cannot be asked.
    """


images.add_command(edit)


@images.command("list", short_help="List images that match.")
@asks(ImagesQuestion, joined=("all", "any", "none"))
def list_(asking: Asking) -> None:
    """List images that match: with every --tag and --all, one of --any, and not one of --none.

    For example: tagstream images list --all koala,tree --none zoo --min-confidence 0.6
    """
    lists = [*asking.given.get("all", ()), *asking.given.get("any", ())]
    wanted = {*asking.given.get("tag", ()), *(tag for texts in lists for tag in texts.split(","))}
    asking.show(asking.get("/images", FoundImages), partial(images_view, wanted=wanted))


@images.command()
@asks(ImageQuestion)
def show(asking: Asking) -> None:
    """Show an image's tags, what gave them, and what changed them."""
    asking.show(asking.get("/images/{public_id}", ImageState), image_view)


@images.command(short_help="List images that look like one.")
@asks(DuplicatesQuestion)
def duplicates(asking: Asking) -> None:
    """List images that look like one: resized, recompressed or edited a little; nearest first."""
    asking.show(asking.get("/images/{public_id}/duplicates", Duplicates), duplicates_view)


@images.command(short_help="List images that show something similar.")
@asks(SimilarQuestion)
def similar(asking: Asking) -> None:
    """List images that show what is most like what an image shows, the most similar first."""
    asking.show(asking.get("/images/{public_id}/similar", SimilarImages), similar_view)


@images.command(short_help="List groups of images that look alike.")
@asks(GroupsQuestion)
def groups(asking: Asking) -> None:
    """List groups of images that look alike, the largest first."""
    asking.show(asking.get("/duplicates", AlikeImages), groups_view)
