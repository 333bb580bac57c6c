"""What is too much for a tenant: decided from what is committed, so that every replay decides alike.

What would be too much is a dead letter. What gives something back is never refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

from schemas.dead_letters import Fault
from schemas.errors import BadEventError
from schemas.uploads import Record
from streams.fold.budgets.usage import bytes_today, fresh_tags, held, lost_tags, size_of, tenants, usage_of
from streams.fold.changes import Changes, Row

_SHOWN = 64  # characters of a tenant's name in a message


class BudgetSettings(Protocol):
    """What an operator lets tenants have: see `streams.app.settings.Settings`."""

    @property
    def max_tenants(self) -> int:
        """Tenants."""

    @property
    def tenant_images(self) -> int:
        """Images of a tenant."""

    @property
    def tenant_tags(self) -> int:
        """Different tags of a tenant's images."""

    @property
    def tenant_daily_bytes(self) -> int:
        """Bytes of a tenant's events in a day."""

    @property
    def image_tags(self) -> int:
        """Tags of an image."""


@dataclass(frozen=True)
class Budgets:
    """The most that there may be in one partition; 0: no limit.

    Attributes:
        tenants: Tenants with images.
        images: Images of a tenant, with those that were deleted and are still remembered.
        tags: Different tags that a tenant's images have.
        daily_bytes: Bytes of a tenant's events in a day of the partition's clock.
        image_tags: Tags of one image.
    """

    tenants: int = 0
    images: int = 0
    tags: int = 0
    daily_bytes: int = 0
    image_tags: int = 0

    @classmethod
    def of(cls, settings: BudgetSettings) -> Self:
        """The budgets that the settings say."""
        return cls(
            settings.max_tenants,
            settings.tenant_images,
            settings.tenant_tags,
            settings.tenant_daily_bytes,
            settings.image_tags,
        )


class _Need(NamedTuple):
    """How much there would be, how much there may be, of what, and who says so."""

    amount: int
    most: int
    what: str
    setting: str


def beyond(changes: Changes, old: Row | None, new: Row, record: Record, budgets: Budgets) -> Fault | None:
    """Why an image's new row would be too much; None: it may be."""
    if new.get("deleted"):
        return None
    over = next(
        (need for need in _needs(changes, old, new, record, budgets) if need.amount > need.most), None
    )
    if over is None:
        return None
    tenant = f"the tenant {new['tenant'][:_SHOWN]!r}" if new["tenant"] else "the default tenant"
    said = f"{tenant} would have {over.amount} {over.what}, and may have {over.most} ({over.setting})"
    error = BadEventError("over_budget", f"{said}; delete what is not needed or raise it, and replay")
    return Fault(error.code, "parse", retryable=False, error=type(error).__name__, message=str(error))


def _needs(changes: Changes, old: Row | None, new: Row, record: Record, budgets: Budgets) -> Iterator[_Need]:
    """What the row would make more of, as far as that is limited."""
    usage, tags = usage_of(changes, new["tenant"]), len(new["tags"])
    if budgets.tenants and usage is None:
        what = "tenants beside it, itself included, in this partition"
        yield _Need(tenants(changes) + 1, budgets.tenants, what, "TAGSTREAM_MAX_TENANTS")
    if budgets.images and old is None:
        images = held(usage, "images") + 1
        yield _Need(images, budgets.images, "images in this partition", "TAGSTREAM_TENANT_IMAGES")
    if budgets.image_tags and tags > len(old["tags"] if old else ()):
        yield _Need(tags, budgets.image_tags, "tags of one image", "TAGSTREAM_IMAGE_TAGS")
    if budgets.daily_bytes:
        size = bytes_today(changes, usage) + size_of(record)
        what = "bytes of events of this day in this partition"
        yield _Need(size, budgets.daily_bytes, what, "TAGSTREAM_TENANT_DAILY_BYTES")
    if budgets.tags and (fresh := len(fresh_tags(changes, old, new))):
        given_back = sum(changes.uses(key) == 1 for key in lost_tags(old, new))
        names = held(usage, "tags") + fresh - given_back
        yield _Need(names, budgets.tags, "different tags in this partition", "TAGSTREAM_TENANT_TAGS")
