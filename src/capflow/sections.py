"""What the sections of YAML and JSON files share, and how they are read: typed, bounded, errors named."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from capflow.errors import CapflowError


class Section(BaseModel):
    """What all sections share: unknown keys are errors, values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _truth_values_are_no_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """In Python ``True == 1``; here ``epochs: true`` and ``punctuation: 1`` are slips."""
        wanted = cls.model_fields[str(info.field_name)].annotation is bool
        if wanted and not isinstance(value, bool):
            raise PydanticCustomError("bool", "input should be true or false")
        if isinstance(value, bool) and not wanted:
            raise PydanticCustomError("no_bool", "input should not be true or false")
        return value


SectionT = TypeVar("SectionT", bound=BaseModel)


def load_yaml(path: Path, model: type[SectionT]) -> SectionT:
    """Read a YAML file into a model.

    Raises:
        CapflowError: the file is missing, is not YAML, or a key is unknown, missing or out of bounds.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CapflowError(f"{path}: there is no such file.") from None
    except OSError as error:
        raise CapflowError(f"{path}: cannot be opened ({error.strerror}); it should be a file.") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, or a date that is none
        raise CapflowError(f"{path}: not valid YAML: {' '.join(str(error).split())}.") from None
    return parse(content, model, path)


def parse(content: Any, model: type[SectionT], path: Path) -> SectionT:
    """Check ``content`` (read from ``path``) against a model.

    Raises:
        CapflowError: names the file, the first offending key, its value and what is allowed.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if not key and first["type"] != "value_error":
            raise CapflowError(f"{path}: holds no keys at all; it should be a mapping of them.") from None
        raise CapflowError(f"{path}: {_explain(key, first)}; please correct it.") from None


def _explain(key: str, error: Any) -> str:
    match error["type"]:
        case "extra_forbidden":
            return f"there is no parameter `{key}`"
        case "missing":
            return f"the parameter `{key}` is missing"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            message = error["msg"][0].lower() + error["msg"][1:]
            return f"`{key}` is {error['input']!r}: {message}"
