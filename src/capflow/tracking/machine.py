"""What MLflow measures of the machine."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any


def meters() -> Callable[[], dict[str, float]]:
    """MLflow's meters: processors, memory, disk, network, and GPUs where pynvml is installed."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    kinds: list[Any] = [CPUMonitor, DiskMonitor, NetworkMonitor, GPUMonitor]
    found: list[Any] = []
    for kind in kinds:
        with suppress(ImportError, RuntimeError):  # without a GPU, or what asks it
            found.append(kind())

    def measure() -> dict[str, float]:
        told: dict[str, float] = {}
        for monitor in found:
            monitor.clear_metrics()
            monitor.collect_metrics()
            told |= monitor.aggregate_metrics()
        return told

    return measure
