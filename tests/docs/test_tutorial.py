"""docs/tutorial.md: every command in it does what it says, in the order in which they stand there."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from support.pages import ROOT, Page, words_of
from support.sample_run import SampleRun, sample_run

TUTORIAL = Page("docs/tutorial.md")
KILL = ["pkill", "-9", "-f", "streams.cli worker"]


def steps() -> list[tuple[str, list[str]]]:
    """Each command line after the start, with the output that is shown below it."""
    found: list[tuple[str, list[str]]] = []
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", TUTORIAL.text, re.MULTILINE | re.DOTALL)
    for language, block in blocks:
        if language == "console":
            found += [(line.removeprefix("$ "), []) for line in block.splitlines()]
        elif language == "text":
            found[-1][1].extend(re.sub(r"\s+", " ", line.rstrip("…")).strip() for line in block.splitlines())
    return found[2:]


def test_it_starts_with_a_file_of_rules() -> None:
    """The test below starts the same command with topics of its own."""
    first = [line for block in TUTORIAL.fenced("console") for line in block.splitlines()][:2]
    assert first == ["$ touch rules.toml", "$ TAGSTREAM_RULES=rules.toml make run"]


async def carry_out(line: str, run: SampleRun, rules: Path) -> str:
    """Type a command in the second terminal; its output, and never a failure."""
    words = words_of(line)
    if words == KILL:
        await kill_worker_of(run)
        return ""
    if words[0] == "curl":
        retries = ["--retry", "30", "--retry-all-errors", "--retry-delay", "1"]
        words = ["curl", "-sS", "--fail", *retries, words[1].replace(":6066", f":{run.port}")]
    else:
        words = [sys.executable, "-m", "streams.cli", *words[1:]]
    if "publish" in words:
        words += ["--serve-port", str(run.photo_port)]
    environment = {**run.environment, "TAGSTREAM_RULES": str(rules)}
    done = await asyncio.to_thread(
        subprocess.run, words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    return re.sub(r"\s+", " ", done.stdout)


async def kill_worker_of(run: SampleRun) -> None:
    """What the tutorial's line does on a machine with one worker."""
    found = await asyncio.to_thread(
        subprocess.run, ["pgrep", "-P", str(run.process.pid), "-f", KILL[-1]], capture_output=True, check=True
    )
    os.kill(int(found.stdout), signal.SIGKILL)


async def change_rules(run: SampleRun, rules: Path) -> None:
    """Write the rules that the tutorial shows, and wait until the worker has read them."""

    async def hash_of_rules() -> str:
        return str((await api.get(f"http://127.0.0.1:{run.port}/healthz")).json()["rules"])

    async with httpx.AsyncClient(trust_env=False) as api, asyncio.timeout(30):
        before = await hash_of_rules()
        await asyncio.to_thread(rules.write_text, *TUTORIAL.fenced("toml"), "utf-8")
        while await hash_of_rules() == before:
            await asyncio.sleep(0.2)


def counts(answer: str) -> str:
    return answer.partition('"tags"')[2]


@pytest.mark.kafka
async def test_every_command_works(kafka: str, unique: str, tmp_path: Path) -> None:
    """What is shown of its output is there, and after the kill all counts are as they were before."""
    rules = tmp_path / "rules.toml"
    rules.touch()
    async with sample_run(kafka, unique, tmp_path, settings={"TAGSTREAM_RULES": str(rules)}) as run:
        await run.is_up()
        top = next(line for line, _ in steps() if "/trends/top" in line)
        before = printed = ""
        for line, shown in steps():
            if "--dry-run" in line and "retag" in line:
                await change_rules(run, rules)
            if words_of(line) == KILL:
                before = await carry_out(top, run, rules)
            printed = await carry_out(line, run, rules)
            assert [text for text in shown if text not in printed] == [], (line, printed)
        assert line == top
        async with asyncio.timeout(60):
            while '"complete":true' not in printed:
                printed = await carry_out(top, run, rules)
        assert counts(printed) == counts(before) != ""
