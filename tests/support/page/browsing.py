"""A browser that looks at the page of a real run: Debian's Chromium, and axe-core as a judge."""

import asyncio
import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright
from support.cluster import free_port

from schemas.topics import TopicNames
from schemas.uploads import UploadData
from streams.kafka.connection import KafkaConnection
from streams.kafka.publishing import publish_and_wait

Result = TypeVar("Result")
PATIENCE = 40_000  # milliseconds: other tests may be at work on the same cores
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
INSTALLED = Path(__file__).parents[2] / "page" / "installed"
PHOTOS = Path(__file__).parents[3] / "streams" / "photos"
_WATCH = """
window.seen = [];
document.addEventListener('securitypolicyviolation', (event) => {
  window.seen.push(event.violatedDirective + ' ' + event.blockedURI)
});
"""
_READY = "() => document.querySelector('main h1') && !document.querySelector('main .loading, [aria-busy]')"


@dataclass(frozen=True)
class Run:
    """A run of the samples that stays up.

    Attributes:
        url: The page's address.
        environment: What leads other commands to its broker and topics.
    """

    url: str
    environment: dict[str, str]


@contextmanager
def running(kafka: str, unique: str, folder: Path, **settings: str) -> Iterator[Run]:
    """`tagstream run`, with topics, ports and files of its own."""
    port = free_port()
    environment = {
        **os.environ,
        "COLUMNS": "200",
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "TAGSTREAM_APP_ID": unique,
        "TAGSTREAM_TOPIC_PREFIX": f"{unique}.",
        "TAGSTREAM_GATEWAY_PORT": str(free_port()),
        **settings,
    }
    ports = ["--web-port", str(port), "--photo-port", str(free_port())]
    command = [sys.executable, "-m", "streams.cli", "run", "--data-dir", str(folder), *ports]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            told = ""
            while "Ctrl-C" not in told:
                line = process.stdout.readline()
                assert line, f"it has ended: {told}"
                told += line
            assert f"http://127.0.0.1:{port}/" in told.replace("\n", " ")
            yield Run(f"http://127.0.0.1:{port}/", environment)
        finally:
            process.terminate()
            process.wait(60)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """A tab that notes whatever is wrong.

    Attributes:
        faults: Errors that the browser told, dialogs that opened, requests to other hosts.
    """

    page: Page
    url: str
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._told)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on(
            "dialog", lambda dialog: (self.faults.append(f"dialog: {dialog.message}"), dialog.dismiss())
        )
        self.page.on("request", self._asked)

    def _told(self, message: ConsoleMessage) -> None:
        not_found = "status of 404" in message.text  # an answer like any other
        if message.type == "error" and not not_found:
            self.faults.append(f"console: {message.text} {message.location}")

    def _asked(self, request: Any) -> None:  # noqa: ANN401 - Playwright's
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.faults.append(f"asked another host: {request.url}")

    def go(self, address: str) -> Page:
        """Look at a view, once it is whole."""
        self.page.goto(f"{self.url}#{address}")
        self.ready()
        return self.page

    def ready(self) -> None:
        """Wait until the view is whole."""
        self.page.wait_for_function(_READY)

    @property
    def wrong(self) -> list[str]:
        """All that was wrong, violations of the policy first."""
        return [*self.page.evaluate("window.seen ?? []"), *self.faults]


def visit(context: BrowserContext, url: str) -> Visit:
    """Open a tab."""
    context.add_init_script(_WATCH)
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    return Visit(context.new_page(), url)


def in_thread(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine, where Playwright has this thread's event loop."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, work).result()


def publish(run: Run, *events: UploadData) -> None:
    """Publish events, and wait until each has its outcome."""
    names = TopicNames(run.environment["TAGSTREAM_APP_ID"], run.environment["TAGSTREAM_TOPIC_PREFIX"])
    connection = KafkaConnection(run.environment["KAFKA_BOOTSTRAP_SERVERS"])
    publication = in_thread(publish_and_wait(connection, names, list(events), timeout=60))
    assert not publication.waiting


def data_url(photo: str) -> str:
    """A sample photo as an address of its own."""
    return "data:image/jpeg;base64," + base64.b64encode((PHOTOS / photo).read_bytes()).decode()


def install_axe(folder: Path) -> str:
    """The source of axe-core, by npm from the lock file."""
    for name in ("package.json", "package-lock.json"):
        (folder / name).write_bytes((INSTALLED / name).read_bytes())
    quiet = ("--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts")
    subprocess.run(
        [shutil.which("npm") or "npm", "ci", "--prefix", str(folder), *quiet], check=True, capture_output=True
    )
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")
