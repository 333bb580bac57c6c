"""Checks of this machine: directory, disk, rules, sources, tokens, models."""

import shutil
import threading
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from streams.app.checks import local
from streams.app.checks.gateway import check_gateway
from streams.app.checks.local import check_access, check_data_dir, check_machine, check_rules, check_sources
from streams.app.checks.models import check_models
from streams.app.settings import Settings
from streams.kafka.checks.findings import Finding
from streams.web.access.callers import Scope
from streams.web.access.tokens import lines_of


def one(found: object) -> tuple[str, str]:
    assert isinstance(found, Finding)
    assert found.cure or found.status == "ok"
    return found.check, found.status


def token_file(path: Path, mode: int, lines: str) -> Settings:
    path.write_text(lines, "utf-8")
    path.chmod(mode)
    return Settings(tokens=path)


def test_a_machine_with_nothing_set_is_fine(tmp_path: Path) -> None:
    """Nothing is made: the directory is not there afterwards."""
    found = list(check_machine(Settings(data_dir=tmp_path / "new" / "data")))
    assert {finding.status for finding in found} == {"ok"}
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    """A file in its way, or a link that leads nowhere: the setting, the reason and the cure."""
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for path, reason in (
        (tmp_path / "file" / "data", "Not a directory"),
        (tmp_path / "link", "No such file"),
    ):
        [found] = check_data_dir(Settings(data_dir=path))
        assert one(found) == ("data directory", "fail")
        assert found.value == f"TAGSTREAM_DATA_DIR='{path}'"
        assert found.rule.startswith(reason)


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(("free", "status"), [(1 << 29, "warn"), (1 << 31, "ok")])
def test_a_disk_that_is_almost_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, status: str
) -> None:
    """A warning: snapshots alone need it."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 40, 0, free))
    _, found = check_data_dir(Settings(data_dir=tmp_path))
    assert one(found) == ("disk", status)


def test_rules_that_are_broken(tmp_path: Path) -> None:
    """The fault is that of a worker; the cure is the command that checks the file."""
    file = tmp_path / "rules.toml"
    for text in ("threshold = 2\nblock = 3\n", "sea lion = 0.8", None):
        file.write_text(text) if text is not None else file.unlink()
        found = check_rules(Settings(rules=file))
        assert one(found) == ("rules", "fail")
        assert str(file) in found.sentence
    file.write_text("threshold = 0.4\n")
    assert one(check_rules(Settings(rules=file))) == ("rules", "ok")


def test_sources_that_cannot_be_read() -> None:
    """The entry is named."""
    for settings in (Settings(allow_sources="host:port"), Settings(source_roots="r2://photos")):
        [found] = check_sources(settings)
        assert one(found) == ("sources", "fail")
        assert (settings.allow_sources or settings.source_roots) in found.value


def test_folders_that_give_no_file(tmp_path: Path) -> None:
    """One that is not mounted is empty, or not there: a warning each. Buckets are not asked."""
    full, empty = tmp_path / "full", tmp_path / "empty"
    for folder in (full, empty):
        folder.mkdir()
    (full / "koala.jpg").write_bytes(b"")
    bucket = "s3://photos=https://photos.example.com"
    [found] = check_sources(Settings(source_roots=f"file://{full},{bucket}"))
    assert one(found) == ("sources", "ok")
    found, other = check_sources(
        Settings(source_roots=f"file://{full},file://{empty},file://{tmp_path}/none")
    )
    assert one(found) == one(other) == ("sources", "warn")
    assert found.value == f"{empty} is empty"
    assert other.value == f"{tmp_path}/none cannot be read (No such file or directory)"


def test_a_folder_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one of a machine that is away: a start must not hang with it."""
    answer = threading.Event()
    monkeypatch.setattr(local, "_PATIENCE", 0.05)
    monkeypatch.setattr(local, "_state_of", lambda _: str(answer.wait(60)))
    [found] = check_sources(Settings(source_roots=f"file://{tmp_path}"))
    answer.set()
    assert one(found) == ("sources", "warn")
    assert "does not answer" in found.value


def test_tokens_that_others_can_read(tmp_path: Path) -> None:
    """Mode 0644 is a fault, and the cure can be typed; an empty file is a warning."""
    file = tmp_path / "tokens.toml"
    lines = lines_of("ts_koala", [Scope.READ])
    found = check_access(token_file(file, 0o644, lines))
    assert one(found) == ("tokens", "fail")
    assert "mode 0644" in found.rule
    assert found.cure == f"chmod 600 {file}"
    assert one(check_access(token_file(file, 0o600, ""))) == ("tokens", "warn")
    found = check_access(token_file(file, 0o640, lines))
    assert one(found) == ("tokens", "ok")
    assert found.value.endswith("mode 0640, tokens: 1")


def test_an_address_that_others_reach_needs_a_word() -> None:
    """Tokens, or that anybody may ask."""
    found = check_access(Settings(web_host="0.0.0.0"))
    assert one(found) == ("tokens", "fail")
    assert "tagstream token new" in found.cure
    assert one(check_access(Settings(web_host="0.0.0.0", open_api=True))) == ("tokens", "ok")
    assert "upload" not in str(check_access(Settings(web_host="0.0.0.0", open_api=True)))
    assert "upload" in str(check_access(Settings(web_host="0.0.0.0", open_api=True, open_page=True)))


def test_models_are_loaded(tmp_path: Path) -> None:
    """A folder without a model is a fault; the stub is a warning."""
    found = check_models(Settings(add_ons=f"imagga_tagging={tmp_path}"))
    assert one(found) == ("models", "fail")
    assert str(tmp_path) in found.rule
    assert one(check_models(Settings(tagger="stub"))) == ("models", "warn")


def test_an_object_store_that_is_none(tmp_path: Path) -> None:
    """The setting, and what may stand there; a folder is not made by looking."""
    found, *_ = check_gateway(Settings(object_store="ftp://photos"))
    assert one(found) == ("object store", "fail")
    assert "ftp" in found.sentence
    found, *_ = check_gateway(Settings(data_dir=tmp_path))
    assert (one(found), found.value) == (("object store", "ok"), str(tmp_path / "objects"))
    assert [*tmp_path.iterdir()] == []


def test_keys_of_a_gateway(tmp_path: Path) -> None:
    """Others must not read them, and there should be one; without a file one is made at the start."""
    file = tmp_path / "gateway.toml"
    gateway: dict[str, Any] = {"roles": "gateway", "data_dir": tmp_path}
    assert one([*check_gateway(Settings(**gateway))][1]) == ("credentials", "ok")
    file.write_text('[[cloud]]\nname = "demo"\n[[cloud.key]]\nid = "1"\nsecret = "a-long-secret"\n')
    file.chmod(0o644)
    assert one([*check_gateway(Settings(**gateway))][1]) == ("credentials", "fail")
    file.chmod(0o600)
    found = [*check_gateway(Settings(**gateway))][1]
    assert one(found) == ("credentials", "ok")
    assert found.value.endswith("mode 0600, clouds: 1, keys: 1")
    file.write_text("")
    assert one([*check_gateway(Settings(**gateway))][1]) == ("credentials", "warn")
    assert one([*check_gateway(Settings(**gateway, credentials=tmp_path / "none"))][1])[1] == "fail"
