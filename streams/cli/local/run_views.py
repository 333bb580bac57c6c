"""What `tagstream run` shows besides results: trends, what to try next, a worker's last words."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from streams.gateway.requests.credentials import Credentials

_LAST_LINES = 10


def trends_table(answer: Mapping[str, Any]) -> Table:
    """The tags of an answer of /trends/top, with their counts."""
    trends = Table()
    trends.add_column("tag")
    trends.add_column("images", justify="right")
    for row in answer["tags"]:
        trends.add_row(row["tag"], str(row["count"]))
    return trends


@dataclass(frozen=True)
class NextSteps:
    """What can be tried while a run is up.

    Attributes:
        serve_port: Where `publish` must serve files; None: where it does by itself.
        cloudinary_url: What points a Cloudinary SDK at the gateway.
    """

    servers: str
    topic_prefix: str
    serve_port: int | None
    api: str
    cloudinary_url: str

    def text(self) -> str:
        """The commands, as they are typed on this machine."""
        program = _program()
        flags = f"--broker {self.servers}"
        if self.topic_prefix:
            flags += f" --topic-prefix {self.topic_prefix}"
        serve = f" --serve-port {self.serve_port}" if self.serve_port else ""
        return (
            f"Look at it in a browser: {self.api}/\n"
            "Try next, in another terminal:\n"
            f"  {program} publish {flags}{serve} YOUR_PHOTOS/\n"
            f"  {program} tail {flags}\n"
            f"  curl '{self.api}/trends/top?limit=5'\n"
            "Or with any Cloudinary SDK, by its usual variable:\n"
            f"  export CLOUDINARY_URL='{self.cloudinary_url}'"
        )


def cloudinary_url(credentials: Credentials, gateway: str) -> str:
    """What points a Cloudinary SDK at a gateway, as the first cloud."""
    cloud = next(iter(credentials.clouds.values()))
    key = cloud.signing_key
    return f"cloudinary://{key.id}:{key.secret}@{cloud.name}?upload_prefix={gateway}"


def _program() -> str:
    """How this command was called."""
    name = click.get_current_context().find_root().info_name or "tagstream"
    called = sys.argv[0]
    return called if Path(called).name == name and os.access(called, os.X_OK) else name


def last_words(log_path: Path) -> str:
    """Why a worker ended: its last line, or where that does not say, the end of its log."""
    lines = log_path.read_text("utf-8", errors="replace").splitlines()[-_LAST_LINES:]
    with_json = _message(lines[-1]) if lines else None
    return with_json or f"the end of {log_path}:\n" + "\n".join(lines)


def _message(line: str) -> str | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    critical = isinstance(entry, dict) and entry.get("level") == "CRITICAL"
    return str(entry["message"]) if critical else None
