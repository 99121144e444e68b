"""Parameters: what is right is read, what is wrong is named in one sentence."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from capflow.errors import CapflowError
from capflow.params import Params, load_params
from tests.checkout import ROOT

SHIPPED = ROOT / "params.yaml"


def write(folder: Path, change: dict[str, Any]) -> Path:
    content = yaml.safe_load(SHIPPED.read_text())
    for key, value in change.items():
        *sections, name = key.split(".")
        place = content
        for section in sections:
            place = place[section]
        if value is None:
            del place[name]
        else:
            place[name] = value
    target = folder / "params.yaml"
    target.write_text(yaml.safe_dump(content))
    return target


def test_shipped_parameters_are_valid() -> None:
    assert isinstance(load_params(SHIPPED), Params)


def test_an_experiment_of_dvcs_changes_the_line_of_its_parameter_alone(tmp_path: Path) -> None:
    """It writes the whole file anew, in its own style."""
    path = tmp_path / "params.yaml"
    path.write_text(SHIPPED.read_text())
    apply_overrides(path, ["train.self_critical.lr=0.25"])
    lines = (file.read_text().splitlines() for file in (SHIPPED, path))
    [(before, after)] = [pair for pair in zip(*lines, strict=True) if len(set(pair)) > 1]
    assert after.split() == before.replace("0.00005", "0.25").split()


def test_lists_that_dvc_fills_and_empties_leave_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(SHIPPED.read_text())
    changes = ("models=[a]", "models=[]", "models=[a,b]", "splits=[val]", "models=[]", "splits=[val,test]")
    for change in changes:
        apply_overrides(path, [f"generate.{change}"])
        load_params(path)
    assert path.read_text() == SHIPPED.read_text()


def test_scientific_notation_that_yaml_reads_as_a_string_is_a_number(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(re.sub(r"\n  lr: \S+", "\n  lr: 1e-05", SHIPPED.read_text()))
    assert yaml.safe_load(path.read_text())["train"]["lr"] == "1e-05"
    assert load_params(path).train.lr == 1e-5


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"train.lrr": 1}, "no parameter `train.lrr`"),
        ({"train.lr": None}, "`train.lr` is missing"),
        ({"train.lr": "fast"}, "`train.lr` is 'fast'"),
        ({"train.lr": -1}, "`train.lr` is -1"),
        ({"train.lr": float("nan")}, "`train.lr` is nan"),
        ({"train.epochs": 1.5}, "`train.epochs` is 1.5"),
        ({"decoder.name": "gru"}, "`decoder.name` is 'gru'"),
        ({"decoder.dropout": 1.0}, "`decoder.dropout` is 1.0"),
        ({"generate.splits": []}, "`generate.splits` is []"),
        (
            {"generate.splits": ["test", "test"]},
            "`generate.splits` is ['test', 'test']: a split should be named once",
        ),
        ({"encoder.weights": ""}, "`encoder.weights` is ''"),
        ({"generate.splits": ["dev"]}, "`generate.splits.0` is 'dev'"),
        ({"data.name": "../secrets"}, "`data.name` is '../secrets'"),
        ({"train.epochs": 0}, "are both 0: nothing is learnt"),
        ({"train.epochs": 0, "train.self_critical.epochs": 1}, "which only a model that train.start names"),
        ({"train.augment.crop": 65}, "train.augment.crop (65) is larger than tensors.size (64)"),
        ({"train": "all"}, "`train` is 'all'"),
        ({"train.epochs": True}, "`train.epochs` is True: input should not be true or false"),
        ({"train.lr": True}, "`train.lr` is True"),
        ({"vocab.punctuation": 1}, "`vocab.punctuation` is 1: input should be true or false"),
        ({"decoder.heads": 0}, "`decoder.heads` is 0"),
        ({"decoder.tied": 1}, "`decoder.tied` is 1: input should be true or false"),
        (
            {"decoder.name": "transformer", "decoder.heads": 7},
            "decoder.embedding (256) is no multiple of decoder.heads (7)",
        ),
        (
            {"decoder.name": "lstm", "decoder.tied": True, "decoder.hidden": 128},
            "decoder.tied needs decoder.embedding (256) and decoder.hidden (128) to be the same",
        ),
        ({"decoder.hidden": 10**9}, "`decoder.hidden` is 1000000000"),
        ({"train.self_critical.samples": 1}, "`train.self_critical.samples` is 1"),
        ({"train.self_critical.bleu": -1}, "`train.self_critical.bleu` is -1"),
        ({"train.ema": 1.0}, "`train.ema` is 1.0"),
        ({"train.encoder.from_epoch": 0}, "`train.encoder.from_epoch` is 0"),
        ({"train.batch_size": 10**30}, "`train.batch_size` is 1"),
        ({"generate.splits": ["train"]}, "neither val nor test"),
        ({"generate.groups": 2}, "generate.beam (3) is no multiple of generate.groups (2)"),
        ({"generate.min_length": 31}, "generate.min_length (31) is larger than generate.max_length (30)"),
        ({"generate.method": "greedy"}, "`generate.method` is 'greedy'"),
        ({"generate.top_p": 0.0}, "`generate.top_p` is 0"),
        ({"generate.drawn": 1}, "`generate.drawn` is 1"),
        ({"generate.drawn": -1}, "`generate.drawn` is -1"),
        (
            {"generate.method": "consensus", "generate.drawn": 0},
            "consensus needs generate.drawn or generate.lookalikes",
        ),
        (
            {
                "generate.method": "consensus",
                "generate.drawn": 0,
                "generate.lookalikes": 1,
                "generate.beam": 1,
            },
            "generate.drawn is 0 and generate.beam 1",
        ),
        ({"generate.likelihood": -1}, "`generate.likelihood` is -1"),
        ({"generate.likelihood": 101}, "`generate.likelihood` is 101"),
        ({"generate.lookalikes": -1}, "`generate.lookalikes` is -1"),
        ({"generate.hints": -1}, "`generate.hints` is -1"),
        ({"generate.hints": 101}, "`generate.hints` is 101"),
        ({"train.self_critical.lookalikes": -1}, "`train.self_critical.lookalikes` is -1"),
        ({"generate.models": [""]}, "`generate.models.0` is ''"),
    ],
)
def test_bad_values_are_named(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    path = write(tmp_path, change)
    with pytest.raises(CapflowError) as caught:
        load_params(path)
    assert named in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "[1, 2]", "a: [1", "\x00", "just words"])
def test_files_that_are_not_parameters_are_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(CapflowError, match=r"params\.yaml") as caught:
        load_params(path)
    assert "\n" not in str(caught.value)


def test_a_file_from_before_there_was_a_consensus_is_read(tmp_path: Path) -> None:
    later = dict.fromkeys(f"generate.{name}" for name in ("hints", "drawn", "likelihood", "lookalikes"))
    params = load_params(write(tmp_path, {**later, "train.self_critical.lookalikes": None}))
    assert params == load_params(SHIPPED)


def test_features_are_stored_only_when_nothing_about_them_changes(tmp_path: Path) -> None:
    frozen = {"encoder.trainable": False}
    assert load_params(write(tmp_path, frozen)).stored_features
    for change in (
        {"encoder.trainable": True},
        frozen | {"train.augment.crop": 48},
        frozen | {"train.augment.area": 0.5},
        frozen | {"train.augment.flip": True},
    ):
        assert not load_params(write(tmp_path, change)).stored_features


def test_sizes_that_a_decoder_does_not_read_need_not_fit(tmp_path: Path) -> None:
    for change in (
        {"decoder.name": "lstm", "decoder.heads": 7},
        {"decoder.name": "transformer", "decoder.tied": True, "decoder.hidden": 1024},
    ):
        assert load_params(write(tmp_path, change))
