"""What the machine does while it trains, on request: MLflow's own switch and names, so its UI groups them."""

import os
import time
from typing import Self

from capflow import tracking

_SWITCH = "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING"
_PAUSE = 10.0  # seconds between two looks


class Watch:
    """Looks at processors, memory, disk and network now and then, when something is recorded anyway."""

    def __init__(self) -> None:
        """Begin; the first look is later."""
        self._measure = tracking.meters()
        self._looked = time.monotonic()

    @classmethod
    def asked(cls) -> Self | None:
        """A watch, where ``MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=true`` asks for it."""
        return cls() if os.environ.get(_SWITCH, "").lower() in {"1", "true"} else None

    def look(self) -> dict[str, float]:
        """Figures by name; none, if the last look was a moment ago."""
        if time.monotonic() - self._looked < _PAUSE:
            return {}
        self._looked = time.monotonic()
        return {f"system/{name}": value for name, value in self._measure().items()}
