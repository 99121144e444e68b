"""Learning rates, step by step."""

import pytest

from capflow.params import ScheduleParams
from capflow.training.schedule import Schedule


def schedule(name: str, warmup: float = 0.0, **changes: object) -> Schedule:
    params = {"name": name, "warmup": warmup, "every": 2, "factor": 0.1, "patience": 1} | changes
    return Schedule(ScheduleParams.model_validate(params), steps_per_epoch=10, epochs=6)


def test_constant_after_a_linear_warm_up() -> None:
    rates = [schedule("constant", warmup=0.1).factor(step) for step in range(60)]
    assert rates[:6] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])
    assert set(rates[6:]) == {1.0}


def test_step_falls_every_two_epochs() -> None:
    rates = [schedule("step").factor(step) for step in (0, 19, 20, 39, 40, 59)]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_cosine_falls_from_one_to_zero() -> None:
    rates = [schedule("cosine").factor(step) for step in range(61)]
    assert rates[0] == 1
    assert rates[30] == pytest.approx(0.5)
    assert rates[60] == pytest.approx(0)
    assert rates == sorted(rates, reverse=True)


def test_noam_is_the_formula_of_vaswani_et_al() -> None:
    width, warmup = 512, 6
    peak = (width * warmup) ** -0.5
    rates = [peak * schedule("noam", warmup=0.1).factor(step) for step in range(60)]
    assert rates == pytest.approx([width**-0.5 * min(n**-0.5, n * warmup**-1.5) for n in range(1, 61)])


def test_progress_is_from_0_to_1() -> None:
    progress = [schedule("constant").progress(step) for step in (0, 59, 61)]
    assert progress == [0, 1, 1]


def test_plateau_falls_after_more_flat_epochs_than_are_forgiven() -> None:
    plateau = schedule("plateau")
    rates = []
    for loss in (3.0, 2.0, 2.0, 2.0, 1.9, 1.9, 1.9):
        plateau.epoch_ended(loss)
        rates.append(plateau.factor(0))
    assert rates == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01])
