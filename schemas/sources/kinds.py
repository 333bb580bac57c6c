"""What a source's own types of events mean: by the operator's word, or where they are ours."""

from schemas.errors import BadEventError
from schemas.sources.changes import Options, Skipped
from schemas.uploads import UploadType

MEANINGS = {
    "upload": UploadType.UPLOADED,
    "update": UploadType.UPDATED,
    "delete": UploadType.DELETED,
    "skip": None,
}


def kind_of(name: str, options: Options) -> UploadType | Skipped:
    """What a type means.

    Raises:
        BadEventError: Nobody has said: it might remove something.
    """
    if (meant := options.types.get(name)) is not None:
        return MEANINGS[meant] or Skipped(f"the mapping says so of type {name[:64]!r}")
    try:
        return UploadType(name)
    except ValueError:
        known = ", ".join((*UploadType, *options.types))
        message = f"event type {name[:64]!r}; known are {known}: say what it means in `types`"
        raise BadEventError("unknown_type", message) from None
