"""Who calls: by a signature, by Basic credentials, or by nothing but an unsigned preset.

Right Basic credentials suffice, whatever else is sent: some SDKs send them along with a signature that they
broke themselves. Wrong ones are refused although a signature might be right.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from litestar.types import HTTPScope

from streams.gateway.requests.credentials import Cloud, Credentials, Key, Preset, Right
from streams.gateway.requests.fields import Fields
from streams.gateway.requests.problems import BadCallError, ForbiddenError, UnknownCallerError, shown
from streams.gateway.requests.signature import check_signature

MAX_HEADER = 4096
_TO_STANDARD = str.maketrans("-_", "+/")
_SUPPLY = "sign the call, or send the key and its secret as Basic credentials"


@dataclass(frozen=True)
class Caller:
    """Who calls, and on what grounds.

    Attributes:
        cloud: The cloud of the call's path.
        key: The caller's; None: an upload by nothing but an unsigned preset.
        preset: The one that the call names.
        repeat: Two calls with the same one are one call, sent twice; None: nothing tells.
    """

    cloud: Cloud
    key: Key | None
    preset: Preset | None = None
    repeat: str | None = None

    @property
    def name(self) -> str:
        """Give the key's id, for logs and limits."""
        return self.key.id if self.key else f"preset {self.preset.name if self.preset else ''}"

    @property
    def signing_key(self) -> Key:
        """Give the key that the answer is signed with."""
        return self.key or self.cloud.signing_key

    def require(self, right: Right, *, admin: bool = False) -> None:
        """Refuse what the caller may not do.

        Args:
            right: What it wants to do.
            admin: Whether the call is of the Admin API, whose clients read the status 403.

        Raises:
            UnknownCallerError: It may not; on the Upload API.
            ForbiddenError: It may not; on the Admin API.
        """
        may = self.key.may if self.key else {Right.WRITE}
        if right not in may:
            refusal = ForbiddenError if admin else UnknownCallerError
            raise refusal(
                f"API key {self.name} may {', '.join(sorted(may))}; this call needs a key that may {right}"
            )


def authenticate_signed(
    credentials: Credentials,
    cloud: str,
    scope: HTTPScope,
    fields: Fields,
    now: float,
    *,
    action: str = "upload",
) -> Caller:
    """Tell who makes a call of the Upload API.

    Args:
        credentials: Those that hold.
        cloud: As in the path.
        scope: The request's.
        fields: All of them.
        now: Seconds since the epoch.
        action: The last part of the path.

    Raises:
        UnknownCallerError: Nobody who may.
        BadCallError: Something is missing, or the preset is unknown.
    """
    found = _cloud_of(credentials, cloud)
    if (basic := basic_credentials(scope)) is not None:
        return Caller(found, _known(credentials, cloud, basic), _preset(found, fields))
    if fields.text("signature") is None:
        return _unsigned(found, fields, action)
    key_id = fields.text("api_key")
    key = found.keys.get(key_id) if key_id else None
    if key is None:
        raise UnknownCallerError(f"Unknown API key {shown(key_id)}" if key_id else "Must supply api_key")
    check_signature(fields, key.secret, now, action=action, ambiguous=found.ambiguous_signatures)
    return Caller(found, key, _preset(found, fields), _repeat(scope, fields, action))


def _repeat(scope: HTTPScope, fields: Fields, action: str) -> str | None:
    """What tells a repeat: not the signature alone, which two like calls within a second have in common.

    Every SDK chooses the boundary of a form anew for each call. Calls without one are repeats of each other
    only where they bring a file: tags that were added, taken away and added again are no repeat.
    """
    headers = [value.decode("latin-1") for name, value in scope["headers"] if name == b"content-type"]
    boundary = next((header for header in headers if "boundary=" in header), None)
    signature = fields.text("signature")
    if boundary is None:
        return signature if action == "upload" else None
    return f"{signature} {boundary}"


def authenticate_basic(credentials: Credentials, cloud: str, scope: HTTPScope) -> Caller:
    """Tell who makes a call of the Admin API, or of another API with Basic credentials.

    Raises:
        UnknownCallerError: Nobody who may.
    """
    found = _cloud_of(credentials, cloud)
    basic = basic_credentials(scope)
    if basic is None:
        raise UnknownCallerError("Must supply api_key: send the key and its secret as Basic credentials")
    return Caller(found, _known(credentials, cloud, basic))


