"""What the model's libraries tell others: nothing."""

import os
import subprocess
import sys
from pathlib import Path


def test_onnx_runtime_keeps_no_record_and_sends_none(tmp_path: Path) -> None:
    """It would keep a device id and a log of sessions below the home folder, and send them to its vendor."""
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    for of_ci in ("CI", "GITHUB_ACTIONS"):  # there it is silent of itself
        environment.pop(of_ci, None)
    tag = "from model import DEFAULT_ARTIFACT, Tagger; Tagger.load(DEFAULT_ARTIFACT)"
    subprocess.run([sys.executable, "-c", tag], env=environment, check=True, timeout=60)
    assert not list(tmp_path.rglob("*"))
