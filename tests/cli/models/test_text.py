"""`tagstream model text`: a folder for reading words, of networks in an optional package."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from model.text.folder import is_text_folder
from streams.cli.models.command import model


def test_a_folder_is_written_once(tmp_path: Path) -> None:
    """The command says how to offer it, and leaves a folder alone that is in use."""
    folder = tmp_path / "text"
    done = CliRunner().invoke(model, ["text", "--out", str(folder)])
    assert (done.exit_code, done.stderr) == (0, "")
    assert f"text_tagging={folder}" in done.stdout
    assert is_text_folder(folder)
    again = CliRunner().invoke(model, ["text", "--out", str(folder)])
    assert again.exit_code != 0
    assert "not empty" in again.stderr


def test_without_the_package_the_cure_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The extra is named, and nothing is written."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    done = CliRunner().invoke(model, ["text", "--out", str(tmp_path / "new")])
    assert done.exit_code != 0
    assert "pip install 'tagstream[text]'" in done.stderr
    assert not (tmp_path / "new").exists()
