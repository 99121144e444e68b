"""Models in MLflow: what is logged beside a run, the registry's versions with their aliases, and addresses.

A model comes as a ZIP of the folder that MLflow knows (:func:`pack`), made when the model was trained, so
that it is served by the code of that time whenever it is sent. What was registered last is ``latest`` by
MLflow's own rule, which keeps that alias to itself.
"""

from __future__ import annotations

import base64
import io
import os
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from capflow.errors import CapflowError
from capflow.scratch import scratch
from capflow.tracking.connection import is_there, patience, settle, tracking_uri
from capflow.tracking.store import Store
from capflow.tracking.troubles import GoneError, RefusedError, reason, translated

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion

NAME = "capflow"
"""Of the registered model."""
FOLDER = "model"
"""Of a run's model: ``runs:/<id>/model`` is its address."""
LATEST, CHAMPION = "latest", "champion"

_PACKAGE = Path(__file__).parents[1]
_DIGEST_TAG = "capflow.model"
# What the served model imports. Versions are those of the training, but for builds of their own ("+cpu").
_REQUIREMENTS = (
    *("mlflow", "numpy", "pillow", "platformdirs", "pydantic", "pyyaml", "safetensors", "simplejpeg"),
    *("torch", "torchvision", "tqdm"),
)


class Version(NamedTuple):
    """A version of the registered model, and the run that trained it."""

    number: str
    run: str


def pack(model: Path, target: Path) -> None:
    """Write a model folder as MLflow has it, from code and without a pickle, as one ZIP.

    MLflow captions a small picture with it, so it is known to work.

    Args:
        model: the model folder, which has to be called ``model``.
        target: the ZIP to write.

    Raises:
        RefusedError: MLflow cannot do it.
        OSError: the disk is full, or refuses.
    """
    settle()
    with scratch() as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's are of its own classes
        folder = temporary / "model"
        try:
            _save(model, folder)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - it runs our own code, too, and wraps what that raises
            raise RefusedError(f"MLflow cannot serve this model ({reason(error)}).") from None
        with zipfile.ZipFile(target, "w") as archive:
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                archive.write(path, path.relative_to(folder))


def _save(model: Path, folder: Path) -> None:
    from mlflow import pyfunc

    pyfunc.save_model(
        folder,
        python_model=str(_PACKAGE / "serving.py"),
        artifacts={"model": str(model)},
        code_paths=[str(_PACKAGE)],
        input_example=[{"image": _example()}],
        pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in _REQUIREMENTS],
    )


def _example() -> str:
    """A picture of one colour as base64."""
    stream = io.BytesIO()
    Image.new("RGB", (32, 32), "teal").save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def give(store: Store, run: str, packed: Path, digest: str) -> None:
    """Log a packed model as that of a run, and register it; done again, it does what is missing.

    Args:
        store: where to.
        run: which trained it.
        packed: as :func:`pack` wrote it.
        digest: of the model.
    """
    with store.of(run):
        model = _logged(store, run, digest)
        if str(model.status) != "READY":
            _upload(store, model.model_id, packed)
        _name_output(store, run, model.model_id)
        _register(store, run, model, digest)


def _logged(store: Store, run: str, digest: str) -> LoggedModel:
    found = store.client.search_logged_models([store.experiment], f"source_run_id = '{run}'")
    own = [model for model in found if model.tags.get(_DIGEST_TAG) == digest]
    return (
        own[0]
        if own
        else store.client.create_logged_model(
            store.experiment, FOLDER, run, {_DIGEST_TAG: digest}, model_type="capflow"
        )
    )


def _upload(store: Store, model: str, packed: Path) -> None:
    with scratch() as temporary:
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(temporary)
        with patience(packed.stat().st_size):
            store.client.log_model_artifacts(model, str(temporary))
    store.client.finalize_logged_model(model, "READY")


