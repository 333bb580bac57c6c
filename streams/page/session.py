"""Signing in: a token that is known is kept in a cookie, which no script can read."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from importlib.metadata import version

import msgspec

from streams.page.replies import Bytes
from streams.page.requests import AnyRequest, Writing, require_own_page
from streams.web.access.callers import Caller, Scope
from streams.web.access.cookies import forgotten, kept
from streams.web.access.refusals import UnknownCallerError
from streams.web.replies import Json

MAX_TENANTS = 1000  # that are listed for who may ask about all


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Who is signed in.

    Attributes:
        reads: Whether questions are answered.
        writes: Whether something may be changed.
        tenants: Whose images may be asked about; those with images, where that is everybody's.
        every_tenant: Whether it is everybody's.
        thumbnails: Whether there are small pictures.
        threshold: Where nothing else is said, tags with a higher confidence are assigned; None: none are.
        add_ons: What looks at images.
    """

    version: str
    needs_token: bool
    name: str
    reads: bool
    writes: bool
    tenants: list[str]
    every_tenant: bool
    thumbnails: bool
    threshold: float | None
    add_ons: list[str]


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What a page is told of the deployment: see `Session`."""

    needs_token: bool
    thumbnails: bool
    threshold: float | None
    add_ons: list[str]


class Sessions:
    """Signs in and out."""

    def __init__(self, known: Known, writing: Writing, tenants: Callable[[], Iterable[str]]) -> None:
        """Prepare.

        Args:
            known: What all are told.
            writing: Who may change something.
            tenants: Those with images.
        """
        self._known = known
        self._writing = writing
        self._tenants = tenants

    async def show(self, request: AnyRequest) -> Json:
        """Tell who is signed in."""
        return self._told(request.scope["user"])

    async def sign_in(self, request: AnyRequest) -> Json:
        """Keep the token of this request in a cookie.

        Raises:
            UnknownCallerError: It is not known.
        """
        require_own_page(request)
        caller: Caller | None = request.scope["user"]
        if caller is None:
            rule = "this token is not known here, or no longer; ask whoever runs this for another one"
            raise UnknownCallerError("invalid_token", rule)
        token = request.headers.get("authorization", "").partition(" ")[2].strip()
        answer = self._told(caller)
        if not caller.name:
            return answer
        secure = "https" in {request.scope["scheme"], request.headers.get("x-forwarded-proto")}
        return Json(answer.body, headers={"set-cookie": kept(token, secure=secure)})

    async def sign_out(self, request: AnyRequest) -> Bytes:
        """Forget the token."""
        require_own_page(request)
        return Bytes(b"", {"set-cookie": forgotten()}, HTTPStatus.OK)

    def _told(self, caller: Caller | None) -> Json:
        every = caller is not None and caller.tenants is None
        names = (caller.tenants or ()) if caller and not every else self._tenants() if every else ()
        session = Session(
            version=version("tagstream"),
            needs_token=self._known.needs_token,
            name=caller.name if caller else "",
            reads=caller is not None and Scope.READ in caller.scopes,
            writes=self._writing.allowed(caller),
            tenants=sorted(names)[:MAX_TENANTS],
            every_tenant=every,
            thumbnails=self._known.thumbnails,
            threshold=self._known.threshold,
            add_ons=self._known.add_ons,
        )
        return Json(msgspec.json.encode(session))
