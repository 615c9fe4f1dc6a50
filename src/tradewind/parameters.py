"""The base of every parameter block: frozen, unknown keys refused, renamed keys refused with their new name."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator


class Parameters(BaseModel):
    """A typed block of parameters.

    Attributes:
        renamed: old key to new key. A configuration that still uses the old one is refused with the new name in the
            message.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    renamed: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _refuse_renamed_keys(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            for old, new in cls.renamed.items():
                if old in given:
                    raise ValueError(f"{old} is called {new} now: rename the key")
        return given
