"""MLflow: this package and ``serving`` alone import it, and this package does so where it is needed."""

from capflow.tracking.connection import EXPERIMENT, address, is_service, is_there, load, tracking_uri
from capflow.tracking.machine import meters
from capflow.tracking.store import BATCH, Input, Number, Row, Store
from capflow.tracking.troubles import AwayError, GoneError, RefusedError, StoreError, UnusableError

__all__ = [
    "BATCH",
    "EXPERIMENT",
    "AwayError",
    "GoneError",
    "Input",
    "Number",
    "RefusedError",
    "Row",
    "Store",
    "StoreError",
    "UnusableError",
    "address",
    "is_service",
    "is_there",
    "load",
    "meters",
    "tracking_uri",
]
