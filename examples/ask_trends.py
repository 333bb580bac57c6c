"""Print what is used most, what rises, and how one tag went, as a worker answers over HTTP.

Run: python examples/ask_trends.py mammal
Set: TAGSTREAM_API (http://127.0.0.1:6066), TAGSTREAM_TOKEN (empty; where workers ask for one)
"""

import os
import sys
from collections.abc import Sequence
from typing import Any

import httpx

API = os.environ.get("TAGSTREAM_API", "http://127.0.0.1:6066")
TOKEN = os.environ.get("TAGSTREAM_TOKEN")


def ask(client: httpx.Client, path: str, **parameters: str | int) -> Any:  # noqa: ANN401 - JSON
    """An answer; where there is none, end with the worker's reason."""
    answer = client.get(path, params=parameters)
    if answer.is_error:
        sys.exit(answer.json()["reason"])
    return answer.json()


def print_table(title: str, rows: Sequence[Sequence[object]]) -> None:
    """Print a title, and a line per row."""
    lines = ("  ".join(f"{cell!s:<20}" for cell in row).rstrip() for row in rows)
    print(title, *lines, sep="\n  ")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    tag = sys.argv[1]
    headers = {"authorization": f"Bearer {TOKEN}"} if TOKEN else {}
    with httpx.Client(base_url=API, headers=headers) as worker:
        top = ask(worker, "/trends/top", window="24h", limit=5)
        rising = ask(worker, "/trends/rising", window="24h", limit=5, least_uses=2, least_uploaders=1)
        series = ask(worker, f"/trends/tags/{tag}", window="24h")
    print_table("most used", [(row["tag"], row["count"]) for row in top["tags"]])
    print_table("rising", [(row["tag"], row["observed"], row["expected"]) for row in rising["tags"]])
    points = [(point["start"], point["count"]) for point in series["points"] if point["count"]]
    print_table(f"{tag}, by {series['step']}", points)
    if not top["complete"]:
        print("a worker is still loading, or Kafka is away: there may be more")
