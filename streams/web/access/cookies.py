"""The cookie in which a browser keeps a token, where a page signs people in: no script can read it.

It counts for requests that our own page makes, or that somebody types: browsers say which these are.
"""

import re
from collections.abc import Sequence

COOKIE = "tagstream-token"
_KEPT = "Path=/; HttpOnly; SameSite=Strict"
_OURS = frozenset({"same-origin", "none"})  # `same-site` is another port of this host
_PAIR = re.compile(rf"(?:^|;)\s*{COOKIE}=([^;\s]*)")


def authorizations_in(cookies: Sequence[str], fetch_sites: Sequence[str]) -> list[str]:
    """What the header Authorization would say, were the token there.

    Args:
        cookies: The request's `Cookie` headers.
        fetch_sites: Its `Sec-Fetch-Site` headers; whoever sends none is no browser of today.
    """
    if not _OURS.issuperset(fetch_sites):
        return []
    return [f"Bearer {token}" for cookie in cookies for token in _PAIR.findall(cookie) if token]


def kept(token: str, *, secure: bool) -> str:
    """The header Set-Cookie that keeps a token until the browser is closed."""
    return f"{COOKIE}={token}; {_KEPT}{'; Secure' if secure else ''}"


def forgotten() -> str:
    """The header Set-Cookie that forgets it."""
    return f"{COOKIE}=; {_KEPT}; Max-Age=0"
