"""The vendor's own tests, run where they are checked out; nothing of them is part of this repository."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pictures import big_photo

HERE = Path(__file__).parent
_REMOTE = re.compile(r"https?://(?:res\.)?cloudinary\.com/(?=images/|demo/)")
NODE_TOOLS = (
    "mocha@7",
    "expect.js@0.3",
    "sinon@9",
    "dotenv@8",
    "date-fns@2",
    "glob@7",
    "jsdom@15",
    "jsdom-global@3",
    "lodash@4",
)
NODE_SPECS = ("uploader/uploader_spec.js", "search/search_spec.js", "admin/api_spec.js")
NODE_FILES = {
    "TheCompleteWorksOfShakespeare.mobi": "4c13724e950abcb13ec480e10f8541f5",
    "CloudBookStudy-HD.mp4": "ff6c391d26be0837ee5229885b5bd571",
    "big-image.jpg": "",
}
JAVA_TOOLS = {
    "com.cloudinary:cloudinary-http5": "2.3.2",
    "junit:junit": "4.12",
    "org.hamcrest:java-hamcrest": "2.0.0.0",
    "pl.pragmatists:JUnitParams": "1.0.5",
    "org.slf4j:slf4j-nop": "1.7.36",
}
JAVA_CLASSES = ("SearchTest", "UploaderTest", "ApiTest", "ContextTest")


@dataclass(frozen=True)
class Verdict:
    """How one test went, and how many requests it sent."""

    name: str
    sent: int
    outcome: str
    said: str


@dataclass(frozen=True)
class Bench:
    """Their checkout, a scratch folder, and where the pictures are that they upload."""

    checkout: Path
    scratch: Path
    pictures: str

    def copy(self, *folders: str) -> Path:
        """Copies of their folders, in which pictures come from here."""
        copy = self.scratch / "checkout"
        for folder in folders:
            shutil.copytree(self.checkout / folder, copy / folder, dirs_exist_ok=True)
            for path in (copy / folder).rglob("*"):
                if path.suffix in {".py", ".js", ".java"}:
                    text = path.read_text("utf-8", "surrogateescape")
                    local = _REMOTE.sub(f"{self.pictures}/", text)
                    path.write_text(local, "utf-8", "surrogateescape")
        return copy

    def run(self, folder: Path, *command: str, **variables: str) -> int:
        """Run a program, its output in a log beside the verdicts."""
        ours = {"JUDGE_OUT": str(self.scratch / "verdicts.jsonl"), "CLD_TEST_FEATURES": "dynamic_folders"}
        environment = {**os.environ, **variables, **ours}
        environment.pop("CLOUDINARY_ACCOUNT_URL", None)
        with (self.scratch / "log.txt").open("ab") as log:
            return subprocess.run(
                command, cwd=folder, env=environment, stdout=log, stderr=log, check=False
            ).returncode

    def needs(self, folder: Path, *command: str) -> None:
        """Run a program that must succeed."""
        if self.run(folder, *command):
            sys.exit(f"{command[0]} failed; see {self.scratch / 'log.txt'}")

    @property
    def verdicts(self) -> list[Verdict]:
        """What is written down so far, in order."""
        path = self.scratch / "verdicts.jsonl"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        return [Verdict(**json.loads(line)) for line in lines]


def python(bench: Bench, names: Mapping[str, list[str]]) -> list[Verdict]:
    """pycloudinary's tests of uploader, Admin API and search; all of them, as they take seconds."""
    del names
    venv = bench.scratch / "venv"
    bench.needs(bench.scratch, sys.executable, "-m", "venv", str(venv))
    pip = (str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet")
    copy = bench.copy("cloudinary", "test")
    bench.needs(copy, *pip, "pytest", "mock", "six", "urllib3>=2", "certifi")
    shutil.copy(HERE / "python_setup.py", copy / "judge_setup.py")
    files = (f"test/test_{name}.py" for name in ("uploader", "api", "search"))
    pytest = (str(venv / "bin" / "python"), "-m", "pytest", "-q", "-p", "judge_setup")
    bench.run(copy, *pytest, *files, RUN_SEARCH_TESTS="1", PYTHONPATH=str(copy))
    return bench.verdicts


def node(bench: Bench, names: Mapping[str, list[str]]) -> list[Verdict]:
    """cloudinary_npm's integration tests of uploader, search and Admin API."""
    del names
    copy = bench.copy("lib", "test")
    for name in ("cloudinary.js", "package.json"):
        shutil.copy(bench.checkout / name, copy / name)
    (copy / "package.json").write_text('{"name": "cloudinary", "main": "cloudinary.js"}')
    _stand_in(copy / "test")
    bench.needs(copy, "npm", "install", "--no-audit", "--no-fund", *NODE_TOOLS)
    mocha = ("npx", "mocha", "--exit", "--file", "test/setup.js", "--file", str(HERE / "node_setup.js"))
    for spec in NODE_SPECS:
        bench.run(copy, *mocha, f"test/integration/api/{spec}")
    return bench.verdicts


def _stand_in(tests: Path) -> None:
    """Make the files that are too large for some checkouts, and let the tests expect what they have."""
    spec = tests / "integration" / "api" / NODE_SPECS[0]
    text = spec.read_text("utf-8")
    for name, etag in NODE_FILES.items():
        path = tests / ".resources" / name
        if not path.exists():
            path.write_bytes(big_photo() if path.suffix == ".jpg" else name.encode() * 500_000)
            text = text.replace(etag, hashlib.md5(path.read_bytes()).hexdigest()) if etag else text  # noqa: S324
    spec.write_text(text, "utf-8")


def java(bench: Bench, names: Mapping[str, list[str]]) -> list[Verdict]:
    """cloudinary_java's tests of these classes; by name, as each that fails is tried three times."""
    copy = bench.copy("cloudinary-test-common", "cloudinary-http5/src")
    project = copy / "cloudinary-http5"
    tools = "".join(
        "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>".format(
            *tool.split(":"), version
        )
        for tool, version in JAVA_TOOLS.items()
    )
    (project / "pom.xml").write_text(
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        f"<groupId>judge</groupId><artifactId>judge</artifactId><version>1</version><dependencies>{tools}"
        "</dependencies></project>"
    )
    bench.needs(project, "mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib")
    sources = [*map(str, copy.rglob("cloudinary-test-common/src/main/java/**/*.java"))]
    sources += map(str, (project / "src/test/java/com/cloudinary/test").glob("*.java"))
    bench.needs(
        project,
        "javac",
        "-nowarn",
        "-encoding",
        "UTF-8",
        "-cp",
        "lib/*",
        "-d",
        "out",
        *sources,
        str(HERE / "Judge.java"),
    )
    for name in JAVA_CLASSES:
        bench.run(
            project, "java", "-cp", "lib/*:out", "Judge", f"com.cloudinary.test.{name}", *names.get(name, [])
        )
    return bench.verdicts
