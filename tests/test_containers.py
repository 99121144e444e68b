"""Dockerfile, compose files, the development container: what they name exists, and they agree."""

import importlib
import json
import re
import shlex
import shutil
import tomllib
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from sqlalchemy.engine import make_url

from tests.checkout import ROOT, run
from tests.faults.mlflow_server import MlflowServer

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, each with the rest of its line and those that continue it."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in joined) if name]


def rests(name: str) -> list[str]:
    return [rest for each, rest in instructions() if each == name]


def copied() -> set[str]:
    """What comes from the checkout into an image."""
    words = [[word for word in shlex.split(rest) if not word.startswith("--")] for rest in rests("COPY")]
    return {source for *sources, _ in words for source in sources}


def settings() -> dict[str, str]:
    return dict(word.split("=", 1) for rest in rests("ENV") for word in shlex.split(rest))


def stages() -> list[str]:
    return [rest.split()[-1] for rest in rests("FROM")]


def test_what_is_copied_is_tracked_by_git_and_alone_reaches_docker() -> None:
    tracked = run(ROOT, "git", "ls-files").splitlines()
    for source in copied():
        assert any(name == source or name.startswith(f"{source}/") for name in tracked), source
    kept = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert kept[0] == "*"
    assert {line[1:] for line in kept if line.startswith("!")} == copied()


def test_the_images_python_is_one_that_the_package_wants() -> None:
    images = [rest.split()[0] for rest in rests("FROM")]
    versions = [found[1] for image in images if (found := re.fullmatch(r"python:([\d.]+)-slim", image))]
    assert [*images[1:]] == stages()[:1] * 2
    assert all(SpecifierSet(PYPROJECT["project"]["requires-python"]).contains(each) for each in versions)
    assert versions == ["3.11"]  # what `make lock` compiles for


def test_nobody_is_root_and_the_environment_comes_first() -> None:
    names = [name for name, _ in instructions()]
    assert rests("USER") == ["capflow"]
    assert names.index("USER") < names.index("COPY")
    assert settings()["PATH"].split(":") == [f"{settings()['CAPFLOW_VENV']}/bin", "$PATH"]


def test_the_steps_are_those_of_the_makefile(tmp_path: Path) -> None:
    for source in copied():
        place = tmp_path / source
        shutil.copytree(ROOT / source, place) if (ROOT / source).is_dir() else shutil.copy(
            ROOT / source, place
        )
    made = [rest[rest.index("make ") :].split() for rest in rests("RUN") if "make " in rest][1:]
    assert [words[1:] for words in made] == [["packages"], ["server-packages"], [".venv"]]
    environment = str(tmp_path / "elsewhere")
    told = [run(tmp_path, *words, "--dry-run", f"CAPFLOW_VENV={environment}") for words in made]
    assert f"{environment}/bin/uv pip sync" in told[0]
    assert "--require-hashes requirements.lock" in told[0]
    assert "--require-hashes --no-deps --requirement requirements-server.lock" in told[1]
    assert "--no-deps --editable ." in told[2]
    assert ".venv/" not in "".join(told)


def test_services_know_each_other() -> None:
    for service in SERVICES.values():
        for other, wanted in service.get("depends_on", {}).items():
            assert wanted == {"condition": "service_healthy"}
            assert "healthcheck" in SERVICES[other]
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source == "." or source in COMPOSE["volumes"]
        if "build" in service:
            assert service["build"]["target"] in stages()
            assert set(service["build"]["args"]) == {rest.split("=")[0] for rest in rests("ARG")}
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")
    assert yaml.safe_load((ROOT / "compose.gpu.yaml").read_text())["services"].keys() <= SERVICES.keys()


def test_mlflows_server_takes_the_command_and_finds_the_database() -> None:
    options = served()
    address, database = make_url(options["backend_store_uri"]), SERVICES["database"]["environment"]
    assert address.host == "database"
    assert (address.username, address.database) == (database["POSTGRES_USER"], database["POSTGRES_DB"])
    assert address.password is None
    assert SERVICES["mlflow"]["environment"]["PGPASSWORD"] == database["POSTGRES_PASSWORD"]
    assert any(name.startswith("psycopg2-binary") for name in PYPROJECT["dependency-groups"]["server"])
    assert (ROOT / "requirements-server.lock").read_text().startswith("psycopg2-binary==")
    assert address.drivername == "postgresql+psycopg2"


def test_artifacts_stay_in_a_volume_that_the_user_of_the_image_may_write() -> None:
    folder = served()["artifacts_destination"]
    assert f"artifacts:{folder}" in SERVICES["mlflow"]["volumes"]
    owned = next(
        re.findall(r"install [^&]*", rest)[0].split() for rest in rests("RUN") if "install --dir" in rest
    )
    assert {folder, "/capflow"} <= {*owned}


def served() -> dict[str, Any]:
    """The options of `mlflow server`, as MLflow reads them."""
    with warnings.catch_warnings(action="ignore"):  # MLflow's own
        from mlflow.cli import cli

    program, name, *words = SERVICES["mlflow"]["command"]
    assert program == "mlflow"
    # The same as those of the tests with a server on PostgreSQL, and by which names it is asked.
    assert {word.split("=")[0] for word in words} == {*MlflowServer.OPTIONS, "--allowed-hosts"}
    options: dict[str, Any] = cli.commands[name].make_context(name, words).params
    return options


def test_trainings_record_where_the_server_listens() -> None:
    parser: Any = importlib.import_module("dvc.cli.parser").get_main_parser()
    train, port = SERVICES["train"], served()["port"]
    assert train["environment"]["MLFLOW_TRACKING_URI"] == f"http://mlflow:{port}"
    assert f"mlflow:{port}" in served()["allowed_hosts"].split(",")
    assert SERVICES["mlflow"]["ports"][0].endswith(f":{port}")
    assert f"http://127.0.0.1:{port}/" in SERVICES["mlflow"]["healthcheck"]["test"][-1]
    assert train["volumes"] == [f".:{rests('WORKDIR')[0]}"]
    program, *words = train["command"]
    assert program == "dvc"
    assert parser.parse_args(words).targets == []


def test_what_compose_asks_for_is_explained_and_the_password_has_no_default() -> None:
    asked = dict(re.findall(r"\$\{(\w+)(:[-?])", (ROOT / "compose.yaml").read_text()))
    example = dict(re.findall(r"^(\w+)=(.+)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert asked.keys() == example.keys()
    assert asked["CAPFLOW_DATABASE_PASSWORD"] == ":?"
    assert run(ROOT, "git", "check-ignore", ".env").strip() == ".env"


def test_the_development_container_is_the_image() -> None:
    path = ROOT / ".devcontainer/devcontainer.json"
    told: dict[str, Any] = json.loads(path.read_text())
    build = told["build"]
    assert (path.parent / build["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert (path.parent / build["context"]).resolve() == ROOT
    assert build["target"] in stages()
    assert [told["remoteUser"]] == rests("USER")
    assert [told["workspaceFolder"]] == rests("WORKDIR")
    assert f"target={told['workspaceFolder']}," in told["workspaceMount"]
    python = told["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert python == f"{settings()['CAPFLOW_VENV']}/bin/python"
    run(ROOT, *told["postCreateCommand"].split(), "--dry-run")


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", ".env.example", ".dockerignore"])
def test_image_names_are_plain(name: str) -> None:
    """No registry is named; of servers those alone that compose starts."""
    asked = set(re.findall(r"\w+://([\w.@]+)", (ROOT / name).read_text()))
    assert asked <= {"mlflow", "127.0.0.1", "mlflow@database"}
