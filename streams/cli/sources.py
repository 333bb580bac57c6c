"""The photos that `tagstream publish` is told to publish, each under a public id of its own."""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from schemas.errors import BadEventError
from schemas.names import MAX_NAME, check_visible
from streams.cli.charts import counted

# Kinds of files that workers may decode. What else lies in a folder is left out, and counted.
EXTENSIONS = frozenset(
    {
        *(".apng", ".avif", ".bmp", ".gif", ".heic", ".heif", ".hif", ".jfif", ".jpe", ".jpeg", ".jpg"),
        *(".png", ".tif", ".tiff", ".webp"),
    }
)
_SHOWN_KINDS = 3


class SourcesError(ValueError):
    """What is named cannot be published as it is; the message names it, the rule and the cure."""


@dataclass(frozen=True)
class Photo:
    """A photo to publish.

    Attributes:
        public_id: Identity of the image.
        source: How it was named: a path or a URL.
        file: Where it lies on this machine; None: workers fetch `source`.
    """

    public_id: str
    source: str
    file: Path | None


@dataclass(frozen=True)
class _Found:
    """A photo that is named, or lies in a folder that is.

    Attributes:
        name: Path below the folder that was named, or the last part of what was; with its extension.
    """

    name: str
    source: str
    file: Path | None

    @property
    def identity(self) -> object:
        return self.file.resolve() if self.file else self.source


class Sources:
    """Folders, files and URLs, read as photos.

    Attributes:
        photos: What to publish. Each has a public id of its own.
        left_out: Files of other kinds in the folders, by extension.
    """

    def __init__(self, named: Iterable[str], prefix: str = "", *, keep_extension: bool = False) -> None:
        """Find the photos.

        Args:
            named: Folders, files and URLs.
            prefix: Put before each public id.
            keep_extension: Whether public ids end as their files do.

        Raises:
            SourcesError: One is not there, cannot be read, has no photos, or cannot have its public id.
        """
        self.left_out: Counter[str] = Counter()
        name = _whole if keep_extension else without_extension
        found = [each for source in named for each in self._found(source)]
        self.photos = _told_apart([(prefix + name(each.name), each) for each in found])

    def left_out_text(self) -> str:
        """How many files of the folders are no photos by their names, and of which kinds most are."""
        kinds = [f"{kind} {count}" for kind, count in self.left_out.most_common(_SHOWN_KINDS)]
        more = ", …" if len(self.left_out) > _SHOWN_KINDS else ""
        return f"{counted(self.left_out.total(), 'other file')} ({', '.join(kinds)}{more})"

    def _found(self, source: str) -> Sequence[_Found]:
        if is_url(source):
            return [_Found(_name_in(source), source, None)]
        path = Path(source)
        if path.is_file():
            return [_Found(path.name, source, _readable(path))]
        if not path.is_dir():
            raise SourcesError(f"{source!r} is no file, no folder and no URL")
        return self._below(path)

    def _below(self, folder: Path) -> Sequence[_Found]:
        kinds = {path: _kind(path) for path in _entries(folder)}
        photos = [path for path, kind in kinds.items() if kind in EXTENSIONS]
        self.left_out.update(kind for kind in kinds.values() if kind not in EXTENSIONS)
        if not photos:
            held = f"; it holds {self.left_out_text()}" if kinds else ""
            rule = f"holds no photos ({', '.join(sorted(EXTENSIONS))})"
            raise SourcesError(f"folder {str(folder)!r} {rule}{held}")
        return [_Found(path.relative_to(folder).as_posix(), str(path), _readable(path)) for path in photos]


def _entries(folder: Path) -> list[Path]:
    """All files below a folder, and the links to other folders, which are not followed."""

    def refuse(error: OSError) -> None:
        cure = "change its permissions, or leave it out"
        raise SourcesError(f"{error.filename!r} cannot be read ({error.strerror}): {cure}") from error

    return sorted(
        path
        for base, folders, files in os.walk(folder, onerror=refuse)
        for path in (Path(base, name) for name in (*folders, *files))
        if path.is_file() or path.is_symlink()
    )


def _kind(path: Path) -> str:
    if not path.is_file():
        return "link to a folder" if path.is_dir() else "link to nothing"
    return path.suffix.lower() or path.name


def is_url(source: str) -> bool:
    """Whether workers are to fetch it; the rest is on this machine."""
    return source[:5].lower() == "data:" or "://" in source


def without_extension(name: str) -> str:
    """A name without the extension of a kind of photos; other endings belong to the name."""
    stem, extension = os.path.splitext(name)  # noqa: PTH122 - URLs have names, too
    return stem if extension.lower() in EXTENSIONS else name


def _whole(name: str) -> str:
    return name


def _readable(path: Path) -> Path:
    if not os.access(path, os.R_OK):
        raise SourcesError(f"{str(path)!r} may not be read: change its permissions, or leave it out")
    return path


def _name_in(url: str) -> str:
    """The last part of a URL's path, else its host; a data URL has neither, and is called by its content."""
    if url[:5].lower() == "data:":
        return f"data-{hashlib.sha256(url.encode(errors='replace')).hexdigest()[:16]}"
    try:
        parts = urlsplit(url)
    except ValueError:  # workers refuse it, and say why
        return url
    name = parts.path.rstrip("/").rpartition("/")[2]
    try:
        return unquote(name, errors="strict") or parts.hostname or url
    except UnicodeDecodeError:
        return name


def _told_apart(found: Iterable[tuple[str, _Found]]) -> list[Photo]:
    """One photo per public id; what is named twice counts once."""
    by_id: defaultdict[str, dict[object, _Found]] = defaultdict(dict)
    for public_id, each in found:
        by_id[_checked(public_id, each)].setdefault(each.identity, each)
    merged = [(public_id, list(same.values())) for public_id, same in by_id.items() if len(same) > 1]
    if merged:
        raise SourcesError(_collision(*merged[0], more=len(merged) - 1))
    chosen = ((public_id, next(iter(same.values()))) for public_id, same in by_id.items())
    return [Photo(public_id, each.source, each.file) for public_id, each in chosen]


def _checked(public_id: str, found: _Found) -> str:
    try:
        public_id.encode()
        check_visible("invalid_event", "public id", public_id)
    except UnicodeEncodeError:
        raise SourcesError(f"{found.source!r}: its name is not UTF-8; rename it") from None
    except BadEventError as error:
        raise SourcesError(f"{found.source!r}: {error}, or rename it") from None
    if len(public_id) > MAX_NAME:
        rule = f"has {len(public_id)} characters, at most {MAX_NAME} are possible"
        raise SourcesError(f"{found.source!r}: public id {public_id[:64]!r}… {rule}; shorten its name")
    return public_id


def _collision(public_id: str, same: Sequence[_Found], *, more: int) -> str:
    first, second = same[:2]
    others = f", and {more} more public ids are meant twice" if more else ""
    fault = f"{first.source!r} and {second.source!r} would be one image, public id {public_id!r}{others}"
    return f"{fault}; nothing was published. {_cure(first, second)}"


def _cure(first: _Found, second: _Found) -> str:
    if first.name != second.name:
        return "Rename one, or say --keep-extension"
    apart = "publish them apart, each with a --public-id-prefix of its own"
    both_here = first.file and second.file
    return f"Name a folder that holds both, or {apart}" if both_here else apart.capitalize()
