"""A pytest plugin for the vendor's tests: counts what each sends, and makes some set-ups no-ops.

Set-ups of classes create fields of structured metadata, which is no part of the gateway.
"""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3
from cloudinary import api

for name in ("add_metadata_field", "delete_metadata_field"):
    setattr(api, name, lambda *_arguments, **_options: {})

sent = 0
_urlopen = urllib3.connectionpool.HTTPConnectionPool.urlopen


def _counted(self: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever it is called with
    global sent  # noqa: PLW0603 - one test at a time
    sent += 1
    return _urlopen(self, *arguments, **options)


urllib3.connectionpool.HTTPConnectionPool.urlopen = _counted  # type: ignore[method-assign]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Begin to count."""
    global sent  # noqa: PLW0603 - one test at a time
    sent = 0
    del item
    yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Write down how it went."""
    report = (yield).get_result()
    if report.when == "call" or report.outcome != "passed":
        crash = getattr(report.longrepr, "reprcrash", None)
        said = getattr(crash, "message", None) or str(report.longrepr or "")
        with open(os.environ["JUDGE_OUT"], "a", encoding="utf-8") as out:  # noqa: PTH123 - one line
            row = {
                "name": item.name,
                "sent": sent,
                "outcome": report.outcome,
                "said": said.partition("\n")[0][:300],
            }
            out.write(json.dumps(row) + "\n")
