"""PostgreSQL and an S3 server from ordinary packages, on loopback; without these, tests are skipped."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.checkout import environment
from tests.faults.mlflow_server import free_port

_USERS = ("postgres", "nobody")  # PostgreSQL refuses to be root


@contextmanager
def postgres(password: str = "") -> Iterator[str]:
    """The address of an empty database, which goes away with its server; with a password, if one is named."""
    if not find_spec("psycopg2"):
        pytest.skip("psycopg2 is missing: install the dependency group `services`")
    programs = _programs()
    user = pwd.getpwuid(os.geteuid()).pw_name
    if os.geteuid() == 0:
        user = next(known.pw_name for name in _USERS for known in pwd.getpwall() if known.pw_name == name)
    folder = Path(tempfile.mkdtemp(prefix="capflow-postgres-"))
    shutil.chown(folder, user)
    port = free_port()
    as_user: dict[str, Any] = {
        "user": user,
        "cwd": folder,
        "env": {"PATH": os.environ["PATH"], "LC_ALL": "C"},
    }
    auth = ["--auth=trust"]
    if password:
        (folder / "password").write_text(password)
        auth = ["--auth=scram-sha-256", "--pwfile=password"]
    try:
        subprocess.run(
            [str(programs / "initdb"), *auth, "--username=capflow", "--no-sync", "data"],
            check=True,
            capture_output=True,
            **as_user,
        )
        options = {"-D": "data", "-p": str(port), "-k": str(folder), "-h": "127.0.0.1"}
        with (folder / "server.txt").open("wb") as told:
            server = subprocess.Popen(
                [str(programs / "postgres"), *(word for pair in options.items() for word in pair)],
                stdout=told,
                stderr=subprocess.STDOUT,
                **as_user,
            )
        try:
            _await_database(port, password, folder / "server.txt")
            yield f"postgresql+psycopg2://capflow@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if named := shutil.which("initdb"):
        found.append(Path(named))
    found = [path for path in found if (path.parent / "postgres").exists()]
    if not found:
        pytest.skip("PostgreSQL is missing: install the package `postgresql`")
    return found[-1].parent


def _await_database(port: int, password: str, told: Path) -> None:
    import psycopg2

    deadline = time.monotonic() + 60
    while True:
        try:
            place = {"host": "127.0.0.1", "port": port, "dbname": "postgres"}
            psycopg2.connect(user="capflow", password=password, **place).close()
            return
        except psycopg2.OperationalError:
            assert time.monotonic() < deadline, told.read_text()
            time.sleep(0.2)


@contextmanager
def s3(bucket: str) -> Iterator[str]:
    """The address of an S3 server with an empty bucket, which it keeps in memory."""
    for module in ("moto", "dvc_s3"):
        if not find_spec(module):
            pytest.skip(f"{module} is missing: install the dependency group `services`")
    address = f"http://127.0.0.1:{(port := free_port())}"
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 120
        while not _made(f"{address}/{bucket}"):
            assert time.monotonic() < deadline, "the S3 server does not answer"
            assert server.poll() is None, "the S3 server has ended"
            time.sleep(0.2)
        yield address
    finally:
        server.kill()
        server.wait()


def _made(bucket: str) -> bool:
    """Whether the bucket could be made."""
    request = urllib.request.Request(bucket, method="PUT")
    with suppress(OSError), urllib.request.urlopen(request, timeout=5) as answer:
        return bool(answer.status == 200)
    return False
