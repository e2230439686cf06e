"""The kinds of values in params.yaml, and what all its blocks have in common."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _number_from_text(value: Any) -> Any:
    """Turn a numeric string into a float, and return any other value as it is.

    DVC writes `-S train.learning_rate.full=5e-5` back as `5e-05`, which YAML 1.1 reads as a string.
    """
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _count_or_auto(value: Any) -> int | str:
    if value != "auto" and (type(value) is not int or value < 1):
        raise ValueError(f"must be an integer of 1 or more, or auto, received {value!r}")
    return value


Number = Annotated[float, BeforeValidator(_number_from_text), Field(allow_inf_nan=False)]
Fraction = Annotated[Number, Field(ge=0, le=1)]
Positive = Annotated[Number, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(min_length=1)]
Revision = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]  # a commit; a branch or a tag can move
CountOrAuto = Annotated[Any, BeforeValidator(_count_or_auto)]


class Section(BaseModel):
    """A block of params.yaml: no unknown keys, no silent conversions, frozen after loading.

    Values that must fit together are compared by a validator of the last of them. pydantic runs it even if other fields of
    the block are wrong, so one message can list every fault; a field that is itself invalid is missing from `info.data`.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
