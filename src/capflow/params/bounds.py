"""Numbers within bounds, as several sections have them."""

from typing import Annotated

from pydantic import Field

Count = Annotated[int, Field(ge=1, lt=2**53)]
Width = Annotated[int, Field(ge=1, le=16384)]
Share = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Rate = Annotated[float, Field(gt=0, le=10)]
