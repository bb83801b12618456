"""The kinds an API server serves, and the catalog of them.

``Kind`` is what the REST half needs of a resource; ``builtin`` and ``custom`` fill it in. All
methods are pure: they return new objects and leave their arguments alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prism_operator.api.meta import Json, ReadOnlyJson, Resource
from simulator.apiserver.causes import (
    Cause,
    DecodeError,
    SchemaError,
    TypedError,
    invalid_message,
)
from simulator.apiserver.schema import Schema


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where the scale subresource finds its numbers, as field names from the root."""

    spec_replicas: tuple[str, ...]
    status_replicas: tuple[str, ...]
    # None when the kind shows no selector. A built-in kind holds a LabelSelector there, a custom
    # one a string.
    label_selector: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Decoded:
    """A body as an object of its kind: pruned, with defaults.

    ``unknown`` are the complaints of the strict decoder (``unknown field "spec.foo"``), for
    ``fieldValidation``: Strict joins them with ``", "`` after ``strict decoding error: `` in a 400;
    Warn sends each as a ``Warning`` header.
    """

    obj: Json
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kind(ABC):
    """One served resource: its coordinates, its schema, and the rules its objects follow."""

    resource: Resource
    singular: str
    list_kind: str
    # Of a whole object. Carries list types, map keys and patch strategies for every merge.
    schema: Schema = field(repr=False)
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    has_status: bool = False
    scale: ScalePaths | None = None
    # additionalPrinterColumns, for Tables; empty for built-in kinds.
    printer_columns: tuple[ReadOnlyJson, ...] = ()

    @property
    def custom(self) -> bool:
        """Whether a CustomResourceDefinition stands behind this kind."""
        return False

    @property
    def counts_generations(self) -> bool:
        """Whether objects of this kind have a ``metadata.generation``."""
        return False

    @property
    def allows_unconditional_update(self) -> bool:
        """Whether a PUT may leave out ``metadata.resourceVersion``."""
        return True

    @property
    def allows_create_on_update(self) -> bool:
        """Whether a PUT of an absent object creates it."""
        return False

    @property
    def storage(self) -> Resource:
        """The resource whose objects are stored; another one where two share a storage."""
        return self.resource

    def to_storage(self, obj: Json) -> Json:
        """``obj`` as the storage resource; itself where this resource is stored as it is."""
        return obj

    def from_storage(self, obj: Json) -> Json:
        """The stored ``obj`` as this resource."""
        return obj

    @abstractmethod
    def decode(self, body: ReadOnlyJson) -> Decoded:
        """Checks types, prunes unknown fields, normalises, and fills in defaults.

        Raises:
            DecodeError: The body cannot be read as this kind (400 BadRequest).
        """

    @abstractmethod
    def blank(self) -> Json:
        """The object that nothing was said about yet: what a create is compared with."""

    @abstractmethod
    def read(self, stored: Json) -> Json:
        """A stored object as it is served: defaults that came after it was stored are in it."""

    def admit(self, obj: Json) -> Json:
        """What the admission plugins that are on by default fill in when ``obj`` is created."""
        return obj

    def admit_update(self, obj: Json, old: Json) -> Json:
        """What those plugins fill in when ``old`` is replaced by ``obj``."""
        del old
        return obj

    @abstractmethod
    def prepare_create(self, obj: Json) -> Json:
        """Drops status and deletion marks, sets generation 1.

        Name, uid, creationTimestamp and resourceVersion are the server's to set.
        """

    @abstractmethod
    def prepare_update(self, new: Json, old: Json, subresource: str = "") -> Json:
        """Takes from ``old`` what this endpoint may not change, and counts the generation.

        ``subresource`` is ``""``, ``status`` or ``scale``. Labels, annotations, finalizers and
        owner references come from ``new`` where the real server takes them from there.
        """

    @abstractmethod
    def validate(self, new: Json, old: Json | None = None, subresource: str = "") -> list[Cause]:
        """The causes of a 422, none for a valid object; ``old`` is None on create.

        ``new`` has its final metadata. For an update this includes immutable fields, and
        ``metadata.resourceVersion`` must be specified where the real server says so.
        """

    def warnings(self, new: Json, old: Json | None = None) -> tuple[str, ...]:
        """``Warning`` texts of the kind's strategy, in the server's order."""
        del new, old
        return ()

    def reset_fields(self, subresource: str) -> tuple[tuple[str, ...], ...]:
        """Field prefixes that a write to ``subresource`` can neither change nor own."""
        if subresource == "status":
            return (("spec",),)
        return (("status",),) if self.has_status else ()


class Catalog:
    """The kinds an API server serves. Built-in ones are shared; custom ones come and go."""

    def __init__(self, kinds: Mapping[tuple[str, str, str], Kind]) -> None:
        self._kinds = dict(kinds)
        self._by_crd: dict[str, list[tuple[str, str, str]]] = {}

    @classmethod
    def builtin(cls) -> Catalog:
        """The built-in kinds that the operator and its simulator touch, as of Kubernetes 1.37."""
        from simulator.apiserver.builtin import builtin_kinds

        return cls({_key(k.resource): k for k in builtin_kinds()})

    def fork(self) -> Catalog:
        """Another catalog of the same kinds, for definitions of its own."""
        twin = Catalog(self._kinds)
        twin._by_crd = dict(self._by_crd)
        return twin

    def __iter__(self) -> Iterator[Kind]:
        return iter(sorted(self._kinds.values(), key=lambda k: k.resource))

    def get(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind served at a URL path, or None."""
        return self._kinds.get((group, version, plural))

    def of(self, obj: ReadOnlyJson) -> Kind | None:
        """The kind of an object by its ``apiVersion`` and ``kind``, or None."""
        for kind in self._kinds.values():
            if kind.resource.kind == obj.get("kind") and kind.resource.api_version == obj.get(
                "apiVersion"
            ):
                return kind
        return None

    def add_crd(self, crd: ReadOnlyJson) -> tuple[Kind, ...]:
        """Serves every served version of a CustomResourceDefinition, replacing earlier ones.

        Raises:
            SchemaError: A schema or rule that this server cannot honour exactly.
        """
        from simulator.apiserver.custom import custom_kinds

        kinds = custom_kinds(crd)
        self.remove_crd(crd["metadata"]["name"])
        self._kinds.update((_key(k.resource), k) for k in kinds)
        self._by_crd[crd["metadata"]["name"]] = [_key(k.resource) for k in kinds]
        return kinds

    def remove_crd(self, name: str) -> None:
        """Stops serving the kinds of the CustomResourceDefinition ``name``, if it was added."""
        for key in self._by_crd.pop(name, ()):
            self._kinds.pop(key, None)


def _key(resource: Resource) -> tuple[str, str, str]:
    return resource.group, resource.version, resource.plural


__all__ = [
    "Catalog",
    "Cause",
    "DecodeError",
    "Decoded",
    "Kind",
    "ScalePaths",
    "SchemaError",
    "TypedError",
    "invalid_message",
]
