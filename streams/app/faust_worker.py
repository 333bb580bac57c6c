"""`faust -A streams.app worker`: the same process as `tagstream worker`, started by Faust's own command."""

import logging
import sys
from typing import Any, NoReturn

import faust

from streams.app.process import run_process

log = logging.getLogger(__name__)


class FaustWorker(faust.Worker):  # type: ignore[misc]  # Faust is untyped here
    """What Faust's command makes to run the app: it takes the settings of the environment, as the app does.

    Faust's own web stays off, whatever the command's flags say: it would show every row to anybody.
    """

    def __init__(self, app: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as its base
        super().__init__(app, *args, **kwargs)
        app.conf.web_enabled = False

    def execute_from_commandline(self) -> NoReturn:
        """Work until SIGTERM or SIGINT; the exit codes are those of `tagstream worker`."""
        sys.exit(run_process(lambda: self.app))
