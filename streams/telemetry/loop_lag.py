"""How late the event loop is: whatever holds it up holds up every partition."""

import asyncio

from streams.telemetry.recorder import Recorder

INTERVAL = 0.5  # seconds


async def watch_loop(recorder: Recorder) -> None:
    """Ask to be woken, and record how much later it was; for ever."""
    lag = recorder.histogram("tagstream_event_loop_lag_seconds").of()
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + INTERVAL
        await asyncio.sleep(INTERVAL)
        lag.observe(loop.time() - due)
