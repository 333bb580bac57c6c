"""chDB, ClickHouse's engine as a library, behind as much of ClickHouse's HTTP interface as the recipes use.

Run by the Python that `make engines` made: chdb_server.py PORT FOLDER. Parameters of the address are the
question (`query`), those of the question (`param_NAME`) and settings; the body is what an INSERT brings.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from urllib.parse import parse_qsl, urlsplit

from chdb.session import Session


class Interface(BaseHTTPRequestHandler):
    """Answers questions, one at a time."""

    protocol_version = "HTTP/1.1"
    session: Session
    turn = Lock()

    def do_POST(self) -> None:
        given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        asked = f"{given.pop('query')}\n{body}"
        told_apart = {name for name in given if name.startswith("param_")}
        parameters = {name.removeprefix("param_"): given[name] for name in told_apart}
        try:
            with self.turn:
                for name in given.keys() - told_apart:
                    self.session.query(f"SET {name} = '{given[name]}'")
                found = self.session.query(asked, "JSONEachRow", params=parameters).bytes()
        except Exception as error:  # noqa: BLE001 - whatever it is, who asked is told
            self._answer(500, str(error).encode())
        else:
            self._answer(200, found)

    def _answer(self, status: int, text: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


if __name__ == "__main__":
    Interface.session = Session(sys.argv[2])
    Interface.session.query("CREATE DATABASE IF NOT EXISTS photos")
    Interface.session.query("USE photos")
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Interface).serve_forever()
