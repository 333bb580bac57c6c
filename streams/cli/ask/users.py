"""`tagstream users`: interests, who shares them, and what may please."""

import click

from schemas.answers.users import (
    SimilarUsers,
    TagUsers,
    TenantList,
    UserFeed,
    UserInterests,
    UserList,
    UserTags,
)
from streams.cli.ask.asking import Asking, DefaultGroup, asks
from streams.cli.ask.forgetting import forget
from streams.cli.ask.user_views import (
    feed_view,
    interests_view,
    similar_view,
    tag_users_view,
    tenant_list_view,
    user_list_view,
    user_tags_view,
)
from streams.web.api.people import TagUsersQuestion, TenantsQuestion, UsersQuestion, UserTagsQuestion
from streams.web.api.users import FeedQuestion, InterestsQuestion, SimilarQuestion


@click.group(
    cls=DefaultGroup,
    default="interests",
    takes_words=True,
    short_help="Show what users are interested in, and who is alike.",
)
def users() -> None:
    """Show what a user is interested in, and who and what goes with that.

    Without a command it is `interests`: tagstream users USER_ID.

    Exit codes: 0 with an answer, 1 where the API gives a reason instead, 78 when it cannot be asked.
    """


@users.command()
@asks(InterestsQuestion)
def interests(asking: Asking) -> None:
    """Show the tags of a user's images, recent ones counting more."""
    asking.show(asking.get("/users/{user_id}/interests", UserInterests), interests_view)


@users.command()
@asks(SimilarQuestion)
def similar(asking: Asking) -> None:
    """Show the users who share a user's interests."""
    asking.show(asking.get("/users/{user_id}/similar", SimilarUsers), similar_view)


@users.command()
@asks(FeedQuestion)
def feed(asking: Asking) -> None:
    """Show images of others that match a user's interests."""
    asking.show(asking.get("/users/{user_id}/feed", UserFeed), feed_view)


@users.command("of")
@asks(TagUsersQuestion)
def users_of(asking: Asking) -> None:
    """Show the users of a tag.

    They are in the order of how much of their interests it is, or of uploads.
    """
    asking.show(asking.get("/tags/{tag}/users", TagUsers), tag_users_view)


@users.command("tags")
@asks(UserTagsQuestion)
def user_tags(asking: Asking) -> None:
    """Show the tags of a user's images in a window."""
    asking.show(asking.get("/users/{user_id}/tags", UserTags), user_tags_view)


@users.command("list")
@asks(UsersQuestion)
def user_list(asking: Asking) -> None:
    """List the users who have images, by name."""
    asking.show(asking.get("/users", UserList), user_list_view)


@users.command("tenants")
@asks(TenantsQuestion)
def tenant_list(asking: Asking) -> None:
    """List the tenants who have images, by name."""
    asking.show(asking.get("/tenants", TenantList), tenant_list_view)


users.add_command(forget)
