"""Runs a command and stops it when standard input ends: a child that does not outlive its parent.

Started as `python -I broker_keeper.py SECONDS COMMAND...` with a pipe for standard input, of which the parent
holds the other end. However the parent ends, kill -9 included, the pipe ends with it.
"""

import os
import subprocess
import sys
import threading


def main(grace: float, command: list[str]) -> int:
    """Run the command; when standard input ends, stop it, gracefully for `grace` seconds."""
    # Inherited descriptors go on to the command: one of them is the lock on the broker's directory.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, close_fds=False)  # noqa: S603 - what the parent asks for

    def stop() -> None:
        while os.read(0, 1):
            pass
        child.terminate()
        try:
            child.wait(grace)
        except subprocess.TimeoutExpired:
            child.kill()

    threading.Thread(target=stop, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
