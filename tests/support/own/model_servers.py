"""Model servers as processes of their own, to be asked and killed."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
from support.cluster import free_port

ROOT = Path(__file__).parents[3]
MLSERVER = ROOT / ".venv-servers" / "bin" / "mlserver"
VISION_SERVER = Path(__file__).with_name("vision_server.py")
SECRET = {"VISION_SECRET": "sesame"}

_COLOUR_MODEL = """
import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class ColourModel(MLModel):
    async def predict(self, payload):
        pixels = NumpyCodec.decode_input(payload.inputs[0])
        shares = pixels.reshape(len(pixels), -1, 3).mean(axis=1) / 255
        output = NumpyCodec.encode_output("shares", shares.astype(np.float32))
        return InferenceResponse(model_name=self.name, outputs=[output])
"""
COLOURS_TOML = """
name = "colours"
version = "1"
url = "http://127.0.0.1:{port}"
model = "colours"

[oip]
labels = "colours.txt"
input = "pixels"
output = "shares"
pixels = {{ size = 64 }}
"""
VISION_TOML = """
name = "eyes"
version = "1"
url = "http://127.0.0.1:{port}/v1"
model = "llava"
token = "VISION_SECRET"
timeout = {timeout}

[openai]
size = 256
"""


def describe_colours(folder: Path, port: int) -> Path:
    (folder / "colours.txt").write_text("red\ngreen\nblue\n")
    path = folder / "colours.toml"
    path.write_text(COLOURS_TOML.format(port=port))
    return path


def describe_vision(folder: Path, port: int, timeout: float = 10.0) -> Path:
    path = folder / "eyes.toml"
    path.write_text(VISION_TOML.format(port=port, timeout=timeout))
    return path


@contextlib.asynccontextmanager
async def vision_server(port: int, seconds: float = 0.0) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a vision endpoint and wait until it answers."""
    command = (sys.executable, str(VISION_SERVER), str(port), str(seconds))
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **SECRET})
    try:
        await _until_answered(f"http://127.0.0.1:{port}/", process)
        yield process
    finally:
        await end(process)


@contextlib.asynccontextmanager
async def mlserver(folder: Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start MLServer with a model that tells how red, green and blue pixels are."""
    await asyncio.to_thread(_write_colour_model, folder, port)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(MLSERVER), "start", str(folder), env=environment, stdout=log, stderr=log
        )
    try:
        await _until_answered(f"http://127.0.0.1:{port}/v2/models/colours/ready", process, wanted=200)
        yield process
    finally:
        await end(process)


def _write_colour_model(folder: Path, port: int) -> None:
    folder.mkdir()
    (folder / "colour_model.py").write_text(_COLOUR_MODEL)
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    settings = {"host": "127.0.0.1", "parallel_workers": 0, **ports}
    (folder / "settings.json").write_text(json.dumps(settings))
    model = {"name": "colours", "implementation": "colour_model.ColourModel"}
    (folder / "model-settings.json").write_text(json.dumps(model))


async def end(process: asyncio.subprocess.Process) -> None:
    """kill -9."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def _until_answered(
    url: str, process: asyncio.subprocess.Process, wanted: int | None = None, seconds: float = 60
) -> None:
    async with asyncio.timeout(seconds), httpx.AsyncClient(trust_env=False) as client:
        while True:
            assert process.returncode is None, "the server has ended"
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(url)).status_code == wanted or wanted is None:
                    return
            await asyncio.sleep(0.1)
