"""Whether a plug-in's class is what its contract says, and where it is not: told before anything runs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Set
from functools import partial
from typing import Any

from bench.errors import RequestError

INNER = re.compile(r"ClassVar\[(.*)\]")
# how the annotation of a contract's attribute begins -> what the attribute is, and how that is called
FORMS: dict[str, tuple[Any, str]] = {
    "Names": (Set, "a set of names"), "set[": (Set, "a set of names"), "frozenset[": (Set, "a set of names"),
    "Mapping[": (Mapping, "a mapping"), "tuple[": ((tuple, list), "a tuple"), "str": (str, "text"),
    "bool": (bool, "True or False"), "int": (int, "a whole number"),
}  # fmt: skip


def check(cls: type, contract: type) -> None:
    """RequestError: something is missing, or of another type than the contract says."""
    declared = {name: form for name, text in vars(contract)["__annotations__"].items() if (form := form_of(text))}
    lacks = sorted(getattr(cls, "__abstractmethods__", ())) or [n for n in declared if not hasattr(cls, n)]
    if lacks:
        raise RequestError(f"{place(cls)}: {cls.__name__} is no whole {contract.__name__}: it lacks {', '.join(lacks)}")
    for name, (types, what) in declared.items():
        value = getattr(cls, name)
        names = isinstance(value, Set) and not all(isinstance(one, str) for one in value)
        if not hasattr(type(value), "__get__") and (not isinstance(value, types) or names):
            raise RequestError(f"{place(cls)}: {cls.__name__}.{name} is {value!r:.80}, and has to be {what}")


def answer(function: Callable[..., Any], *arguments: Any, of: type | None) -> Any:
    """What a class says of its settings: things `of` a type, or where that is None a text. RequestError: neither."""
    found = function(*arguments)
    things = isinstance(found, (Set, list, tuple)) and all(isinstance(one, of or str) for one in found)
    if not (things if of else isinstance(found, str)):
        what = f"a list or a set of {of.__name__}" if of else "text"
        raise RequestError(f"{place(function)}: it returns {found!r:.80}, and has to return {what}")
    return found


def check_defaults(settings: Any, hints: Mapping[str, Any]) -> None:
    """RequestError: a setting's default is not of the type that is written beside it."""
    from pydantic import TypeAdapter, ValidationError

    for name, hint in hints.items():
        value = getattr(settings, name)
        try:
            TypeAdapter(hint).validate_python(value, strict=True)
        except ValidationError as error:
            why = error.errors()[0]["msg"]
            where = place(type(settings))
            raise RequestError(f"{where}: Settings.{name} is {value!r:.80} by default: {why}") from None


def form_of(annotation: str) -> tuple[Any, str] | None:
    inner = INNER.fullmatch(annotation)
    text = inner[1] if inner else annotation
    return next((form for begins, form in FORMS.items() if text.startswith(begins)), None)


def place(what: Any) -> str:
    """`/home/me/mine.py, line 12`: where a class or a function is written."""
    while isinstance(what, partial):
        what = what.func
    code = getattr(inspect.unwrap(what), "__code__", None)
    if code:
        return f"{code.co_filename}, line {code.co_firstlineno}"
    what = what if inspect.isclass(what) else type(what)
    try:
        return f"{inspect.getsourcefile(what)}, line {inspect.getsourcelines(what)[1]}"
    except (OSError, TypeError):
        return str(what.__qualname__)
