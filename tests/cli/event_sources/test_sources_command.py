"""`tagstream sources check`: what becomes of a sample."""

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result
from support.sources.samples import SAMPLES

from streams.cli.main import main

FILE = """
[topics.pictures]
source = "s3"
url = "http://127.0.0.1:9000/{bucket}/{key}"
[topics.outbox]
source = "debezium-outbox"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sources.toml"
    path.write_text(FILE, "utf-8")
    return path


def check(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["sources", "check", *map(str, arguments)])


def sample(tmp_path: Path, name: str) -> Path:
    path = tmp_path / f"{name}.json"
    path.write_bytes(next(each for each in SAMPLES if each.name == name).value or b"")
    return path


def test_a_file_alone_is_checked(file: Path, tmp_path: Path) -> None:
    """It says that it can be used, or ends with 78 and says what is wrong with it."""
    assert check(file).output == f"{file}: the sources of 2 topics can be used\n"
    file.write_text('[topics.pictures]\nsource = "s33"\n', "utf-8")
    refused = check(file)
    assert refused.exit_code == 78
    assert "did you mean s3?" in refused.output
    assert check(tmp_path / "none.toml").exit_code == 78


def test_a_sample_becomes_events_silence_and_a_dead_letter(file: Path, tmp_path: Path) -> None:
    """Each part of a notification is told; 1 is the exit code where one is a dead letter."""
    result = check(file, sample(tmp_path, "aws-several"), "--topic", "pictures")
    kinds = [line.partition(":")[0] for line in result.output.splitlines()]
    assert kinds == ["image.uploaded", "skipped", "dead letter (invalid_event)", "image.deleted"]
    assert result.exit_code == 1
    result = check(file, sample(tmp_path, "aws-put"), "--topic", "pictures", "--json")
    told = orjson.loads(result.output)
    assert told["event"]["url"] == "http://127.0.0.1:9000/pictures/photos/red%20flower.jpg"
    assert told["attributes"]["source"] == "aws:s3.eu-west-1.pictures"
    assert result.exit_code == 0


def test_keys_and_headers_are_given(file: Path, tmp_path: Path) -> None:
    """What a message says outside its value."""
    path = sample(tmp_path, "outbox-type-unknown")
    arguments = (file, path, "--topic", "outbox", "--key", "koala")
    assert check(*arguments, "--header", "id=1").exit_code == 0
    told = check(*arguments, "--header", "eventType=PhotoPolished")
    assert "'PhotoPolished'" in told.output
    assert told.exit_code == 1
    assert check(*arguments, "--header", "x").exit_code == 78
    assert check(file, path, "--topic", "none").exit_code == 78
