"""The process: the Faust app, settings, what is wired to what, how it starts and ends.

What belongs here knows Faust, reads settings, or puts rooms together; work itself belongs to the rooms. Start
with `worker.py` (order of start and stop), then `faust/app.py` (the agent, and who owns which partition).

Attributes:
    app: The Faust application as the environment's settings say, for `faust -A streams.app ...`. It is made
        when it is asked for.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streams.app.faust.app import Tagstream

    app: Tagstream


def __getattr__(name: str) -> object:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from streams.app.process import app_of_environment  # noqa: PLC0415 - most importers want no Faust

    globals()["app"] = made = app_of_environment()
    return made
