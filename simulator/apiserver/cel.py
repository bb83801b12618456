"""CEL rules of custom resources (``x-kubernetes-validations``), compiled once and evaluated fast.

The language comes from cel-expr-python. What Kubernetes adds (quantities, list functions,
``find``) is declared here; a rule that uses anything else is refused when its CRD is added, so that
no rule is ever skipped in silence. Costs are not counted: the real server does that at admission.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from itertools import pairwise
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_optional, ext_strings

from prism_operator.api.meta import ReadOnlyJson
from simulator.apiserver import quantity
from simulator.apiserver.causes import SchemaError

# CEL's reserved words: a field of that name is written __namespace__ in a rule.
RESERVED = frozenset(
    (
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    )
)
_ESCAPES = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))
_STRING = r"""r?'(?:\\.|[^'\\])*'|r?"(?:\\.|[^"\\])*\""""
_TOKEN = re.compile(rf"{_STRING}|\.?\s*\b[A-Za-z_]\w*\b(?:\s*\()?")


def escaped(name: str) -> str:
    """A field name as rules write it (apiserver/pkg/cel/escaping.go)."""
    if name in RESERVED:
        return f"__{name}__"
    for text, replacement in _ESCAPES:
        name = name.replace(text, replacement)
    return name


# Names that rules use and the library has in another meaning, or not for every type.
_OWN_NAMES = {".indexOf": ".k8s_indexOf"}


def _rewritten(source: str) -> str:
    def replace(match: re.Match[str]) -> str:
        token = match[0]
        if token[0] in "'\"" or token[:2] in ("r'", 'r"') or not token.endswith("("):
            return token
        return _OWN_NAMES.get(re.sub(r"\s", "", token[:-1]), token[:-1]) + "("

    return _TOKEN.sub(replace, source)


def names_in(source: str) -> set[str]:
    """The identifiers a rule mentions, selectors with their dot."""
    tokens = (match[0] for match in _TOKEN.finditer(source))
    return {t.rstrip("( ").replace(" ", "") for t in tokens if t[0] not in "'\""}


class RuleError(ValueError):
    """A rule could not be evaluated on an object; the message is the server's."""


# A quantity travels through CEL as bytes: the library has no type of ours, and no rule uses bytes.


def _quantity(text: str) -> bytes:
    try:
        return _packed(quantity.value_of(text))
    except quantity.QuantityError as error:
        raise ValueError(str(error)) from None


def _packed(value: Decimal) -> bytes:
    return str(value.normalize()).encode()


def _is_quantity(text: str) -> bool:
    try:
        quantity.value_of(text)
    except quantity.QuantityError:
        return False
    return True


def _amount(packed: bytes) -> Decimal:
    return Decimal(packed.decode())


def _as_integer(packed: bytes) -> int:
    value = _amount(packed)
    if value != int(value):
        raise ValueError("cannot convert value to integer")
    return int(value)


def _sign(value: Decimal) -> int:
    return (value > 0) - (value < 0)


def _is_sorted(items: list[Any]) -> bool:
    return all(a <= b for a, b in pairwise(items))


def _index_of(items: list[Any], item: Any) -> int:
    return items.index(item) if item in items else -1


def _find(text: str, pattern: str) -> str:
    match = re.search(pattern, text)
    return match[0] if match else ""


def _functions() -> list[cel.FunctionDecl]:
    t = cel.Type
    text, number, packed, dyn = t.STRING, t.INT, t.BYTES, t.DYN
    items = t.List(dyn)
    overloads: dict[str, list[tuple[Any, list[Any], bool, Callable[..., Any]]]] = {
        "k8s_indexOf": [
            (number, [text, text], True, str.find),
            (number, [text, text, number], True, str.find),
            # The library does not find an overload for a parameter of any type.
            *((number, [items, one], True, _index_of) for one in (text, number, t.DOUBLE, t.BOOL)),
        ],
        "quantity": [(packed, [text], False, _quantity)],
        "isQuantity": [(t.BOOL, [text], False, _is_quantity)],
        "compareTo": [(number, [packed] * 2, True, lambda a, b: _sign(_amount(a) - _amount(b)))],
        "isLessThan": [(t.BOOL, [packed] * 2, True, lambda a, b: _amount(a) < _amount(b))],
        "isGreaterThan": [(t.BOOL, [packed] * 2, True, lambda a, b: _amount(a) > _amount(b))],
        "sign": [(number, [packed], True, lambda a: _sign(_amount(a)))],
        "isInteger": [(t.BOOL, [packed], True, lambda a: _amount(a) == int(_amount(a)))],
        "asInteger": [(number, [packed], True, _as_integer)],
        "asApproximateFloat": [(t.DOUBLE, [packed], True, lambda a: float(_amount(a)))],
        "add": [
            (packed, [packed] * 2, True, lambda a, b: _packed(_amount(a) + _amount(b))),
            (packed, [packed, number], True, lambda a, b: _packed(_amount(a) + b)),
        ],
        "sub": [
            (packed, [packed] * 2, True, lambda a, b: _packed(_amount(a) - _amount(b))),
            (packed, [packed, number], True, lambda a, b: _packed(_amount(a) - b)),
        ],
        "isSorted": [(t.BOOL, [items], True, _is_sorted)],
        "sum": [(dyn, [items], True, sum)],
        "min": [(dyn, [items], True, min)],
        "max": [(dyn, [items], True, max)],
        "find": [(text, [text, text], True, _find)],
        "findAll": [(t.List(text), [text, text], True, lambda a, b: re.findall(b, a))],
    }
    return [
        cel.FunctionDecl(
            name,
            [
                cel.Overload(f"{name}_{i}", result, parameters, member, call)
                for i, (result, parameters, member, call) in enumerate(cases)
            ],
        )
        for name, cases in overloads.items()
    ]


