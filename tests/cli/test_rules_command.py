"""`tagstream rules`: what operators see of their rules before a worker has them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.images.lettered import lettered

from model.text.folder import write_text_folder
from streams.cli.main import main
from streams.fold.rules.applying import Rules
from streams.fold.rules.content import parse_rules

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "rules.md").read_text("utf-8")
KOALA = "streams/photos/koala.jpg"


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rules.toml"


def run(*words: str | Path, **environment: str) -> Result:
    return CliRunner().invoke(main, ["rules", *map(str, words)], env={"COLUMNS": "160", **environment})


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)


def lines(text: str) -> list[str]:
    """Lines without their spacing, and without the confidences, which another model has others of."""
    squeezed = (" ".join(line.split()) for line in text.splitlines())
    return [re.sub(r"\b[01]\.\d\d\b", "#", line) for line in squeezed if line]


def test_the_documented_check(file: Path) -> None:
    """docs/rules.md shows what is printed: what each rule did with each tag, and what is assigned."""
    file.write_text(blocks("toml")[1], "utf-8")
    result = run("check", KOALA, "--rules", file, "--add-on", "scene_tagging", "--add-on", "imagga_tagging")
    assert result.exit_code == 0, result.output
    printed = lines(result.output)
    assert [line for line in lines(blocks("text")[0]) if line not in printed] == []


def test_a_check_for_programs(file: Path) -> None:
    """One object per photo: fates, thresholds and what each rule did."""
    file.write_text('block = ["animal"]\n[rename]\nkoala = "koala bear"', "utf-8")
    result = run("check", KOALA, "--rules", file, "--auto-tagging", "0.5", "--json")
    found = json.loads(result.output)
    assert found["photo"] == KOALA
    assert found["rules"] == Rules(parse_rules(file.read_bytes(), file)).hash
    assert list(found["tags"]) == ["koala bear", "marsupial"]
    fates = {verdict["tag"]: verdict["fate"] for verdict in found["add_ons"]["imagga_tagging"]}
    assert (fates["koala bear"], fates["mammal"], fates["animal"]) == ("assigned", "unsure", "hidden")
    best = found["add_ons"]["imagga_tagging"][0]
    assert (best["threshold"], best["rules"]) == (0.5, [f"koala {best['confidence']:.2f} renamed"])


def test_the_environment_is_the_workers(file: Path) -> None:
    """The rules file, the threshold and the add-ons come from where a worker has them, too."""
    file.write_text("max_tags = 1", "utf-8")
    environment = {
        "TAGSTREAM_RULES": str(file),
        "TAGSTREAM_AUTO_TAGGING": "0.3",
        "TAGSTREAM_CATEGORIZATION": "scene_tagging",
    }
    found = json.loads(run("check", KOALA, "--json", **environment).output)
    assert list(found["add_ons"]) == ["scene_tagging"]
    assert found["tags"] == {"outdoor": ["scene_tagging"]}


def test_without_rules(tmp_path: Path) -> None:
    """A check needs no rules; photos that cannot be tagged are told, and end it with 1."""
    text = tmp_path / "notes.txt"
    text.write_text("no image", "utf-8")
    result = run("check", text, tmp_path / "gone.jpg", KOALA)
    assert result.exit_code == 1
    assert f"{text}: not_an_image: " in result.stderr
    assert "gone.jpg: No such file or directory" in result.stderr
    assert "koala" in result.stdout
    assert "tags: none is assigned" in result.stdout


def test_validate(file: Path) -> None:
    """A file that a worker would take ends with 0, and its hash is the one that results will carry."""
    file.write_text('threshold = 0.4\nblock = ["koala"]', "utf-8")
    result = run("validate", file)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{file}: rules {Rules(parse_rules(file.read_bytes(), file)).hash} can be used\n"


def test_validate_warns_of_slips(file: Path) -> None:
    """An unknown tag is a warning, and a failure only where one asks for that."""
    file.write_text('block = ["koalla"]\n[add_on.scene_tagging]\nblock = ["outdoors"]', "utf-8")
    result = run("validate", file)
    assert result.exit_code == 0
    assert "did you mean 'koala'?" in result.stderr
    assert "add_on.scene_tagging.block has 'outdoors': no tagger here gives that tag" in result.stderr
    assert result.stdout.endswith("can be used with 2 warnings\n")
    assert run("validate", file, "--strict").exit_code == 1


@pytest.mark.parametrize("command", [["validate"], ["check", KOALA, "--rules"]])
def test_what_cannot_be_used_ends_with_78(file: Path, command: list[str]) -> None:
    """All faults of the file at once, or that it is not there."""
    file.write_text("max_tags = 0\nthreshold = 2", "utf-8")
    result = run(*command, file)
    assert result.exit_code == 78
    assert f"{file}: max_tags = 0: must be" in result.stderr
    assert f"{file}: threshold = 2: must be" in result.stderr
    file.unlink()
    assert run(*command, file).exit_code == 78


def test_words_that_are_read_are_tags_only_if_they_are_to_be(tmp_path: Path) -> None:
    """As in a worker."""
    write_text_folder(tmp_path / "text")
    (tmp_path / "sale.jpg").write_bytes(lettered("SALE"))
    command = ("check", "--add-on", "text_tagging", "--auto-tagging", "0.5", "--json", tmp_path / "sale.jpg")
    offer = {"TAGSTREAM_ADD_ONS": f"imagga_tagging,text_tagging={tmp_path / 'text'}"}
    assert list(json.loads(run(*command, **offer).stdout)["tags"]) == []
    wanted = json.loads(run(*command, **offer, TAGSTREAM_TEXT_TAGS="true").stdout)
    assert list(wanted["tags"]) == ["sale"]


def test_an_add_on_that_is_not_offered() -> None:
    """Is told with those that are."""
    result = run("check", KOALA, "--add-on", "scenes")
    assert result.exit_code == 78
    assert "'scenes' is not offered; TAGSTREAM_ADD_ONS offers tagstream, imagga_tagging" in result.stderr
