"""The recipes in runs/: what they hand to `dvc exp run` are parameters that exist, with values that fit."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from capflow.data.dataset import load_spec
from capflow.params import Params, load_params
from tests.checkout import ROOT

ABLATION = "flickr8k_ablation.sh"
RECIPES = sorted(path.name for path in (ROOT / "runs").glob("*.sh") if path.name != ABLATION)
# Instead of DVC: one argument a line.
SPY = f'#!{sys.executable}\nimport sys\nprint("\\n".join(sys.argv[1:]))\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return equip(tmp_path)


def equip(folder: Path) -> Path:
    """Fill a folder with recipes, the catalogue, parameters, and a DVC that only says what it got."""
    for name in ("runs", "data/sources"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "params.yaml", folder)
    dvc = folder / ".venv/bin/dvc"
    dvc.parent.mkdir(parents=True)
    dvc.write_text(SPY)
    dvc.chmod(0o755)
    return folder


def start(checkout: Path, recipe: str, *arguments: str, **inputs: str) -> "subprocess.CompletedProcess[str]":
    known = {"FLICKR8K_ROOT", "PHOTOS_ROOT", "COCO_MIRROR", "ENCODER", "ENCODER_WEIGHTS", "CAPFLOW_VENV"}
    environment = {name: value for name, value in os.environ.items() if name not in known} | inputs
    command = ["bash", str(checkout / "runs" / recipe), *arguments]
    return subprocess.run(
        command, cwd=checkout.parent, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def apply(checkout: Path, setting: str) -> None:
    """Do what DVC does with `-S`, whose values are YAML."""
    target, value = setting.split("=", 1)
    name, _, key = target.rpartition(":")
    path = checkout / (name or "params.yaml")
    content = yaml.safe_load(path.read_text())
    *sections, last = key.split(".")
    place: dict[str, Any] = content
    for section in sections:
        place = place[section]
    assert last in place, f"{target}: Hydra refuses keys that the file does not have"
    place[last] = yaml.safe_load(value)
    path.write_text(yaml.safe_dump(content))


def settings(output: str) -> list[str]:
    lines = output.splitlines()
    assert lines[:2] == ["exp", "run"]
    return [line.partition("=")[2] for line in lines[2:] if line.startswith("--set-param=")]


def leaves(tree: dict[str, Any], prefix: str = "") -> set[str]:
    names: set[str] = set()
    for key, value in tree.items():
        names |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}"}
    return names


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_setting_of_a_recipe_is_a_parameter_with_a_value_that_fits(
    checkout: Path, recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout)
    result = start(checkout, recipe, FLICKR8K_ROOT=str(checkout), PHOTOS_ROOT=str(checkout))
    assert result.returncode == 0, result.stderr
    chosen = settings(result.stdout)
    # An experiment leaves its parameters behind, so that a recipe has to name them all.
    named = {setting.partition("=")[0] for setting in chosen}
    assert named >= leaves(yaml.safe_load((checkout / "params.yaml").read_text()))
    for setting in chosen:
        apply(checkout, setting)
    params = load_params(checkout / "params.yaml")
    assert isinstance(params, Params)
    assert params.data.name != "scenes"
    load_spec(params.data.name)


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_take_their_inputs_from_the_environment_and_more_settings_from_the_line(
    checkout: Path, recipe: str
) -> None:
    weights = checkout / "my.npz"
    weights.touch()
    inputs = {
        "FLICKR8K_ROOT": str(checkout),
        "PHOTOS_ROOT": str(checkout),
        "COCO_MIRROR": "http://127.0.0.1:1",
    }
    more = {"ENCODER": "mobilenet_v2", "ENCODER_WEIGHTS": str(weights)}
    output = start(checkout, recipe, "-S", "train.lr=0.5", **inputs, **more).stdout
    chosen = settings(output)
    assert "encoder.name=mobilenet_v2" in chosen
    assert f"encoder.weights='{weights}'" in chosen
    assert output.endswith("-S\ntrain.lr=0.5\n")
    assert any(f"root='{checkout}'" in value or "mirror=http://127.0.0.1:1" in value for value in chosen)


@pytest.mark.parametrize(
    ("recipe", "name"), [("flickr8k.sh", "FLICKR8K_ROOT"), ("own_photos.sh", "PHOTOS_ROOT")]
)
def test_a_recipe_without_its_data_says_which_variable_to_set(checkout: Path, recipe: str, name: str) -> None:
    result = start(checkout, recipe)
    assert result.returncode != 0
    assert name in result.stderr.splitlines()[-1]
    assert not result.stdout


@pytest.mark.parametrize(
    ("recipe", "name"), [("flickr8k.sh", "FLICKR8K_ROOT"), ("own_photos.sh", "PHOTOS_ROOT")]
)
def test_a_folder_is_named_from_where_the_recipe_is_called_whatever_its_name(
    checkout: Path, recipe: str, name: str
) -> None:
    folder = "Anna's photos (1), a=b"
    (checkout.parent / folder).mkdir(exist_ok=True)
    chosen = settings(start(checkout, recipe, **{name: folder}).stdout)
    root = next(setting for setting in chosen if setting.startswith("data.root="))
    override = OverridesParser.create().parse_override(root)
    assert override.value() == str(checkout.parent / folder)
    assert start(checkout, recipe, **{name: "nowhere"}).stderr.startswith(
        f"{name}: there is no folder nowhere"
    )


def test_weights_that_are_not_there_are_refused_before_anything_runs(checkout: Path) -> None:
    result = start(checkout, "own_photos.sh", PHOTOS_ROOT=str(checkout), ENCODER_WEIGHTS="gone.npz")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("ENCODER_WEIGHTS: there is no file gone.npz; ")


@pytest.fixture(scope="module")
def ablation(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    """A checkout, and what the ablation puts into the queue there: settings by name."""
    checkout = equip(tmp_path_factory.mktemp("capflow"))
    output = start(checkout, ABLATION, "-S", "train.epochs=5", FLICKR8K_ROOT=str(checkout)).stdout
    queued = {}
    for arguments in output.split("exp\nrun\n")[1:]:
        lines = arguments.splitlines()
        assert "--queue" in lines
        assert lines[-2:] == ["-S", "train.epochs=5"]
        name = lines[lines.index("--name") + 1]
        assert name not in queued
        queued[name] = settings(f"exp\nrun\n{arguments}")
    return checkout, queued


def test_every_experiment_of_the_ablation_has_parameters_that_fit(
    ablation: tuple[Path, dict[str, list[str]]],
) -> None:
    checkout, queued = ablation
    chosen = []
    for settings_of_one in queued.values():
        for setting in settings_of_one:
            apply(checkout, setting)
        chosen.append(load_params(checkout / "params.yaml"))
    base, *others = chosen
    assert base.stored_features
    assert len({params.model_dump_json() for params in chosen}) == len(chosen), "two are the same"
    assert {params.decoder.name for params in chosen} == {"lstm", "attention", "updown", "transformer"}
    assert {params.generate.beam for params in chosen} == {1, 3, 5}
    for changed in ("label_smoothing", "self_critical"):
        assert any(getattr(params.train, changed) != getattr(base.train, changed) for params in others)
    assert any(params.encoder.trainable for params in others)


def test_experiments_of_the_ablation_have_names(ablation: tuple[Path, dict[str, list[str]]]) -> None:
    names = list(ablation[1])
    assert names[0] == "ablation-base"
    assert all(name.startswith("ablation-") for name in names)
    assert "ablation-transformer-tuned-critical" in names


def test_the_ablation_without_its_data_says_which_variable_to_set(checkout: Path) -> None:
    result = start(checkout, ABLATION)
    assert result.returncode != 0
    assert "FLICKR8K_ROOT" in result.stderr.splitlines()[-1]
    assert not result.stdout


def test_the_table_of_the_ablation_is_asked_of_dvc(checkout: Path) -> None:
    result = start(checkout, ABLATION, "--table")
    assert result.returncode == 0, result.stderr
    arguments = (checkout / "ablation.csv").read_text().splitlines()
    assert arguments[:3] == ["exp", "show", "--csv"]