@cache
def _environment() -> Any:
    dyn = cel.Type.DYN
    return cel.NewEnv(
        variables={"self": dyn, "oldSelf": dyn, "k8s_old": dyn, "k8s_has_old": cel.Type.BOOL},
        extensions=[
            ext_strings.ExtStrings(),
            ext_optional.ExtOptional(),
            ext_bindings.ExtBindings(),
        ],
        functions=_functions(),
    )


def activation(self_: Any, old: Any, has_old: bool) -> Any:
    """The values of one place in an object, converted once for all its rules."""
    return _environment().Activation(
        data={"self": self_, "oldSelf": old, "k8s_old": old, "k8s_has_old": has_old}
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of ``x-kubernetes-validations``."""

    source: str
    message: str
    reason: str
    field_path: str
    uses_old: bool
    optional_old: bool
    _program: Any
    _message_program: Any

    def holds(self, values: Any) -> bool:
        """Whether the rule is true of the values of an ``activation``. Raises RuleError."""
        result = self._program.eval(activation=values)
        if result.type() == cel.Type.ERROR:
            raise RuleError(self._told(str(result.plain_value())))
        return result.plain_value() is True

    def told(self, values: Any) -> str:
        """What to tell the user when the rule does not hold."""
        if self._message_program is not None:
            result = self._message_program.eval(activation=values).plain_value()
            text = result.strip() if isinstance(result, str) else ""
            if text and "\n" not in text and not text.startswith(_FAILURES):
                return text
        return self.message or f"failed rule: {self.source.strip()}"

    @property
    def name(self) -> str:
        """What errors call the rule."""
        return self.message or self.source.strip()

    def _told(self, error: str) -> str:
        rule = self.name
        if error.startswith("UNKNOWN: No matching overloads"):
            return (
                "'no such overload': call arguments did not match a supported operator, function "
                f"or macro signature for rule: {rule}"
            )
        if "Duration conversion failed" in error:
            conversion = "type conversion error from 'string' to 'google.protobuf.Duration'"
            return f"{conversion} evaluating rule: {rule}"
        if match := re.match(r'NOT_FOUND: Key not found in map : "(.*)"$', error):
            return f"no such key: {match[1]} evaluating rule: {rule}"
        if match := re.match(r"UNKNOWN: Index error: index=(\d+) size=\d+$", error):
            return f"index out of bounds: {match[1]} evaluating rule: {rule}"
        return f"{error.partition(': ')[2]} evaluating rule: {rule}"


_FAILURES = ("UNKNOWN: ", "NOT_FOUND: ", "INVALID_ARGUMENT: ", "OUT_OF_RANGE: ")
_KNOWN_KEYS = frozenset(
    ("rule", "message", "messageExpression", "reason", "fieldPath", "optionalOldSelf")
)
_FIELD_PATH = re.compile(r"\.([^.\[\]]+)|\['([^']+)'\]")


def compile_rule(source: ReadOnlyJson, where: str, fields: Mapping[str, Any]) -> Rule:
    """A rule that stands at ``where`` in a schema whose fields are ``fields``.

    Raises:
        SchemaError: The rule does not compile, or uses what only the real server has.
    """
    if unknown := set(source) - _KNOWN_KEYS:
        raise SchemaError(f"{where}: unknown keys of a rule: {', '.join(sorted(unknown))}")
    text = source["rule"]
    names = names_in(text)
    for name in sorted(RESERVED & {n[1:] for n in names if n.startswith(".")}):
        raise SchemaError(f'{where}: rule "{text}": "{name}" is a reserved word: write __{name}__')
    optional = bool(source.get("optionalOldSelf"))
    program = _compiled(text, where, optional=optional)
    if program.return_type() not in (cel.Type.BOOL, cel.Type.DYN):
        raise SchemaError(f'{where}: rule "{text}": must be a boolean')
    expression = source.get("messageExpression")
    return Rule(
        source=text,
        message=str(source.get("message", "")).strip(),
        reason=source.get("reason", "FieldValueInvalid"),
        field_path=_normal_path(source.get("fieldPath", ""), where, fields),
        uses_old="oldSelf" in names,
        optional_old=optional,
        _program=program,
        _message_program=_compiled(expression, where, optional=optional) if expression else None,
    )


def _compiled(text: str, where: str, *, optional: bool) -> Any:
    expression = _rewritten(text)
    if optional:
        old = "k8s_has_old ? optional.of(k8s_old) : optional.none()"
        expression = f"cel.bind(oldSelf, {old}, {expression})"
    try:
        return _program(expression)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise SchemaError(f'{where}: rule "{text}" cannot be compiled: {reason}') from None


@cache
def _program(expression: str) -> Any:
    # The same rules stand at many places: every component has them.
    return _environment().compile(expression)


def _normal_path(path: str, where: str, fields: Mapping[str, Any]) -> str:
    if not path:
        return ""
    parts = [match[1] or match[2] for match in _FIELD_PATH.finditer(path)]
    if "".join(match[0] for match in _FIELD_PATH.finditer(path)) != path:
        raise SchemaError(f'{where}: fieldPath "{path}" is not a path of fields')
    if parts[0] not in fields:
        raise SchemaError(f'{where}: fieldPath "{path}" names no field of the schema')
    return ".".join(parts)
