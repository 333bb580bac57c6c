"""The settings that suit a machine are found by measuring, written down, and taken by a worker."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.errors import SettingsError
from streams.app.settings import Settings
from streams.cli.trials.calibration import CPU, Plan, Trial, best, plans

ROOT = Path(__file__).parents[2]


def trial(rate: float, *, threads: int = 2, max_batch: int = 8) -> Trial:
    return Trial(Plan(CPU, threads, 1, max_batch), rate, 10.0)


def test_the_fastest_plan_wins() -> None:
    """A plan that is clearly faster is taken, whatever its batch."""
    assert best([trial(100), trial(150, max_batch=16)]).plan.max_batch == 16


def test_among_equally_fast_plans_the_smallest_batch_wins() -> None:
    """Differences below the noise do not cost latency and memory."""
    found = best([trial(150, max_batch=16), trial(148, max_batch=4), trial(149, max_batch=8)])
    assert found.plan.max_batch == 4


def test_every_core_is_tried_alone_and_together() -> None:
    """One thread, all cores as threads, and all cores inside one call are among the plans."""
    tried = set(plans([CPU], 4))
    assert {Plan(CPU, 1, 1, 8), Plan(CPU, 4, 1, 8), Plan(CPU, 1, 4, 8)} <= tried


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "streams.cli", "bench-model", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.slow
def test_a_profile_is_written_and_read(tmp_path: Path) -> None:
    """The real model is measured; what is written are settings of a worker, below the environment's."""
    profile = tmp_path / "machine.env"
    ran = bench("--seconds", "0.1", "--json", "--write", str(profile))
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    chosen = found["best"]
    assert chosen in found["trials"]
    assert chosen["images_per_second"] > 0
    settings = Settings.from_mapping({"TAGSTREAM_PROFILE": str(profile), "TAGSTREAM_MAX_BATCH": "3"})
    assert settings.threads == chosen["plan"]["threads"]
    assert settings.execution_providers == [CPU]
    assert settings.max_batch == 3
    assert Settings.from_mapping({}, profile=profile).max_batch == chosen["plan"]["max_batch"]


def test_a_provider_that_is_not_installed_is_named() -> None:
    """The message says which there are."""
    ran = bench("--providers", "TensorrtExecutionProvider", "--seconds", "0.1")
    assert ran.returncode == 78
    assert "'TensorrtExecutionProvider' is not installed: choose from" in ran.stderr
    assert "CPUExecutionProvider" in ran.stderr


def test_a_folder_without_photos_is_refused(tmp_path: Path) -> None:
    """There is nothing to measure with."""
    ran = bench("--photos", str(tmp_path))
    assert ran.returncode == 78
    assert "has no .jpg file" in ran.stderr


@pytest.mark.parametrize("line", ["TAGSTREAM_NONSENSE=1", "threads 2"])
def test_a_profile_with_anything_else_is_refused(tmp_path: Path, line: str) -> None:
    """File, line and rule are named."""
    profile = tmp_path / "machine.env"
    profile.write_text(f"# for a test\n\nTAGSTREAM_THREADS=2\n{line}\n")
    with pytest.raises(SettingsError, match=rf"machine.env:4: '{line}' must be NAME=value"):
        Settings.from_mapping({"TAGSTREAM_PROFILE": str(profile)})


def test_a_profile_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The message says how to make one."""
    with pytest.raises(SettingsError, match="bench-model --write"):
        Settings.from_mapping({}, profile=tmp_path / "none.env")
