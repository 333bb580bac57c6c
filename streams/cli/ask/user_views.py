"""Users and their interests, as people read them."""

from rich.console import RenderableType
from rich.text import Text

from schemas.answers.users import (
    SimilarUsers,
    TagUsers,
    TenantList,
    UserFeed,
    UserInterests,
    UserList,
    UserTags,
)
from streams.cli.ask.framing import framed, more, window_text
from streams.cli.ask.image_views import scored_text
from streams.cli.charts import bar_of, counted, name, number, printable, share, table, when


def interests_view(answer: UserInterests) -> RenderableType:
    """Show a user's tag profile."""
    title = Text.assemble("Interests of ", name(answer.user_id, "bold"))
    shown, total = len(answer.interests), answer.total_tags
    tags = counted(total, "tag") if shown == total else f"{shown} of {counted(total, 'tag')}"
    rows = table("tag", "images", "weight", "share", "", right=("images", "weight", "share"))
    top = max((each.weight for each in answer.interests), default=0)
    for each in answer.interests:
        figures = (number(each.images), f"{each.weight:.2f}", share(each.share))
        rows.add_row(name(each.tag), *figures, bar_of(each.weight, top))
    return framed(title, rows, answer, f"{tags}; {_half_life(answer.half_life_days)}")


def similar_view(answer: SimilarUsers) -> RenderableType:
    """Show the users who share a user's interests."""
    title = Text.assemble("Users like ", name(answer.user_id, "bold"))
    age = f"the others' profiles are {answer.profiles_age_seconds:,.0f} s old"
    notes = (f"score: {printable(answer.method)}; {_half_life(answer.half_life_days)}; {age}",)
    if not answer.users:
        return framed(title, None, answer, "nobody shares a tag", *notes)
    rows = table("user", "score", "", "shared tags", right=("score",))
    for each in answer.users:
        shared = name(", ".join(each.shared_tags))
        rows.add_row(name(each.user_id), f"{each.score:.3f}", bar_of(each.score, 1), shared)
    return framed(title, rows, answer, *notes)


def feed_view(answer: UserFeed) -> RenderableType:
    """Show images of others that match a user's interests; the tags that the user likes come first."""
    title = Text.assemble("Images for ", name(answer.user_id, "bold"))
    notes = (f"score: {printable(answer.method)}; {_half_life(answer.half_life_days)}",)
    if not answer.images:
        return framed(title, None, answer, "no image of somebody else has a tag that this user likes", *notes)
    rows = table(
        "image", "uploaded (UTC)", "user", "score", "", "tags", right=("score",), whole=("uploaded (UTC)",)
    )
    top = max(image.score for image in answer.images)
    for image in answer.images:
        drawn = bar_of(image.score, top, width=10)
        tags = scored_text(image.tags, image.because)
        uploaded, user = when(image.uploaded_at), name(image.user_id)
        rows.add_row(name(image.public_id), uploaded, user, f"{image.score:.3f}", drawn, tags)
    return framed(title, rows, answer, *notes)


def _half_life(days: float) -> str:
    return f"an image loses half of its weight in {days:g} days"


def tag_users_view(answer: TagUsers) -> RenderableType:
    """Show the users of a tag."""
    title = Text.assemble("Users of ", name(answer.tag, "bold"), f", by {answer.by}")
    rows = table("user", "images", "score", "", right=("images", "score"))
    by_score = answer.by == "interest"
    sizes = [(each.score or 0.0) if by_score else float(each.images) for each in answer.users]
    for each, size in zip(answer.users, sizes, strict=True):
        score = "" if each.score is None else f"{each.score:.3f}"
        rows.add_row(name(each.user_id), number(each.images), score, bar_of(size, max(sizes)))
    return framed(title, rows if answer.users else None, answer, *([] if answer.users else ["none"]))


def user_tags_view(answer: UserTags) -> RenderableType:
    """Show the tags of a user's images."""
    title = Text.assemble("Tags of ", name(answer.user_id, "bold"), f", {window_text(answer.window)}")
    rows = table("tag", "images", "", right=("images",))
    top = max((each.images for each in answer.tags), default=0)
    for each in answer.tags:
        rows.add_row(name(each.tag), number(each.images), bar_of(each.images, top))
    return framed(title, rows if answer.tags else None, answer, counted(answer.images, "image"))


def user_list_view(answer: UserList) -> RenderableType:
    """Show users by name."""
    rows = table("user", "images", right=("images",))
    for each in answer.users:
        rows.add_row(name(each.user_id), number(each.images))
    none = [] if answer.users else ["none"]
    return framed("Users", rows if answer.users else None, answer, *none, *more(answer.cursor))


def tenant_list_view(answer: TenantList) -> RenderableType:
    """Show tenants by name."""
    rows = table("tenant", "images", "users", right=("images", "users"))
    for each in answer.tenants:
        rows.add_row(name(each.tenant), number(each.images), number(each.users))
    none = [] if answer.tenants else ["none"]
    return framed("Tenants", rows if answer.tenants else None, answer, *none)
