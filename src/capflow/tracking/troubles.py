"""What a store says against something, in our own words."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from capflow.errors import CapflowError

_GONE = {"RESOURCE_DOES_NOT_EXIST"}
_REFUSED = {"INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_ALREADY_EXISTS"}
_BAD = "BAD_REQUEST"
"""MLflow's own word, but also what its client makes of any page with the status 400, as a proxy's."""


class StoreError(CapflowError):
    """What a store says against something."""


class AwayError(StoreError):
    """The store does not answer, or cannot do now what it is asked for; later it may."""


class UnusableError(StoreError):
    """There cannot be such a store, or it is damaged: waiting does not help."""


class RefusedError(StoreError):
    """The store will never take this."""


class GoneError(StoreError):
    """The run was deleted."""


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """Say in our own words what MLflow, the network or a database refuses."""
    from mlflow.exceptions import MlflowException, RestException

    try:
        yield
    except CapflowError:
        raise
    except MlflowException as error:
        if error.error_code in _GONE:
            raise GoneError(str(error)) from None
        if error.error_code in _REFUSED or (error.error_code == _BAD and isinstance(error, RestException)):
            raise RefusedError(reason(error)) from None
        raise away(uri, error) from None
    except Exception as error:  # noqa: BLE001 -- drivers of databases and artifacts have errors of their own
        raise away(uri, error) from None


def away(uri: str, error: Exception) -> AwayError:
    """That a store cannot be used now."""
    what = "see to that file" if uri.startswith("sqlite:") else "start the server"
    return AwayError(
        f"MLflow: the store {shown(uri)} cannot be used ({reason(error)}); {what}, or correct "
        "MLFLOW_TRACKING_URI."
    )


def given(uri: str, name: object) -> str:
    """The name that a store has given to something; MLflow's client takes an answer without one.

    Raises:
        AwayError: there is none: some other program has answered.
    """
    if not name:
        raise away(uri, ValueError("its answer is empty"))
    return str(name)


def reason(error: Exception) -> str:
    """Why, in a few words: of an error of the network its core, else the first line."""
    text = str(error)
    core = re.search(r"\[Errno -?\d+\] [^'\")]+|[Rr]ead timed out|database is locked|[Nn]o space left", text)
    return core[0] if core else text.strip().partition("\n")[0][:300]


def shown(uri: str) -> str:
    """An address without its user and password; these are told to nobody."""
    place = urlsplit(uri).netloc
    return uri.replace(place, place.rpartition("@")[2], 1)
