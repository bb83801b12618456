"""What models are made of: their base, the markers that shape the CRD's schema, and field types.

Docstrings of classes and fields become the descriptions ``kubectl explain`` shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StrictBool,
    StrictInt,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from prism_operator.api.durations import DURATION_PATTERN
from prism_operator.api.meta import Json
from prism_operator.api.rules import Rule
from prism_operator.api.upstream import flaw_of


class Model(BaseModel):
    """Base of everything in a Prism object: frozen, camelCase in JSON, unknown fields ignored."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    RULES: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, given: object) -> object:
        # The API server prunes a null where it has a default for the field.
        if isinstance(given, Mapping) and None in given.values():
            return {key: value for key, value in given.items() if value is not None}
        return given

    @classmethod
    def rules(cls) -> Iterator[Rule]:
        """The rules of this model, those of its bases first."""
        for base in reversed(cls.__mro__):
            yield from base.__dict__.get("RULES", ())

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> Json:
        rendered = handler.resolve_ref_schema(handler(schema))
        if rules := [rule.to_schema() for rule in cls.rules()]:
            rendered["x-kubernetes-validations"] = rules
        return rendered


@dataclass(frozen=True, slots=True)
class Upstream:
    """Marks plain JSON as a Kubernetes type, whose schema the CRD takes over in full.

    ``keys`` name the fields by which a list of that type is a map.
    """

    definition: str
    keys: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._of_that_type, handler(source))

    def _of_that_type(self, value: Any) -> Any:
        # A list holds values of the type; a single one is an object, never a list.
        items = enumerate(value) if isinstance(value, list) else [("", value)]
        for index, item in items:
            if (flaw := flaw_of(item, self.definition)) is not None:
                place = f"[{index}]" if isinstance(value, list) else ""
                raise PydanticCustomError("flaw", "flaw", {"flaw": flaw, "item": place})
        return value

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> Json:
        reference = {"x-upstream": self.definition}
        rendered = handler(schema)
        if rendered.get("type") != "array":
            return reference
        return {**rendered, "items": reference, **_list_type(self.keys)}


@dataclass(frozen=True, slots=True)
class ListMap:
    """Marks a list of models as a map by ``key``: no two items have the same one."""

    key: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._distinct, handler(source))

    def _distinct(self, items: tuple[Any, ...]) -> tuple[Any, ...]:
        _refuse_duplicates([getattr(item, self.key) for item in items], self.key)
        return items

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> Json:
        return {**handler(schema), **_list_type((self.key,))}


@dataclass(frozen=True, slots=True)
class ListSet:
    """Marks a list of strings as a set."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._distinct, handler(source))

    def _distinct(self, items: tuple[str, ...]) -> tuple[str, ...]:
        _refuse_duplicates(list(items), "value")
        return items

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> Json:
        return {**handler(schema), "x-kubernetes-list-type": "set"}


@dataclass(frozen=True, slots=True)
class Extra:
    """Marks a field with a schema keyword that the CRD shows as it is."""

    keyword: str
    value: str | bool

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> Json:
        return {**handler(schema), self.keyword: self.value}


def _list_type(keys: tuple[str, ...]) -> Json:
    if not keys:
        return {"x-kubernetes-list-type": "atomic"}
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


def _refuse_duplicates(values: list[str], key: str) -> None:
    if repeated := sorted({value for value in values if values.count(value) > 1}):
        raise PydanticCustomError(
            "duplicate", "{key} {value} is there more than once", {"key": key, "value": repeated[0]}
        )


_INT32 = Extra("format", "int32")
_INT64 = Extra("format", "int64")
_DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_LABEL_VALUE = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"

Bool: TypeAlias = StrictBool
Port: TypeAlias = Annotated[StrictInt, Field(ge=1, le=65535), _INT32]
Count: TypeAlias = Annotated[StrictInt, Field(ge=0, le=2**31 - 1), _INT32]
PositiveCount: TypeAlias = Annotated[StrictInt, Field(ge=1, le=2**31 - 1), _INT32]
# 2^53-1 is the largest integer that is safe in JSON; the API server refuses 2^63-1 as a bound.
LongCount: TypeAlias = Annotated[StrictInt, Field(ge=0, le=2**53 - 1), _INT64]
DnsLabel: TypeAlias = Annotated[str, Field(min_length=1, max_length=63, pattern=_DNS_LABEL)]
DnsSubdomain: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=253, pattern=_DNS_SUBDOMAIN)
]
LabelValue: TypeAlias = Annotated[str, Field(max_length=63, pattern=_LABEL_VALUE)]
ShortText: TypeAlias = Annotated[str, Field(max_length=253)]
Text: TypeAlias = Annotated[str, Field(max_length=1024)]
LongText: TypeAlias = Annotated[str, Field(max_length=4096)]
Duration: TypeAlias = Annotated[str, Field(max_length=64, pattern=DURATION_PATTERN)]
Labels: TypeAlias = Annotated[dict[str, LabelValue], Field(max_length=64)]
Annotations: TypeAlias = Annotated[dict[str, LongText], Field(max_length=64)]
NamespaceNames: TypeAlias = Annotated[tuple[DnsLabel, ...], Field(max_length=64), ListSet()]
IntOrPercent: TypeAlias = Annotated[
    StrictInt | Annotated[str, Field(max_length=8)], Extra("x-kubernetes-int-or-string", True)
]
FreeForm: TypeAlias = Annotated[Json, Extra("x-kubernetes-preserve-unknown-fields", True)]

CORE_V1 = "io.k8s.api.core.v1."
META_V1 = "io.k8s.apimachinery.pkg.apis.meta.v1."
AUTOSCALING_V2 = "io.k8s.api.autoscaling.v2."

Affinity: TypeAlias = Annotated[Json, Upstream(CORE_V1 + "Affinity")]
Resources: TypeAlias = Annotated[Json, Upstream(CORE_V1 + "ResourceRequirements")]
Tolerations: TypeAlias = Annotated[
    list[Json], Upstream(CORE_V1 + "Toleration"), Field(max_length=64)
]
TopologySpreadConstraints: TypeAlias = Annotated[
    list[Json],
    Upstream(CORE_V1 + "TopologySpreadConstraint", keys=("topologyKey", "whenUnsatisfiable")),
    Field(max_length=16),
]
ImagePullSecrets: TypeAlias = Annotated[
    list[Json], Upstream(CORE_V1 + "LocalObjectReference", keys=("name",)), Field(max_length=16)
]
Conditions: TypeAlias = Annotated[
    list[Json], Upstream(META_V1 + "Condition", keys=("type",)), Field(max_length=32)
]
