"""Whether another worker has come into the group under our name, and taken our place there.

The broker then forgets our member id. It would tell the reason (KIP-345: FENCED_INSTANCE_ID) to a client that
sends its instance id with each heartbeat; aiokafka 0.14 does not, hears only that it is unknown, and joins
again: the two would take turns for ever.
"""

import logging
import re

from aiokafka.errors import KafkaError

from streams.kafka.admin import open_admin
from streams.kafka.connection import KafkaConnection

log = logging.getLogger(__name__)

_REQUEST_MS = 5000
_UNIQUE = r"(?:[0-9A-Za-z_-]{22}|[0-9a-f-]{36})"  # what the broker puts behind the name of a static member


class Membership:
    """Our place in the group.

    Attributes:
        member_id: The id that the broker gave us last; None before we were in the group.
    """

    def __init__(self, connection: KafkaConnection, group: str, instance: str) -> None:
        self.member_id: str | None = None
        self._connection = connection
        self._group = group
        self._ours = re.compile(f"{re.escape(instance)}-{_UNIQUE}")

    async def taken(self) -> bool:
        """Whether somebody else of our name is in the group; no, where the broker does not say."""
        if self.member_id is None:
            return False
        try:
            members = await self._members()
        except (KafkaError, OSError) as error:
            log.warning("cannot look who is in group %s: %s", self._group, error)
            return False
        return any(member != self.member_id and self._ours.fullmatch(member) for member in members)

    async def _members(self) -> list[str]:
        async with open_admin(self._connection, request_timeout_ms=_REQUEST_MS) as admin:
            (answer,) = await admin.describe_consumer_groups([self._group])
            groups = answer.to_object()["groups"]
            return [member["member_id"] for group in groups for member in group["members"]]
