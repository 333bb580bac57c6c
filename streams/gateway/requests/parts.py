"""Files within requests: what is known of one, and who takes its bytes."""

from dataclasses import dataclass
from typing import Protocol

from streams.gateway.requests.fields import Fields


@dataclass(frozen=True)
class FilePart:
    """A file as a request announces it.

    Attributes:
        name: The field that it is in.
        filename: As the caller calls it, without folders; None: it came as text.
        content_type: As the caller says; it proves nothing.
    """

    name: str
    filename: str | None
    content_type: str


class FileSink(Protocol):
    """Takes a file's bytes as they come. Whoever gave it away cleans up where reading raises."""

    async def begin(self, part: FilePart, fields: Fields) -> None:
        """A file begins.

        Args:
            part: What is known of it.
            fields: Those that came before it; what follows it is not known yet.
        """

    async def write(self, data: bytes) -> None:
        """Take more of it."""

    async def end(self) -> None:
        """It is whole."""


@dataclass(frozen=True)
class FormShape:
    """Which fields hold the file.

    Attributes:
        file: A part with bytes, or a text that may be a `data:` URI; any other text of it stays a field.
        base64: A text with the bytes in base64; None: no field is.
    """

    file: str = "file"
    base64: str | None = None


@dataclass(frozen=True)
class Form:
    """What a request holds.

    Attributes:
        fields: All but the file.
        file: What went to the sink; None: nothing did.
    """

    fields: Fields
    file: FilePart | None = None


def name_of(filename: str) -> str:
    """Give a file's own name: UTF-8 if it can be read so, else Latin-1; no folders, nothing invisible.

    Args:
        filename: The name as it came, each byte as a character.
    """
    try:
        text = filename.encode("latin-1").decode()
    except UnicodeError:
        text = filename
    own = text.replace("\\", "/").rpartition("/")[2]
    return "".join(character for character in own if character.isprintable())[:255]
