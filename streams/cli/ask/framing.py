"""What is around each answer in the terminal: what it is about, how fresh it is, and what is missing."""

from collections.abc import Collection, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from schemas.answers.trends import Answer, PartitionState, Window
from streams.cli.charts import counted, printable, when

Line = Text | str


def framed(title: Line, body: RenderableType | None, answer: Answer, *notes: Line) -> RenderableType:
    """Put an answer between its title and how fresh it is.

    Args:
        title: What it is about.
        body: What it says; None: nothing.
        answer: Whose freshness is told.
        notes: Lines below the body.
    """
    parts = [Text(title, style="bold") if isinstance(title, str) else title, body]
    parts += [Text(note, style="dim") if isinstance(note, str) else note for note in notes]
    parts += [warning_line(answer), freshness_line(answer)]
    return Group(*(part for part in parts if part is not None))


def window_text(window: Window) -> str:
    """A window's name and the event times that it spans."""
    if window.start is None and window.end is None:
        return "all time"
    start = "the beginning" if window.start is None else when(window.start)
    end = "now" if window.end is None else when(window.end)
    return f"{window.name}: {start} to {end} UTC"


def freshness_line(answer: Answer) -> Text:
    """The latest event time that is counted, and how many uploads wait."""
    times = [state.event_time for state in answer.as_of if state.event_time is not None]
    latest = f"counted up to {when(max(times), '%Y-%m-%d %H:%M:%S')} UTC" if times else "nothing counted yet"
    lags = [state.lag for state in answer.as_of]
    waiting = "an unknown number of uploads wait" if None in lags or not lags else _waiting(lags)
    return Text(f"{latest}, {waiting}", style="dim")


def warning_line(answer: Answer) -> Text | None:
    """Name the partitions that are not in an answer, or behind; None: there are none."""
    states = {state.partition: state for state in answer.as_of}
    missing = [number for number, state in states.items() if not state.ready]
    late = [states[number] for number in answer.behind if number in states and states[number].ready]
    faults = [f"partition {state.partition} is behind, {_waiting([state.lag])}" for state in late]
    if missing:
        which = "partition" if len(missing) == 1 else "partitions"
        faults.insert(0, f"incomplete without {which} {', '.join(map(str, missing))}, still being loaded")
    elif not answer.complete:
        faults.insert(0, _why_incomplete(states.values()))
    return Text("; ".join(faults), style="yellow") if faults else None


def _why_incomplete(states: Collection[PartitionState]) -> str:
    if not states:
        return "incomplete: the worker does not know the partitions yet; is Kafka up?"
    if all(state.lag is None for state in states):
        return "perhaps incomplete: Kafka does not answer the worker"
    return "incomplete: the worker is still loading"


def more(cursor: str | None) -> Iterator[Text]:
    """How to get the next page, where there is one."""
    if cursor is not None:
        yield Text(f"more with --cursor {printable(cursor)}", style="dim", no_wrap=True, overflow="ignore")


def _waiting(lags: Sequence[int | None]) -> str:
    count = sum(lag or 0 for lag in lags)
    return f"{counted(count, 'upload')} {'waits' if count == 1 else 'wait'}"
