import json
import re
import shlex
import tomllib
from pathlib import Path

import compose_spec
import pytest
import yaml

from schemas.errors import SettingsError
from streams.app.services.page import writing_of
from streams.app.settings import PREFIX, Settings, variable
from streams.cli.local.kafka_jars import KAFKA_VERSION
from streams.cli.main import COMMANDS
from streams.kafka.connection import VARIABLES
from streams.web.access.callers import ANYBODY
from streams.web.access.guard import Guard
from streams.web.access.refusals import RefusalError

ROOT = Path(__file__).parents[2]
COMPOSE_TEXT = (ROOT / "docker-compose.yml").read_text("utf-8")
COMPOSE = yaml.safe_load(COMPOSE_TEXT)
SERVICES = COMPOSE["services"].values()
KAFKA, WORKER = COMPOSE["services"]["kafka"], COMPOSE["services"]["worker"]
KNOWN = {*VARIABLES.values(), *(variable(name) for name in Settings.__dataclass_fields__)}


def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def last(word: str) -> str:
    return [rest for name, rest in instructions() if name == word][-1]


def copied() -> set[str]:
    sources = [rest.split()[:-1] for name, rest in instructions() if name == "COPY"]
    return {source for group in sources if not group[0].startswith("--from") for source in group}


def image_environment() -> dict[str, str]:
    pairs = [part.partition("=") for part in shlex.split(last("ENV"))]
    return {name: value for name, _, value in pairs}


def resolved(text: str) -> str:
    """The same without merge keys, which Compose reads and the validator does not."""
    return yaml.safe_dump(yaml.safe_load(text), sort_keys=False)


def test_the_compose_file_is_valid() -> None:
    """The file keeps to the Compose specification, and the volumes that services name are declared."""
    compose_spec.PyCompose.from_yaml(resolved(COMPOSE_TEXT)).validate()
    named = {volume.partition(":")[0] for service in SERVICES for volume in service["volumes"]}
    assert {name for name in named if not name.startswith(("/", "./"))} == COMPOSE["volumes"].keys()
    mounted = {name for name in named if name.startswith("./")}
    assert {name for name in mounted if not (ROOT / name).is_dir()} == set()


def test_a_misspelt_compose_file_would_be_found() -> None:
    """The validation means something: an unknown key and an unknown value are refused."""
    for right, wrong in (("interval:", "intervall:"), ("service_healthy", "service_well")):
        with pytest.raises(ValueError, match=wrong.strip(":")):
            compose_spec.PyCompose.from_yaml(resolved(COMPOSE_TEXT.replace(right, wrong)))


def test_both_services_are_watched_and_come_back() -> None:
    """Kafka and the worker have a health check and are started again after a crash, but not after a stop."""
    assert KAFKA["healthcheck"]["test"][0] == "CMD"
    assert any(name == "HEALTHCHECK" for name, _ in instructions())
    assert KAFKA["restart"] == WORKER["restart"] == "unless-stopped"
    assert WORKER["depends_on"]["kafka"]["condition"] == "service_healthy"


def test_kafka_is_the_version_that_is_tested() -> None:
    """Compose runs the version of Kafka that the embedded broker runs."""
    assert KAFKA["image"] == f"apache/kafka:{KAFKA_VERSION}"


def test_only_this_machine_reaches_the_services() -> None:
    """No service has a login, so their ports are published on the loopback address."""
    ports = [port for service in SERVICES for port in service["ports"]]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_worker_says_that_anybody_may_ask() -> None:
    """It listens beyond its container, so it would not start without; Docker and other services reach it."""
    environment = WORKER["environment"]
    guard = Guard.of(Settings.from_mapping(environment))
    port = Settings().web_port
    for host in ("localhost", "127.0.0.1", f"127.0.0.1:{port}", f"worker:{port}", "172.18.0.3"):
        guard.check_host([host])
    with pytest.raises(RefusalError, match="evil"):
        guard.check_host(["evil.example"])
    closed = {name: value for name, value in environment.items() if name != "TAGSTREAM_OPEN_API"}
    with pytest.raises(SettingsError, match="TAGSTREAM_OPEN_API=true"):
        Guard.of(Settings.from_mapping(closed))


def test_the_worker_shows_the_page() -> None:
    """With pictures, in a volume of its own; who reaches it, which is this machine, may upload and edit."""
    settings = Settings.from_mapping(WORKER["environment"])
    assert settings.is_page
    assert settings.thumbnails
    assert f"objects:{settings.object_store}" in WORKER["volumes"]
    assert writing_of(settings).allowed(ANYBODY)
    from_afar = {
        name: value for name, value in WORKER["environment"].items() if name != "TAGSTREAM_OPEN_PAGE"
    }
    assert not writing_of(Settings.from_mapping(from_afar)).allowed(ANYBODY)
    assert f"http://localhost:{settings.web_port}/ in a browser" in COMPOSE_TEXT


def test_what_watches_is_started_when_asked_for() -> None:
    """Prometheus and Grafana are of the profile `watch` alone; the worker's metrics are where it looks."""
    assert of_profile("watch") == {"prometheus", "grafana"}
    settings = Settings.from_mapping(WORKER["environment"])
    (job,) = yaml.safe_load((ROOT / "deploy/prometheus/compose.yml").read_text("utf-8"))["scrape_configs"]
    (looked_up,) = job["dns_sd_configs"]
    assert (looked_up["names"], looked_up["port"]) == (["worker", "gateway"], settings.metrics_port)
    assert settings.metrics_host == "0.0.0.0"