def authenticate_key(credentials: Credentials, scope: HTTPScope) -> Caller:
    """Tell who makes a call whose path names no cloud: the key's cloud is the caller's.

    Raises:
        UnknownCallerError: Nobody who may.
    """
    basic = basic_credentials(scope)
    if basic is None:
        raise UnknownCallerError("No credentials: send the key and its secret as Basic credentials")
    found = [(cloud, credentials.key(cloud.name, *basic)) for cloud in credentials.clouds.values()]
    for cloud, key in found:
        if key is not None:
            return Caller(cloud, key)
    raise UnknownCallerError(f"Invalid API key or secret: key {shown(basic[0])}")


def check_before_file(credentials: Credentials, cloud: str, scope: HTTPScope, fields: Fields) -> None:
    """Refuse an upload before its file is taken, where what came before the file shows that it is in vain.

    Raises:
        UnknownCallerError: Basic credentials are wrong, or the key is none of the cloud's.
    """
    found = _cloud_of(credentials, cloud)
    if (basic := basic_credentials(scope)) is not None:
        _known(credentials, cloud, basic)
    elif (key_id := fields.text("api_key")) is not None and key_id not in found.keys:
        raise UnknownCallerError(f"Unknown API key {shown(key_id)}")


def basic_credentials(scope: HTTPScope) -> tuple[str, str] | None:
    """Give the key and the secret of a request's header; None: it has none, or empty ones.

    Raises:
        UnknownCallerError: The header is of another scheme, or cannot be read.
    """
    headers = [value for name, value in scope["headers"] if name == b"authorization"]
    if not headers:
        return None
    return _read_basic(headers)


def _read_basic(headers: Sequence[bytes]) -> tuple[str, str] | None:
    scheme, _, encoded = headers[0].decode("latin-1").strip().partition(" ")
    if scheme.lower() == "bearer":
        raise UnknownCallerError(f"Invalid token: OAuth tokens are not accepted here; {_SUPPLY}")
    if scheme.lower() != "basic" or len(headers) > 1 or len(encoded) > MAX_HEADER:
        raise UnknownCallerError(f"The Authorization header is not understood; {_SUPPLY}")
    standard = encoded.strip().translate(_TO_STANDARD)  # Ruby's SDK uses the URL-safe alphabet
    try:
        decoded = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise UnknownCallerError(f"The Basic credentials are no base64; {_SUPPLY}") from None
    try:
        text = decoded.decode()
    except UnicodeDecodeError:
        text = decoded.decode("latin-1")
    key, _, secret = text.partition(":")
    return (key, secret) if key or secret else None


def _cloud_of(credentials: Credentials, name: str) -> Cloud:
    found = credentials.cloud(name)
    if found is None:
        raise UnknownCallerError(f"Invalid cloud_name {shown(name)}")
    return found


def _known(credentials: Credentials, cloud: str, basic: tuple[str, str]) -> Key:
    key = credentials.key(cloud, *basic)
    if key is None:
        raise UnknownCallerError(f"Invalid API key or secret: key {shown(basic[0])} of the cloud {cloud}")
    return key


def _unsigned(cloud: Cloud, fields: Fields, action: str) -> Caller:
    if action != "upload":
        raise UnknownCallerError(f"Missing required parameter - signature: {_SUPPLY}")
    if fields.text("upload_preset") is None:
        if fields.text("api_key") is not None:
            raise UnknownCallerError(f"Missing required parameter - signature: {_SUPPLY}")
        raise BadCallError("Upload preset must be specified when using unsigned upload")
    preset = _preset(cloud, fields)
    if preset is None or not preset.unsigned:
        raise BadCallError("Upload preset must be whitelisted for unsigned uploads")
    return Caller(cloud, None, preset)


def _preset(cloud: Cloud, fields: Fields) -> Preset | None:
    name = fields.text("upload_preset")
    if name is None:
        return None
    preset = cloud.presets.get(name)
    if preset is None:
        raise BadCallError(f"Upload preset not found: {shown(name)}")
    return preset
