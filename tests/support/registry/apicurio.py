"""A schema registry that answers as Confluent's does: Apicurio, from Maven Central, in memory."""

import contextlib
import hashlib
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

VERSION = "2.6.13.Final"
ARTIFACT = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
SHA256 = "3cda1b34aa020fb4ac4dd6a66018d757e81e437f97e20a1f92d366b70091c6ba"
STARTS_WITHIN = 90  # seconds


def unpacked(folder: Path) -> Path:
    """The program's jar. Maven keeps what it downloads: 142 MB, once."""
    mvn, java = shutil.which("mvn"), shutil.which("java")
    if not mvn or not java:
        pytest.skip("needs Maven and Java")
    options = [f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={folder}", "-Dmdep.stripVersion=true"]
    made = subprocess.run(
        [mvn, "-q", "-B", "dependency:copy", *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert made.returncode == 0, made.stdout
    packed = folder / "apicurio-registry-app-all.tar.gz"
    with packed.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == SHA256
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    packed.unlink()
    return folder / f"apicurio-registry-app-{VERSION}-runner.jar"


@contextlib.contextmanager
def running(jar: Path, port: int) -> Iterator[str]:
    """The address of a registry that is empty, and answers."""
    java = shutil.which("java") or "java"
    options = ["-Xmx512m", f"-Dquarkus.http.port={port}", "-Dquarkus.http.host=127.0.0.1"]
    log = (jar.parent / f"registry-{port}.log").open("wb")
    url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
    with log, subprocess.Popen([java, *options, "-jar", str(jar)], stdout=log, stderr=log) as process:
        try:
            _wait(url, process)
            yield url
        finally:
            process.kill()


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    with httpx.Client(trust_env=False) as client:
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if client.get(f"{url}/subjects").status_code == 200:
                    return
            time.sleep(0.2)
    raise AssertionError(f"no registry answers at {url}")