def test_a_gateway_is_started_when_asked_for() -> None:
    """It keeps bytes where the worker reads them, and tells the address that this machine reaches."""
    assert of_profile("gateway") == {"gateway"}
    gateway = COMPOSE["services"]["gateway"]
    settings = Settings.from_mapping({**gateway["environment"], "TAGSTREAM_ROLES": gateway["command"][2]})
    assert settings.is_gateway
    assert settings.object_store == Settings.from_mapping(WORKER["environment"]).object_store
    shared = f"objects:{settings.object_store}"
    assert shared in gateway["volumes"]
    assert shared in WORKER["volumes"]
    assert gateway["ports"] == [
        f"127.0.0.1:{settings.gateway_url.rpartition(':')[2]}:{settings.gateway_port}"
    ]


def of_profile(profile: str) -> set[str]:
    """The services that only this profile starts."""
    return {name for name, service in COMPOSE["services"].items() if service.get("profiles") == [profile]}


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_every_service_is_hardened(name: str) -> None:
    """No capability, no new privileges, a file system that is read only, bounded memory and processes."""
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"] > 0
    assert "privileged" not in service
    assert "user" not in service or service["user"] not in {"root", "0"}


def test_the_package_is_built_by_what_a_lock_pins() -> None:
    """The build backend comes by hash; building and installing the package ask no index."""
    builds = [rest for name, rest in instructions() if name == "RUN" and "pip" in rest]
    assert any("--require-hashes -r .locks/build.txt" in rest for rest in builds)
    own = [rest for rest in builds if "--require-hashes" not in rest]
    assert len(own) == 2
    assert all("--no-index" in rest and "--no-deps" in rest for rest in own)
    lock = (ROOT / ".locks/build.txt").read_text("utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    required = {name.partition(">")[0] for name in project["build-system"]["requires"]}
    assert required <= {line.partition("==")[0] for line in lock.splitlines() if "==" in line}
    assert set(project["build-system"]["requires"]) <= set(project["dependency-groups"]["build"])


def test_kafkas_listeners_fit_together() -> None:
    """Each listener has a protocol; workers and this machine are told the address that they can reach."""
    environment = KAFKA["environment"]
    names = {entry.partition(":")[0] for entry in environment["KAFKA_LISTENERS"].split(",")}
    mapped = {
        entry.partition(":")[0] for entry in environment["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")
    }
    assert names == mapped
    listening = dict(entry.split("://:") for entry in environment["KAFKA_LISTENERS"].split(","))
    advertised = dict(entry.split("://") for entry in environment["KAFKA_ADVERTISED_LISTENERS"].split(","))
    assert advertised["PLAINTEXT"] == WORKER["environment"]["KAFKA_BOOTSTRAP_SERVERS"]
    assert advertised["PLAINTEXT"] == f"kafka:{listening['PLAINTEXT']}"
    _, published, inside = KAFKA["ports"][0].split(":")
    assert (advertised["HOST"], listening["HOST"]) == (f"localhost:{published}", inside)
    assert environment["KAFKA_LOG_DIRS"] == KAFKA["volumes"][0].partition(":")[2]


def test_the_workers_settings_exist() -> None:
    """Each variable of compose file and image is one that the worker reads."""
    ours = {name for name in image_environment() if name.startswith((PREFIX, "KAFKA_"))}
    named = ours | WORKER["environment"].keys()
    assert named >= {"KAFKA_BOOTSTRAP_SERVERS", "TAGSTREAM_DATA_DIR"}
    assert named <= KNOWN


def test_the_image_does_not_run_as_root() -> None:
    """The last stage names a user that it made, and everything that starts later runs as that user."""
    final = [name for name, _ in instructions()].index("FROM", 1)
    steps = instructions()[final:]
    user = last("USER")
    assert user not in {"root", "0"}
    assert any(name == "RUN" and re.search(rf"useradd .*\b{user}$", rest) for name, rest in steps)
    assert image_environment()["TAGSTREAM_DATA_DIR"] == last("WORKDIR") == WORKER["volumes"][0]


def test_the_image_installs_what_the_lock_pins() -> None:
    """Dependencies come from the lock, by hash; the package itself brings none."""
    installs = [rest for name, rest in instructions() if name == "RUN" and "pip install" in rest]
    assert "--require-hashes -r .locks/worker.txt" in installs[0]
    (own,) = [rest for rest in installs if "--require-hashes" not in rest]
    assert "--no-deps --no-index /wheels/" in own


def test_what_the_image_copies_is_there() -> None:
    """Each copied path exists, is let through by .dockerignore, and makes up the whole package."""
    allowed = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        if line.startswith("!")
    }
    assert copied() == allowed
    assert all((ROOT / path).exists() for path in copied())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {*packages, project["project"]["readme"], *project["project"]["license-files"]} <= copied()


def test_the_image_starts_a_worker() -> None:
    """Entry point and command make `tagstream worker`, in the form that lets it hear SIGTERM."""
    entry, arguments = json.loads(last("ENTRYPOINT")), json.loads(last("CMD"))
    assert entry == ["tagstream"]
    assert arguments == ["worker"]
    assert arguments[0] in COMMANDS


def test_the_health_check_asks_the_worker() -> None:
    """The image asks the query API's `/healthz` on the port that the settings default to."""
    command = json.loads(last("HEALTHCHECK").partition("CMD")[2])
    port = Settings().web_port
    assert f"'http://127.0.0.1:{port}/healthz'" in command[-1]
    compile(command[-1], "HEALTHCHECK", "exec")
    assert last("EXPOSE").split() == [
        str(each) for each in (port, Settings().gateway_port, Settings().metrics_port)
    ]
    assert WORKER["ports"][0].endswith(f":{port}")
