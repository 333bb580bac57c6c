"""README.md: short, true, and what it shows of a run is what a run shows."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from support.cluster import Cluster
from support.pages import README, ROOT, table_rows
from support.sample_run import sample_run
from support.shown_answers import Comparison

from model import CombinedTagger

MAX_LINES = 150
MAX_WORDS = 1100
PHOTOS = sorted(path.stem for path in (ROOT / "streams" / "photos").glob("*.jpg"))


def test_it_can_be_read_in_one_go() -> None:
    """Whoever needs more follows a link."""
    assert len(README.text.splitlines()) <= MAX_LINES
    assert len(README.text.split()) <= MAX_WORDS


def test_it_begins_with_what_matters() -> None:
    """A sentence, a picture, and what it is not, before the first heading; then two commands."""
    head, _, rest = README.text.partition("\n## ")
    assert head.count("```mermaid") == 1
    assert "Nothing calls Imagga or Cloudinary" in head
    assert rest.startswith("Two commands\n")
    assert {("make", "run"), ("make", "test")} <= {tuple(words[:2]) for words in README.typed}


def test_what_models_cannot_see_they_have_no_word_for() -> None:
    """The words that it names are none of the default add-on's tags; those that it says it has are."""
    sentence = README.text.partition("**What the models cannot see:**")[2].partition("\n\n")[0]
    lacking = set(re.findall(r"\*([a-z]+)\*", sentence))
    known = set(CombinedTagger.load().tag_names)
    assert len(lacking) > 3
    assert not lacking & known
    assert {"person", "people", "vehicle", "sky", "building"} <= known


def test_each_promise_leads_to_its_page_and_its_test() -> None:
    """All pages of promises are there, re-tags included."""
    rows = table_rows(README.section("Promises"))
    pages = {re.findall(r"\]\(([^)]+)\)", row[1])[0] for row in rows}
    tests = [re.findall(r"\]\((tests/[^)]+\.py)\)", row[2]) for row in rows]
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs" / "promises").glob("*.md")}
    assert pages == (there - {"docs/promises/index.md"}) | {"docs/retag.md"}
    assert all(tests)


def shown_output() -> list[str]:
    (block,) = README.fenced("text")
    lines = (
        re.sub(r"\s+", " ", line.partition("…")[0] if line[-1:] == "…" else line)
        for line in block.splitlines()
    )
    return [line.strip() for line in lines if line.strip()]


@pytest.mark.kafka
async def test_a_run_prints_what_is_shown(kafka: str, unique: str, tmp_path: Path) -> None:
    """`tagstream run --once` ends with 0 and tags every sample photo; each line of the excerpt is printed.

    Of the categorization that is shown, all that does not depend on the run is what comes back.
    """
    async with sample_run(kafka, unique, tmp_path, "--once") as run:
        printed = (await asyncio.wait_for(run.process.communicate(), 120))[0].decode()
    assert run.process.returncode == 0, printed
    squeezed = re.sub(r"[ \t]+", " ", printed).replace(f"{unique}.image", "image")
    missing = [line for line in shown_output() if line not in squeezed and "embedded" not in line]
    assert missing == [], printed
    results = {result["public_id"]: result for result in await Cluster(kafka, unique, tmp_path).results()}
    assert sorted(results) == PHOTOS
    assert all(result["tags"] for result in results.values())
    _, shown = map(json.loads, README.fenced("json"))
    of_the_run = {"uploaded_at", "timings_ms", "cause", "url", "rules"}
    assert shown.keys() == results["koala"].keys()
    stable = [name for name in shown if name not in of_the_run]
    real = results["koala"]
    assert [*Comparison().differences({n: shown[n] for n in stable}, {n: real[n] for n in stable})] == []
