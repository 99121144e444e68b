"""The commands of pages, typed as commands.yaml has them, in checkouts with a shrunken pipeline."""

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torchvision import models

from tests.checkout import environment, make_checkout, ran, run
from tests.docs.test_commands import TABLE
from tests.photographs import jpeg

pytestmark = pytest.mark.slow


class Typist:
    """A checkout whose pipeline has run, and somebody who types there; ``~`` is a folder beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.elsewhere = folder / "capflow", folder / "home", folder / "elsewhere"
        self.home.mkdir()
        self.folder.mkdir()
        make_checkout(self.folder)
        (self.folder / ".venv").symlink_to(sys.prefix)
        for name in ("photo", "new", "other"):
            (self.folder / f"{name}.jpg").write_bytes(jpeg(1))
        shutil.copy(self.folder / "data/annotations/test.json", self.folder / "references.json")
        shutil.copy(self.folder / "data/predictions/test.json", self.folder / "results.json")

    def types(self, line: str, **variables: str) -> str:
        """What a line says; it has to end well."""
        done = subprocess.run(
            ["bash", "-c", f"set -e\n{line}"],
            cwd=self.elsewhere if line.startswith("git pull") else self.folder,
            env=environment() | {"HOME": str(self.home)} | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, f"$ {line}\n{done.stdout}"
        return done.stdout

    def types_all(self, test: str, words: dict[str, str] | None = None, **variables: str) -> dict[str, str]:
        """All lines that are listed under a test, with some words replaced; what each said."""
        said = {}
        for line in TABLE["run"][f"tests/docs/test_typed.py::{test}"]:
            typed = line
            for word, real in (words or {}).items():
                typed = typed.replace(word, real)
            said[line] = self.types(typed, **variables)
        return said

    def forget(self) -> None:
        """Back to the first run."""
        run(self.folder, "git", "restore", ".")
        run(self.folder, "dvc", "checkout")


@pytest.fixture(scope="module")
def typist(tmp_path_factory: pytest.TempPathFactory) -> Typist:
    return Typist(tmp_path_factory.mktemp("typed"))


def test_the_readme(typist: Typist, tmp_path: Path) -> None:
    run(tmp_path, "git", "clone", "--quiet", "--bare", str(typist.folder), "origin")
    run(typist.folder, "git", "remote", "add", "origin", str(tmp_path / "origin"))
    run(typist.folder, "git", "fetch", "--quiet", "origin")
    branch = run(typist.folder, "git", "branch", "--show-current").strip()
    run(typist.folder, "git", "branch", "--set-upstream-to", f"origin/{branch}")
    run(tmp_path, "git", "clone", "--quiet", str(tmp_path / "origin"), str(typist.elsewhere))
    said = typist.types_all("test_the_readme", {"/mnt/shared": str(tmp_path)})
    assert ran(said["dvc repro"]) == []
    assert ran(said["dvc exp run -S train.lr=0.01"])[0] == "train"
    assert len(said["capflow caption --best 5 photo.jpg"].splitlines()) == 5
    assert (typist.elsewhere / "data/model/model.safetensors").is_file()
    assert (typist.folder / "model/README.md").is_file()
    assert "is the champion now" in said["capflow promote"]
    typist.forget()


def test_looking_at_runs(typist: Typist) -> None:
    run(typist.folder, "git", "commit", "--quiet", "--allow-empty", "--message", "another")
    run(typist.folder, "dvc", "exp", "run", "--name", "faster", "-S", "train.lr=0.02")
    said = typist.types_all("test_looking_at_runs", {"NAME": "faster"})
    assert "0.02" in said["dvc metrics diff; dvc params diff"]
    typist.forget()


def test_own_photographs(typist: Typist, tmp_path: Path) -> None:
    photos = typist.home / "photos"
    (photos / "beach").mkdir(parents=True)
    table = ["image,caption"]
    for number in range(20):
        (photos / f"beach/{number:03}.jpg").write_bytes(jpeg(number))
        table += [f"beach/{number:03}.jpg,A dog runs into the water.", f"{number:03}.jpg,A dog, and the sea."]
    (photos / "captions.csv").write_text("\n".join(table), encoding="utf-8")
    weights = tmp_path / "squeezenet.pth"
    torch.save(models.squeezenet1_0().state_dict(), weights)
    typist.types_all("test_own_photographs", ENCODER="squeezenet1_0", ENCODER_WEIGHTS=str(weights))
    captions = json.loads((typist.folder / "captions.json").read_text())
    assert [row["image"] for row in captions] == ["new.jpg", "other.jpg"]
    index = json.loads((typist.folder / "data/tensors/val.json").read_text())
    assert len(index["ids"]) == 4
    typist.forget()


def test_an_encoder_of_ones_own(typist: Typist) -> None:
    (typist.home / "weights").mkdir()
    torch.save(models.resnet50().state_dict(), typist.home / "weights/resnet50.pth")
    arrays = {name: tensor.numpy() for name, tensor in models.mobilenet_v2().state_dict().items()}
    np.savez(typist.folder / "data/weights/mine.npz", allow_pickle=False, **arrays)
    typist.types_all("test_an_encoder_of_ones_own")
    told = json.loads((typist.folder / "data/model/config.json").read_text())["encoder"]
    assert told["weights"] == "tuned/model.safetensors"
    assert told["padding"] == "tensorflow"
    tuned, now = (
        load_file(typist.folder / "data" / name / "model.safetensors") for name in ("weights/tuned", "model")
    )
    name = "encoder.backbone.features.0.0.weight"
    assert torch.equal(tuned[name], now[name])
    typist.forget()


def test_a_run_made_again(typist: Typist) -> None:
    """Its record names the experiment and the commit that the commands are given."""
    run(typist.folder, "dvc", "exp", "run", "--name", "wanted", "-S", "train.lr=0.005")
    model = (typist.folder / "data/model/model.safetensors").read_bytes()
    branch = run(typist.folder, "git", "branch", "--show-current").strip()
    commit = run(typist.folder, "git", "rev-parse", "HEAD").strip()
    words = {"ID": run_id(typist.folder, "wanted"), "NAME": "wanted", "COMMIT": commit}
    said = typist.types_all("test_a_run_made_again", words, MLFLOW_TRACKING_URI="sqlite:///mlflow.db")
    told = json.loads(said["mlflow runs describe --run-id ID"])["data"]
    assert told["tags"]["dvc.experiment"] == "wanted"
    assert told["tags"]["mlflow.source.git.commit"] == commit
    assert told["tags"]["git.changed"] == "nothing"
    assert told["params"]["train.lr"] == "0.005"
    assert {told["tags"]["capflow.model"], told["tags"]["capflow.test_digest"], told["tags"]["device"]}
    digests = said[next(line for line in said if line.startswith("grep"))]
    assert all(told["params"][f"digest.{name}"] in digests for name in ("vocab", "tensors", "features"))
    run(typist.folder, "git", "switch", "again")
    run(typist.folder, "dvc", "checkout")
    assert (typist.folder / "data/model/model.safetensors").read_bytes() == model
    run(typist.folder, "git", "switch", branch)
    run(typist.folder, "git", "stash", "pop")
    typist.forget()


def run_id(folder: Path, name: str) -> str:
    with sqlite3.connect(folder / "mlflow.db") as store:
        ((found,),) = store.execute("select run_uuid from runs where name = ?", [name]).fetchall()
    store.close()
    return str(found)
