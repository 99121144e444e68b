"""What several processes do together in tests; :mod:`tests.together` starts it."""

import os
import signal
import time
from pathlib import Path
from threading import Timer

import numpy as np
import torch
from torch import Tensor

from capflow import interruption
from capflow.errors import CapflowError
from capflow.interruption import Stopped
from capflow.joining import together
from capflow.models.captioner import DECODERS
from capflow.models.inputs import EncodedPixels, Views
from capflow.models.shared_norm import Sharing
from capflow.processes import ALONE, Processes
from capflow.training.cross_entropy import CrossEntropy
from capflow.training.fit import look
from capflow.training.phase import Phase
from tests.tiny import CPU, captioner, pixels, train_params
from tests.training.stored import batches


def gradients() -> None:
    """Each weight's gradient is that of one process, and so are the running statistics."""
    with together() as processes:
        for name in DECODERS:
            shared, alone = learnt(name, processes), learnt(name, ALONE)
            assert shared.keys() == alone.keys()
            for weight, expected in alone.items():
                # What a batch norm takes out again, as biases, has no gradient but what rounding leaves.
                torch.testing.assert_close(shared[weight], expected, rtol=1e-4, atol=5e-6, msg=weight)
                assert (
                    name != "lstm" or expected.abs().max() > 1e-3 or weight.endswith(("bias", "place.weight"))
                )


def chances() -> None:
    """Dropout differs between processes and steps, and comes again; what is drawn after it is not moved."""
    with together() as processes:
        torch.manual_seed(3)
        drawn = []
        for step in (0, 1, 0):
            with processes.chances(step):
                drawn.append(torch.rand(4).tolist())
        assert drawn[0] == drawn[2] != drawn[1]
        assert len({str(each) for each in processes.gathered(drawn[0])}) == processes.count
        after = torch.rand(4)
        assert torch.equal(after, torch.rand(4, generator=torch.Generator().manual_seed(3)))


def looks() -> None:
    """All see what one sees, though their parts are unequal; what ends one of them meanwhile ends all."""
    with together() as processes, interruption.heeded(processes.largest) as stops:
        views = Views(EncodedPixels(pixels(5), captioner(encoder={"trainable": True}), CPU))
        rows = np.arange(5)
        found = look(views, rows, 2, processes, stops.heed)
        torch.testing.assert_close(found, look(views, rows, 2))
        assert found.any(1).all()
        if not processes.first:
            stops.ask(signal.SIGTERM)
        look(views, rows, 2, processes, stops.heed)


def words() -> None:
    """What one has to tell, all hear; turns are as many for each."""
    with together() as processes:
        rank, count = processes.rank, processes.count
        assert processes.gathered({"é": rank * [None]}) == [{"é": place * [None]} for place in range(count)]
        assert processes.told(rank) == 0
        assert processes.largest(rank) == count - 1
        assert processes.sent(b"\0abc" if processes.first else b"") == b"\0abc"
        one, other = torch.full((2, 2), float(rank)), torch.ones(3)
        processes.add(one, other)
        assert (one[0, 0].item(), other[2].item()) == (sum(range(count)), count)
        assert "".join(processes.gathered("".join(processes.part("abcde")))) == "abcde"
        turns = [f"{item}{own:d}" for item, own in processes.turns("abcd")]
        expected = {2: ["a1 c1", "b1 d1"], 3: ["a1 d1", "b1 d0", "c1 d0"]}
        assert processes.gathered(" ".join(turns)) == expected[count]


def apart() -> None:
    """One takes longer than the others would wait, but not for an item; parts are of unequal lengths."""
    with together() as processes:
        own = processes.part("abcdefg")
        done = []
        for letter in processes.in_step(own, 7, 2):
            time.sleep(0.4 * processes.rank)
            done.append(letter)
        assert "".join(done) == own
        for _ in processes.turns(range(7)):
            time.sleep(0.4 * processes.rank)
        assert processes.gathered(own) == ["abc", "defg"]


def error() -> None:
    """All have the same error."""
    with together():
        raise CapflowError("params.yaml: a sentence.")


def late() -> None:
    """The first has it a second before the others, and would take the store along."""
    with together() as processes:
        time.sleep(min(processes.rank, 1))
        raise CapflowError("params.yaml: a sentence.")


def dead() -> None:
    """One leaves without a word."""
    with together() as processes:
        if processes.rank == 1:
            os._exit(7)
        processes.told(0)


def silent() -> None:
    """One says nothing for long."""
    with together() as processes:
        if processes.rank == 1:
            time.sleep(3)
            os._exit(7)
        processes.told(0)


def stopped() -> None:
    """All have agreed on a stop, and the first one takes its time; others are told again meanwhile."""
    checkpoint = Path("checkpoint")
    try:
        with together() as processes:
            processes.told(0)
            if processes.first:
                time.sleep(1)
                checkpoint.touch()
            else:
                _told_soon()
            raise Stopped(signal.SIGTERM)
    finally:
        assert checkpoint.exists()


def ended() -> None:
    """The first one is ended by a signal, where the other has nothing left to do but to wait for it."""
    with together() as processes:
        processes.told(0)
        if processes.first:
            time.sleep(0.5)
            os._exit(7)
        _told_soon()


def _told_soon() -> None:
    process = os.getpid()
    Timer(0.2, lambda: os.kill(process, signal.SIGTERM)).start()


def learnt(name: str, processes: Processes) -> dict[str, Tensor]:
    """Gradients and running statistics after a step that moves no weight."""
    decoder = {"name": name, "embedding": 16, "batch_norm": True}
    model = captioner(decoder=decoder, encoder={"trainable": True, "features": "grid"}).train()
    params = train_params(batch_size=10)
    objective = CrossEntropy(model, EncodedPixels(pixels(5), model, CPU), params)
    phase = Phase(model, objective, params, 0.0, 1, 1, Sharing(model, processes))
    phase.update([*batches(params).epoch(1)])
    found = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    return found | {name: value for name, value in model.named_buffers() if value.is_floating_point()}
