"""Host names under which the API may be asked.

A page in a browser on this machine can make a name of its own stand for 127.0.0.1 (DNS rebinding) and then
read our answers as its own. The browser cannot hide the name: it is in `Host`.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.errors import SettingsError
from streams.web.access.refusals import WrongHostError

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[^\s:\[\]@/\\]+))(?::[0-9]{0,5})?")
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")


@dataclass(frozen=True)
class Hosts:
    """What may stand in `Host`; the port does not matter.

    Attributes:
        names: Names and addresses that may.
        addresses: Whether any address may: no name can be rebound to it.
        anything: Whether nothing is checked: whoever asks needs a token, which no foreign page has.
    """

    names: frozenset[str] = LOOPBACK_NAMES
    addresses: bool = False
    anything: bool = False

    @classmethod
    def of(cls, bound: str, names: str, *, tokens: bool) -> "Hosts":
        """Decide what may.

        Args:
            bound: The address that is listened on.
            names: Further names, separated by commas.
            tokens: Whether a token is needed.

        Raises:
            SettingsError: A name is none.
        """
        more = {name.strip().lower() for name in names.split(",") if name.strip()}
        for name in more:
            if not _NAME.fullmatch(name) and not is_address(name):
                raise SettingsError(f"TAGSTREAM_WEB_NAMES: {name!r} is no host name; say it without a port")
        outside = not is_loopback(bound)
        return cls(LOOPBACK_NAMES | more, addresses=outside, anything=outside and tokens and not more)

    def check(self, values: Sequence[str]) -> None:
        """Refuse a request for another host.

        Args:
            values: The request's `Host` headers.

        Raises:
            WrongHostError: It is for none of ours, for several, or does not say.
        """
        if self.anything:
            return
        found = _HOST.fullmatch(values[0].lower()) if len(values) == 1 else None
        host = (found["v6"] or found["name"]).removesuffix(".") if found else ""
        if host in self.names or (self.addresses and is_address(host)):
            return
        shown = repr(values[0][:64]) if values else "nothing"
        message = f"Host says {shown}; ask localhost or 127.0.0.1, or name the host in TAGSTREAM_WEB_NAMES"
        raise WrongHostError("unknown_host_name", message)


def is_address(text: str) -> bool:
    """Tell whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches what listens on a host."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)
