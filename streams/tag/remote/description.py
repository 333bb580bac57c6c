"""What people write of a model server: a TOML file that takes the place of a model folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from model import ManifestError
from model.tagger.manifest import Input, Name

SUFFIX = ".toml"
DEFAULT_PROMPT = (
    "Tag this photo for an image library: what and who is in it, where it is, what happens, the weather and "
    "the time of day where they can be seen. Lower-case English nouns, most certain first, each with a "
    "confidence from 0 to 1."
)

Count = Annotated[int, msgspec.Meta(ge=1)]
Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]


class InferenceProtocol(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A classifier behind the Open Inference Protocol, version 2, over REST.

    Attributes:
        labels: A file beside this one, a label for each number that comes back.
        vocabulary: Likewise, as in a model folder; None: each label is a tag.
        input: Name of the input tensor.
        output: Name of the output tensor; None: the first that comes back.
        encoding: `tensor` sends pixels, `jpeg` sends a file in Base64.
        pixels: How pixels are sent.
        activation: As in a manifest.
        temperature: Likewise.
        floor: Likewise.
        max_batch: Most images in a call.
    """

    labels: str
    vocabulary: str | None = None
    input: str = "input"
    output: str | None = None
    encoding: Literal["tensor", "jpeg"] = "tensor"
    pixels: Input = Input(224)
    activation: Literal["softmax", "sigmoid", "none"] = "none"
    temperature: Annotated[float, msgspec.Meta(gt=0, le=100)] = 1.0
    floor: Fraction = 0.01
    max_batch: Annotated[int, msgspec.Meta(ge=1, le=256)] = 8


class VisionEndpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model that sees, behind an endpoint like OpenAI's chat completions.

    Attributes:
        prompt: What it is asked.
        labels: A file beside this one with the only tags that it may give, one a line; None: it is free.
        size: The longer side of the picture that it is shown.
        max_tags: Most tags of an image.
        max_tokens: Most tokens of an answer.
    """

    prompt: str = DEFAULT_PROMPT
    labels: str | None = None
    size: Annotated[int, msgspec.Meta(ge=64, le=2048)] = 512
    max_tags: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20
    max_tokens: Annotated[int, msgspec.Meta(ge=16, le=100_000)] = 800


class RemoteModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model on a server.

    Attributes:
        name: Travels with every result.
        version: Likewise; raise it when the model behind the URL is another.
        url: The server's address, up to `/v2` or `/chat/completions`.
        model: What it is called there.
        token: Name of the environment variable with the secret that is sent as a bearer token; None: none is.
        timeout: Seconds for an image, from when it is decoded.
        at_once: Most calls at once.
        per_hour: Most images in an hour; None: no limit.
        max_answer_bytes: Most bytes of an answer.
        oip: It speaks the Open Inference Protocol.
        openai: It speaks as OpenAI's does.
    """

    name: Name
    version: Name
    url: str
    model: Name
    token: str | None = None
    timeout: Annotated[float, msgspec.Meta(gt=0, le=600)] = 20.0
    at_once: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4
    per_hour: Count | None = None
    max_answer_bytes: Annotated[int, msgspec.Meta(ge=1000, le=100_000_000)] = 1_000_000
    oip: InferenceProtocol | None = None
    openai: VisionEndpoint | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if (self.oip is None) == (self.openai is None):
            raise ValueError("one of the tables [oip] and [openai] says how the server is spoken to")
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(
                f"url is {self.url[:80]!r}, but must be http://HOST or https://HOST, maybe with a path"
            )
        if parts.username is not None:
            raise ValueError("url has credentials: put the secret into a variable and name that as `token`")


def is_remote(place: Path | None) -> bool:
    """Whether an add-on's model is told by such a file."""
    return place is not None and place.suffix == SUFFIX


def read_description(path: Path) -> RemoteModel:
    """Read a file.

    Raises:
        ManifestError: It cannot be read, or breaks a rule.
    """
    try:
        return msgspec.toml.decode(path.read_bytes(), type=RemoteModel)
    except OSError as error:
        cure = "name a file that describes a model server (docs/own-models.md)"
        raise ManifestError(f"no description at {path} ({error.strerror}): {cure}") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise ManifestError(
            f"{path} breaks a rule: {error}; correct it as docs/own-models.md describes"
        ) from error


def secret_of(remote: RemoteModel, environment: Mapping[str, str]) -> str | None:
    """The bearer token.

    Raises:
        ManifestError: The variable that is named is empty, or holds what no header can.
    """
    if remote.token is None:
        return None
    secret = environment.get(remote.token, "").strip()
    if not secret or not secret.isascii() or not secret.isprintable():
        rule = f"{remote.name} takes its token from the variable {remote.token}"
        raise ManifestError(f"{rule}, which is empty or no ASCII text: set it, or leave `token` out")
    return secret
