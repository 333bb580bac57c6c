"""The rules that hold now: their file is read again when it changes, without a restart."""

import logging
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Self

from streams.fold.rules.advice import advice
from streams.fold.rules.applying import Rules
from streams.fold.rules.content import RulesError, RulesFile, parse_rules, rules_bytes

log = logging.getLogger(__name__)

LOOK_INTERVAL = 0.5  # seconds


class RulesWatch:
    """The rules of a deployment. A context manager; while it is entered, a thread watches the file.

    A new content counts once two looks in a row have found it, so that a file in the middle of being written
    does not. One that cannot be used changes nothing, and is told in the log and by `error`.

    Attributes:
        current: The rules that hold now.
        error: Why the file as it is now does not hold; None: it does.
    """

    def __init__(
        self, path: Path | None, threshold: float | None, known: Mapping[str, Collection[str]]
    ) -> None:
        """Read the file.

        Args:
            path: The rules file; None: there are no rules.
            threshold: Stands in where the rules have no `threshold`.
            known: For each add-on the tags that it can give.

        Raises:
            RulesError: The file cannot be used.
        """
        self.error: str | None = None
        self._path = path
        self._threshold = threshold
        self._known = known
        self._held = b"" if path is None else rules_bytes(path)
        self._last_look: bytes | None = self._held
        content = RulesFile() if path is None else parse_rules(self._held, path)
        self.current = self._taken(content)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="rules", daemon=True)

    def __enter__(self) -> Self:
        if self._path is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Look at the file once; for the thread that watches."""
        if self._path is None:
            return
        try:
            found = rules_bytes(self._path)
        except RulesError as error:
            self._last_look = None
            self._refuse(error)
            return
        settled, self._last_look = found == self._last_look, found
        if not settled or (found == self._held and self.error is None):
            return
        try:
            content = parse_rules(found, self._path)
        except RulesError as error:
            self._refuse(error)
            return
        self._held, self.error = found, None
        self.current = self._taken(content)

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_INTERVAL):
            try:
                self.look()
            except Exception:  # whatever it was: the rules that hold stay, and the next look may succeed
                log.exception("looking at the rules failed")

    def _taken(self, content: RulesFile) -> Rules:
        rules = Rules(content, self._threshold)
        if self._path is not None:
            log.info("%s: rules %s hold now", self._path, rules.hash)
            for warning in advice(content, self._known):
                log.warning("%s: %s", self._path, warning)
        return rules

    def _refuse(self, error: RulesError) -> None:
        if str(error) == self.error:
            return
        self.error = str(error)
        log.error("%s\nThe rules %s hold still", error, self.current.hash)
