"""Programs of the system that some tests run: `.ci/run` installs them, others may do without."""

import os
import shutil

import pytest


def program(*names: str) -> str:
    """The path of the first of these that is installed; none: a failure in CI, and a skip elsewhere."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        message = f"{' or '.join(names)} is not installed; .ci/run says how"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    return found
