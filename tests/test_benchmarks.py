"""What the benchmarks share does what it says; what a GPU is measured by runs on a processor, too."""

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import gpu, growth, page, report, scores, serving, training_step
from capflow.evaluation.scores import NAMES, Scores
from capflow.models.decoder import Shape
from capflow.models.lstm import LSTMDecoder

TINY = gpu.Size(pictures=12, captions=60, searched=6, encoded=2, square=64, batch=10, channels=2048, words=50)


@pytest.mark.slow
def test_what_a_gpu_is_measured_by_runs_on_a_processor() -> None:
    found = gpu.outcomes(torch.device("cpu"), TINY)
    assert [outcome.goal for outcome in found] == [
        "listed",
        "listed",
        "<= 5 s",
        "<= 15 s",
        "<= 2 s",
        ">= 10x",
    ]


def test_without_a_gpu_the_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    before, behind = "a\n<!-- gpu table -->\n", "<!-- end of gpu table -->\nb\n<!-- table -->\n"
    page.PAGE.write_text(f"{before}old\n{behind}")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    gpu.main()
    assert page.PAGE.read_text() == f"{before}No GPU was at hand: not measured.\n{behind}"


def test_the_ways_take_turns_back_and_forth_after_one_round_for_warmth() -> None:
    turns: list[str] = []
    best = report.fastest({"a": lambda: turns.append("a"), "b": lambda: turns.append("b")}, rounds=2)
    assert turns == ["a", "b", "b", "a", "a", "b"]
    assert best.keys() == {"a", "b"}
    assert max(best.values()) < 1


def test_results_that_differ_end_a_benchmark_with_a_sentence() -> None:
    report.require(equal=True, complaint="never said")
    with pytest.raises(SystemExit, match=r"^error: the pixels differ\.$"):
        report.require(equal=False, complaint="the pixels differ.")


def test_programs_are_started_without_what_names_another_store(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT", "KEPT"):
        monkeypatch.setenv(name, "x")
    kept = report.environment()
    assert kept["KEPT"] == "x"
    assert not {"MLFLOW_TRACKING_URI", "DVC_ROOT"} & kept.keys()


@pytest.mark.parametrize(("seconds", "slope"), [((1, 2, 4), 1), ((1, 4, 16), 2), ((3, 3, 3), 0)])
def test_exponents(seconds: tuple[int, ...], slope: float) -> None:
    assert growth.exponent(seconds) == pytest.approx(slope, abs=1e-12)


def test_a_score_of_one_image_that_differs_ends_the_benchmark() -> None:
    names = [name for name in NAMES if name != "SPICE"]
    ours = Scores([1, 2], dict.fromkeys(names, 0.5), {name: [0.25, 0.75] for name in names}, {})
    theirs: dict[str, scores.Result] = {name: (0.5, [0.25, 0.75]) for name in names}
    scores.compare(ours, {**theirs, "CIDEr": (0.5, [0.25, 0.75 + 1e-13])})
    with pytest.raises(SystemExit, match="ROUGE_L"):
        scores.compare(ours, {**theirs, "ROUGE_L": (0.5, [0.25, 0.75 + 1e-13])})


def test_the_bare_products_are_those_of_a_training_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_step, "WORDS", 50)
    monkeypatch.setattr(training_step, "CAPTIONS", 6)
    decoder = LSTMDecoder(training_step.PARAMS, Shape(1, training_step.CHANNELS, 50))
    step, products = training_step.Step(decoder, "fp32"), training_step.products(torch.float32)
    features, tokens = torch.randn(6, training_step.CHANNELS), torch.randint(4, 50, (6, training_step.LENGTH))
    with FlopCounterMode(display=False) as wanted:
        step(features, tokens)
    with FlopCounterMode(display=False) as found:
        products()
    assert found.get_total_flops() == wanted.get_total_flops() > 0


def test_a_load_is_summed_up_by_what_was_answered_until_the_last_request_was_done() -> None:
    load = serving.Load([n / 1000 for n in range(1, 101)], ["timed out"], seconds=2.0)
    told = "50 captions a second; 50 ms (median), 95 ms (95 %), 99 ms (99 %), 100 ms (most); 1 errors"
    assert serving.summary(load) == told
