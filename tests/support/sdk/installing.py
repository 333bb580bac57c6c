"""Cloudinary's SDKs from the registries of their languages, in the versions that lock files name."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from support.examples import EXAMPLES, ROOT, Programs

from streams.cli.local.kafka_jars import default_cache_dir, fetch_jars, read_lock

LOCKS = ROOT / "tests" / "gateway" / "sdk" / "installed"
CALLS = EXAMPLES / "move_from_cloudinary"


@dataclass(frozen=True)
class Sdk:
    """An SDK that is installed: how it runs a program of ours, and in which environment."""

    command: tuple[str, ...]
    calls: Path
    environment: dict[str, str] = field(default_factory=dict)


Install = Callable[[str, int], Awaitable[Sdk]]  # of a language and a generation


async def install_python(generation: int, folder: Path) -> Sdk:
    """By pip, into a folder of its own, where neither generation is in the way of the other."""
    lock = LOCKS / f"python{generation}.txt"
    options = (
        "--quiet",
        "--require-hashes",
        "--no-deps",
        "--disable-pip-version-check",
        "--target",
        str(folder),
    )
    await Programs({}).output("-m", "pip", "install", *options, "-r", str(lock))
    return Sdk((sys.executable,), CALLS / "calls.py", {"PYTHONPATH": str(folder)})


async def install_node(generation: int, folder: Path) -> Sdk:
    """By npm, from the lock file; each generation is found under the name that programs use."""
    for name in ("package.json", "package-lock.json"):
        (folder / name).write_bytes((LOCKS / name).read_bytes())
    quiet = ("--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts")
    await Programs({}).output_of("npm", "ci", "--prefix", str(folder), *quiet)
    (folder / "node_modules" / "cloudinary").symlink_to(f"cloudinary-{generation}")
    program = "calls.js" if generation > 1 else "calls_1.js"
    return Sdk(("node",), CALLS / program, {"NODE_PATH": str(folder / "node_modules")})


async def install_java(generation: int, folder: Path) -> Sdk:
    """From Maven Central, each jar checked against its lock, kept between runs as Kafka's are."""
    jars = read_lock(LOCKS / f"java{generation}.txt")
    paths = await asyncio.to_thread(fetch_jars, default_cache_dir() / "tests", jars)
    return Sdk(("java", "-cp", ":".join(map(str, paths))), CALLS / "Calls.java", {"TMPDIR": str(folder)})
