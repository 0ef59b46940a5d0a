# SPDX-License-Identifier: Apache-2.0
"""Loading a state dictionary into a module: check everything, then copy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from gradsmith.autograd import no_grad
from gradsmith.backend import FLOATING
from gradsmith.nn.parameter import Parameter, UninitializedBuffer, UninitializedParameter
from gradsmith.tensor import Tensor, as_array, wrap

if TYPE_CHECKING:
    from gradsmith.nn.module import Module

_LISTED = 20  # differences of one sort that the error message spells out

_WITHOUT_SHAPE = (UninitializedParameter, UninitializedBuffer)


class IncompatibleKeys(NamedTuple):
    """Result of `Module.load_state_dict`."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"IncompatibleKeys(missing_keys={self.missing_keys}, "
            f"unexpected_keys={self.unexpected_keys})"
        )


def load(module: Module, given: Any, strict: bool, assign: bool) -> IncompatibleKeys:
    """Do what `Module.load_state_dict` says."""
    if not isinstance(given, Mapping):
        raise TypeError(
            f"load_state_dict: state_dict is a {type(given).__name__}, expected a dictionary of "
            "tensors"
        )
    own = module.state_dict(keep_vars=True)
    keys = IncompatibleKeys(
        [key for key in own if key not in given], [key for key in given if key not in own]
    )
    sources, mismatched = {}, []
    for key, target in own.items():
        if key in given:
            source, problem = _source(given[key], target, assign)
            if problem:
                mismatched.append(f"{key}: {problem}")
            else:
                sources[key] = source
    if mismatched or (strict and (keys.missing_keys or keys.unexpected_keys)):
        raise ValueError(_differences(module, keys, mismatched, strict))
    for key, source in sources.items():
        if assign:
            kept = given[key] if isinstance(given[key], Parameter) else source
            _assign(module, key, own[key], kept)
        else:
            if isinstance(own[key], _WITHOUT_SHAPE):
                own[key].materialize(source.shape)
            with no_grad():
                own[key].copy_(source)
    return keys


def _source(value: Any, target: Tensor, keep_dtype: bool) -> tuple[Tensor, str]:
    """Return what to copy into ``target``, or why it cannot be."""
    if isinstance(value, Tensor):
        source = value.detach()
    elif hasattr(value, "__array__"):
        try:
            source = wrap(as_array(value.__array__()))
        except (TypeError, ValueError) as error:
            return target, str(error)
    else:
        return target, f"is a {type(value).__name__}, expected a tensor"
    if source.shape != target.shape and not isinstance(target, _WITHOUT_SHAPE):
        return target, f"has shape {source.shape}, expected {target.shape}"
    if source.dtype in FLOATING and target.dtype not in FLOATING:
        return target, f"has dtype {source.dtype}, expected {target.dtype}"
    return (source if keep_dtype else source.to(target.dtype)), ""


def _assign(module: Module, key: str, target: Tensor, source: Tensor) -> None:
    path, _, name = key.rpartition(".")
    owner = module.get_submodule(path)
    if isinstance(source, Parameter):
        source.requires_grad_(target.requires_grad)
    elif isinstance(target, Parameter):
        source = Parameter(source, target.requires_grad)
    setattr(owner, name, source)


def _differences(
    module: Module, keys: IncompatibleKeys, mismatched: list[str], strict: bool
) -> str:
    parts = [f"load_state_dict: the state does not fit {type(module).__name__}; nothing was loaded"]
    for title, entries in (
        ("missing keys", keys.missing_keys if strict else []),
        ("unexpected keys", keys.unexpected_keys if strict else []),
        ("mismatched", mismatched),
    ):
        if entries:
            parts.append(f"  {title} ({len(entries)}):")
            parts += [f"    {entry}" for entry in entries[:_LISTED]]
            if len(entries) > _LISTED:
                parts.append(f"    ... and {len(entries) - _LISTED} more")
    return "\n".join(parts)
