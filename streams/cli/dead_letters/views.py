"""Dead letters as people and programs read them. Their contents are strangers': nothing is printed raw."""

import base64
import json
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from schemas.cloudevents import Headers
from schemas.origins import read_origin
from schemas.reasons import reason_of
from schemas.replays import original_headers
from schemas.times import utc_datetime
from streams.kafka.letters.letters import Letter, Summary

SHOWN_VALUE = 4000  # characters
SHOWN_TEXT = 200


def shown(content: bytes | str | None, limit: int = SHOWN_TEXT) -> str:
    """Text that no terminal takes for commands: escapes instead of what cannot be seen."""
    if content is None:
        return "(none)"
    text = content if isinstance(content, str) else content.decode(errors="backslashreplace")
    visible = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text[:limit])
    return visible if len(text) <= limit else f"{visible}… ({len(text)} characters)"


def place_text(letter: Letter) -> str:
    """The letter's place as PARTITION/OFFSET."""
    return "/".join(map(str, letter.place))


def time_text(letter: Letter) -> str:
    """When the event became a dead letter, RFC 3339 in UTC."""
    return utc_datetime(letter.record.timestamp).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def line(letter: Letter) -> Text:
    """One line for one letter."""
    fault = letter.fault
    text = Text(f"{place_text(letter):<9}", style="cyan").append(f" {time_text(letter)} ", style="dim")
    text.append(f" {shown(fault.reason)}{'*' if fault.retryable else ''}", style="red")
    text.append(f"  {shown(letter.image)}", style="bold")
    return text.append(f"  {shown(fault.message)}", style="dim")


def summary_table(summary: Summary) -> Table:
    """The number of letters by reason, most first, each reason in plain words with its cure."""
    table = Table(
        title="* may pass if it is published again as it is", title_justify="left", title_style="dim"
    )
    table.add_column("reason", style="red", no_wrap=True)
    table.add_column("letters", justify="right")
    table.add_column("meaning")
    table.add_column("cure")
    for code, count in summary.reasons.most_common():
        known = reason_of(code)
        star = "*" if summary.retryable[code] else ""
        table.add_row(Text(shown(code) + star), f"{count:,}", Text(known.meaning), Text(known.cure))
    return table


def explanation(letter: Letter, topic: str) -> Text:
    """Everything about one letter."""
    fault, known = letter.fault, reason_of(letter.fault.reason)
    origin = read_origin(letter.record.headers)
    facts = {
        "dead letter": f"{topic}/{place_text(letter)}, since {time_text(letter)}",
        "event": str(letter.failed) if letter.failed else "(not said: this is no letter of a worker)",
        "replay of": str(origin.place) if origin else None,
        "image": shown(letter.image),
        "source host": shown(letter.host) if letter.host else None,
        "reason": shown(fault.reason),
        "came out at": shown(fault.stage),
        "retryable": "yes: it may pass if it is published again as it is" if fault.retryable else "no",
        "error": f"{shown(fault.error)}: {shown(fault.message, 1000)}",
        "meaning": known.meaning,
        "cure": known.cure,
    }
    text = Text()
    for name, fact in facts.items():
        if fact is not None:
            text.append(f"{name:<12} ", style="bold").append(f"{fact}\n")
    return text.append_text(_record(letter))


def _record(letter: Letter) -> Text:
    text = Text("\nthe event as it was published\n", style="bold")
    text.append(f"key          {shown(letter.record.key)}\n")
    for name, content in original_headers(letter.record.headers):
        text.append(f"header       {shown(name)}: {shown(content)}\n")
    return text.append(f"value        {shown(letter.record.value, SHOWN_VALUE)}")


def as_json(letter: Letter, *, everything: bool = False) -> bytes:
    """A letter as one line of JSON, in ASCII; with `everything` also headers, meaning and cure."""
    found: dict[str, Any] = {
        "letter": place_text(letter),
        "at": time_text(letter),
        "event": str(letter.failed) if letter.failed else None,
        "key": _text(letter.record.key),
        "image": letter.image,
        "host": letter.host,
        "fault": msgspec.structs.asdict(letter.fault),
        "original": _text(letter.record.value),
    }
    if everything:
        found |= {"headers": _headers(letter.record.headers)}
        found |= msgspec.structs.asdict(reason_of(letter.fault.reason))
    return json.dumps(found).encode()


def _headers(headers: Headers) -> list[list[Any]]:
    return [[name, _text(content)] for name, content in original_headers(headers)]


def _text(content: bytes | None) -> str | dict[str, str] | None:
    """A text, or what is no text in base64: a program must be able to tell and to get it back."""
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}
