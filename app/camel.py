"""The base of models whose fields are camelCase outside Python: in MongoDB, in JSON, in payloads."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class CamelModel(BaseModel):
    """An embedded document or API body; both spellings are read, camelCase is written by alias."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