def _name_output(store: Store, run: str, model: str) -> None:
    """Show the model in the run's row of the table."""
    from mlflow.entities import LoggedModelOutput

    outputs = store.client.get_run(run).outputs
    if model not in {one.model_id for one in (outputs.model_outputs if outputs else [])}:
        store.client.log_outputs(run, [LoggedModelOutput(model, step=0)])


def _register(store: Store, run: str, model: LoggedModel, digest: str) -> None:
    """Have the run's version of the registered model.

    Its source is the place of the files: MLflow looks for ``models:/<id>`` in the working directory's store.
    """
    from mlflow.exceptions import MlflowException

    try:
        store.client.create_registered_model(NAME)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    versions = store.client.search_model_versions(f"name = '{NAME}' and run_id = '{run}'")
    if all(one.tags.get(_DIGEST_TAG) != digest for one in versions):
        tags = {_DIGEST_TAG: digest}
        place, known = model.artifact_location, model.model_id
        store.client.create_model_version(NAME, place, run, tags, model_id=known)


def _aliased(store: Store, alias: str) -> ModelVersion | None:
    from mlflow.exceptions import MlflowException

    try:
        return store.client.get_model_version_by_alias(NAME, alias)
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise


def named(store: Store, alias: str) -> Version | None:
    """The version that has an alias; None, if none has it."""
    with translated(store.uri):
        found = _aliased(store, alias)
        return Version(str(found.version), str(found.run_id)) if found else None


def numbered(store: Store, number: str) -> Version | None:
    """The version with a number; None, if there is none."""
    try:
        with translated(store.uri):
            found = store.client.get_model_version(NAME, number)
    except (GoneError, RefusedError):
        return None
    return Version(number, str(found.run_id))


def run_of(store: Store, address: str) -> str | None:
    """The run that trained the model at an address; None, if the address does not lead to one."""
    if found := re.match("runs:/([^/]+)/", address):
        return found[1]
    if found := re.fullmatch(f"models:/{NAME}(@|/)([^/]+)", address):
        name = found[2]
        version = numbered(store, name) if name.isdecimal() else named(store, name)
        return version.run if version else None
    return None


def let_name(store: Store, alias: str, number: str) -> None:
    """Let an alias name a version."""
    with translated(store.uri):
        store.client.set_registered_model_alias(NAME, alias, number)


def fetch(address: str, target: Path) -> Path:
    """Bring a model here.

    Args:
        address: ``runs:/<id>/model``, ``models:/capflow@champion``, ``models:/capflow/3``.
        target: an empty folder.

    Returns:
        The model folder.

    Raises:
        CapflowError: the store does not answer, there is no such model, or it is none of Capflow's.
    """
    from mlflow.artifacts import download_artifacts

    settle()
    uri = tracking_uri()
    if not is_there():  # MLflow would make an empty one
        raise _absent(address, f"cannot be fetched (there is no store {uri})")
    try:
        with translated(uri), _for_all(uri):
            place = download_artifacts(address, dst_path=str(target), tracking_uri=uri, registry_uri=uri)
    except (GoneError, RefusedError) as error:
        raise _absent(address, f"cannot be fetched ({str(error).rstrip('.')})") from None
    found = Path(place)
    folder = found / "artifacts" / "model"
    if not (folder / "config.json").is_file():
        raise _absent(address, "is no model of Capflow's")
    return folder


@contextmanager
def _for_all(uri: str) -> Iterator[None]:
    """Have MLflow look nowhere else: parts of it ask the store of the working directory in any case."""
    name = "MLFLOW_TRACKING_URI"
    usual = os.environ.get(name)
    os.environ[name] = uri
    try:
        yield
    finally:
        os.environ.pop(name)
        if usual is not None:
            os.environ[name] = usual


def _absent(address: str, what: str) -> CapflowError:
    made = ", and `capflow promote` makes a champion" if address.endswith("@champion") else ""
    return CapflowError(f"{address}: {what}; `make ui` shows what there is{made}.")
