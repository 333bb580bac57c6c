"""Listening on the address that settings name."""

from schemas.errors import SettingsError
from streams.app.settings import Settings, variable
from streams.web.server import WebServer


async def listen(server: WebServer, settings: Settings, part: str, port: int | None = None) -> int:
    """Let a server listen.

    Args:
        server: The server.
        settings: The operator's.
        part: What the names of its settings begin with, such as `web`.
        port: Where to listen; None: where the setting says.

    Returns:
        The port, where 0 was asked for as well.

    Raises:
        SettingsError: The address cannot be listened on.
    """
    host = getattr(settings, f"{part}_host")
    port = getattr(settings, f"{part}_port") if port is None else port
    try:
        return await server.start(host, port)
    except OSError as error:
        said = f"{variable(f'{part}_host')}={host!r}, {variable(f'{part}_port')}={port}"
        cure = "choose another address or port, or stop what listens there"
        raise SettingsError(f"{said}: {error.strerror or error}; {cure}") from error
