# SPDX-License-Identifier: Apache-2.0
"""Nested states as JSON: dictionaries, lists and numbers in a text, tensors by reference.

JSON knows no tuples, no keys but strings and no NaN, so whatever is not a plain string, number,
bool or null is an object with one key that says what it is: {"tensor": name},
{"dict": [[key, value]]}, {"list": [...]}, {"tuple": [...]}, {"float": "nan"}.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from gradsmith.tensor import Tensor

MAX_DEPTH = 64  # levels of nesting, both ways
_RESERVED = "__metadata__"  # safetensors keeps this name for itself


def pack(obj: Any) -> tuple[str, dict[str, Tensor]]:
    """Return a nested state as JSON, and the tensors it refers to by name.

    Names are paths such as ``optimizer.state.0.exp_avg``; in a flat dictionary they are its keys.

    Raises:
        TypeError: a value or key is of a type that cannot be written; the message has its path.
        ValueError: it is nested deeper than `MAX_DEPTH` levels, or refers to itself.
    """
    tensors: dict[str, Tensor] = {}
    flat = isinstance(obj, Mapping) and all(isinstance(value, Tensor) for value in obj.values())
    if flat and _RESERVED in obj:
        raise ValueError(f"save: the key {_RESERVED!r} is reserved by the file format")
    tree = _packed(obj, "", tensors, 0)
    return json.dumps(tree, allow_nan=False, separators=(",", ":")), tensors


def _packed(value: Any, path: str, tensors: dict[str, Tensor], depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError(f"save: {path[:80]!r} is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Tensor):
        return {"tensor": _add(value, path, tensors)}
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": repr(float(value))}
    if isinstance(value, Mapping):
        pairs = []
        for key, each in value.items():
            if not isinstance(key, (str, int)) or isinstance(key, bool):
                raise TypeError(
                    f"save: {path or 'the state'} has the key {key!r} of type "
                    f"{type(key).__name__}, expected str or int"
                )
            pairs.append([key, _packed(each, _below(path, key), tensors, depth + 1)])
        return {"dict": pairs}
    if isinstance(value, (list, tuple)):
        items = [
            _packed(each, _below(path, position), tensors, depth + 1)
            for position, each in enumerate(value)
        ]
        return {"tuple" if isinstance(value, tuple) else "list": items}
    raise TypeError(
        f"save: {path or 'the state'} is a {type(value).__name__}, expected tensors, dictionaries, "
        "lists, tuples, str, int, float, bool or None (arrays: gradsmith.tensor(array))"
    )


def _below(path: str, key: str | int) -> str:
    return f"{path}.{key}" if path else str(key)


def _add(tensor: Tensor, path: str, tensors: dict[str, Tensor]) -> str:
    name = path or "tensor"
    while name in tensors or name == _RESERVED:
        name += "'"
    tensors[name] = tensor
    return name


def unpack(text: str, tensors: Mapping[str, Tensor]) -> Any:
    """Return the nested state that `pack` wrote as ``text``.

    Raises:
        ValueError: the text is not what `pack` writes, is nested too deeply, or does not refer to
            each of the tensors exactly once.
    """
    waiting = dict(tensors)
    state = _unpacked(parse_json(text, "the structure"), waiting, 0)
    if waiting:
        raise ValueError(f"the structure does not refer to tensor {next(iter(waiting))!r}")
    return state


def _unpacked(value: Any, waiting: dict[str, Tensor], depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError(f"the structure is nested deeper than {MAX_DEPTH} levels")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("the structure is not one that gradsmith writes")
    ((kind, content),) = value.items()
    reader = _READERS.get(kind)
    if reader is None:
        raise ValueError(f"the structure has an entry of unknown kind {kind[:40]!r}")
    return reader(content, waiting, depth + 1)


def _read_tensor(name: Any, waiting: dict[str, Tensor], depth: int) -> Tensor:
    if not isinstance(name, str) or name not in waiting:
        raise ValueError(f"the structure refers to tensor {str(name)[:80]!r}, which is not there")
    return waiting.pop(name)


def _read_list(items: Any, waiting: dict[str, Tensor], depth: int) -> list[Any]:
    if not isinstance(items, list):
        raise ValueError("the structure has a list without items")
    return [_unpacked(item, waiting, depth) for item in items]


def _read_tuple(items: Any, waiting: dict[str, Tensor], depth: int) -> tuple[Any, ...]:
    return tuple(_read_list(items, waiting, depth))


def _read_dict(pairs: Any, waiting: dict[str, Tensor], depth: int) -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    for pair in pairs if isinstance(pairs, list) else [None]:
        if not isinstance(pair, list) or len(pair) != 2 or type(pair[0]) not in (str, int):
            raise ValueError("the structure has a dictionary that is no list of pairs")
        if pair[0] in result:
            raise ValueError(f"the structure has the key {str(pair[0])[:80]!r} twice")
        result[pair[0]] = _unpacked(pair[1], waiting, depth)
    return result


def _read_float(text: Any, waiting: dict[str, Tensor], depth: int) -> float:
    if text not in ("nan", "inf", "-inf"):
        raise ValueError(f"the structure has the float {str(text)[:40]!r}, expected nan or inf")
    return float(text)


_READERS: dict[str, Callable[[Any, dict[str, Tensor], int], Any]] = {
    "tensor": _read_tensor,
    "dict": _read_dict,
    "list": _read_list,
    "tuple": _read_tuple,
    "float": _read_float,
}


def parse_json(text: str | bytes, what: str) -> Any:
    """Return the content of a JSON text that comes from a file.

    Raises:
        ValueError: it is no JSON, has a key twice, a NaN, or is nested too deeply.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError(f"{what} is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError(f"{what} is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{what} is no valid JSON: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object has the same key twice")
    return result


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
