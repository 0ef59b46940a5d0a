# SPDX-License-Identifier: Apache-2.0
"""Initialisers by name, and for chosen layers of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any, TypeAlias, TypeVar

from gradsmith.nn.init.drawn import normal_, trunc_normal_, uniform_
from gradsmith.nn.init.fixed import dirac_, eye_, ones_, zeros_
from gradsmith.nn.init.scaled import (
    kaiming_normal_,
    kaiming_uniform_,
    lecun_normal_,
    lecun_uniform_,
    orthogonal_,
    xavier_normal_,
    xavier_uniform_,
)
from gradsmith.nn.module_tree import ModuleTree, check_module
from gradsmith.tensor import Tensor

Initializer: TypeAlias = Callable[..., Tensor]
_Model = TypeVar("_Model", bound=ModuleTree)

_BY_NAME: dict[str, Initializer] = {
    "zeros": zeros_,
    "ones": ones_,
    "uniform": uniform_,
    "normal": normal_,
    "trunc_normal": trunc_normal_,
    "xavier_uniform": xavier_uniform_,
    "xavier_normal": xavier_normal_,
    "kaiming_uniform": kaiming_uniform_,
    "kaiming_normal": kaiming_normal_,
    "lecun_uniform": lecun_uniform_,
    "lecun_normal": lecun_normal_,
    "orthogonal": orthogonal_,
    "eye": eye_,
    "dirac": dirac_,
    # Keras's names
    "glorot_uniform": xavier_uniform_,
    "glorot_normal": xavier_normal_,
    "he_uniform": kaiming_uniform_,
    "he_normal": kaiming_normal_,
    "truncated_normal": trunc_normal_,
    "identity": eye_,
}


def get(initializer: str | Initializer) -> Initializer:
    """Return an initialiser by its name, with or without the last "_"; a callable as it is.

    Keras's ``"glorot_..."``, ``"he_..."``, ``"truncated_normal"`` and ``"identity"`` are known too.

    Raises:
        TypeError: it is neither a name nor a callable.
        ValueError: the name is unknown, or of one that needs a value.
    """
    if callable(initializer):
        return initializer
    if not isinstance(initializer, str):
        kind = type(initializer).__name__
        raise TypeError(f"get: initializer is a {kind}, expected a name or a function")
    found = _BY_NAME.get(initializer.removesuffix("_"))
    if found is None:
        raise ValueError(
            f"get: initializer {initializer!r} is unknown (expected one of {', '.join(_BY_NAME)})"
        )
    return found


def initialize(model: _Model, rules: Mapping[Any, str | Initializer]) -> _Model:
    """Initialise the parameters of a model by rules, and return it.

    Args:
        model: a module.
        rules: initialiser (a name or function, see `get`) by where it applies: a class of modules,
            for their parameters whose name begins with "weight"; or a pattern of parameter paths,
            such as ``"*.bias"`` or ``"encoder.0.*"``. Of several the last one counts.

    Raises:
        TypeError: the model is no module, or a key neither a class nor a string.
        ValueError: a rule applies to no parameter, or an initialiser is unknown.

    Example:
        >>> import gradsmith as gs
        >>> model = gs.nn.Sequential(gs.nn.Linear(4, 8), gs.nn.ReLU(), gs.nn.Linear(8, 2))
        >>> _ = gs.nn.init.initialize(
        ...     model, {gs.nn.Linear: "kaiming_normal", "*bias": "zeros", "2.weight": "orthogonal"}
        ... )
        >>> model[0].bias.abs().sum().item()
        0.0
    """
    check_module("initialize", "model", model)
    functions = {key: get(value) for key, value in rules.items()}
    chosen: dict[str, Initializer] = {}
    for key, function in functions.items():
        paths = _paths(model, key)
        if not paths:
            raise ValueError(f"initialize: the rule for {key!r} applies to no parameter")
        chosen.update(dict.fromkeys(paths, function))
    for path, parameter in model.named_parameters():
        if path in chosen:
            chosen[path](parameter)
    return model


def _paths(model: ModuleTree, key: Any) -> list[str]:
    """Return the paths of the parameters that a rule's key applies to."""
    if isinstance(key, str):
        return [path for path, _ in model.named_parameters() if fnmatchcase(path, key)]
    if not isinstance(key, type):
        raise TypeError(
            f"initialize: a rule is for a {type(key).__name__}, expected a class of modules or a "
            "pattern of parameter paths"
        )
    owned = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, key)
        for name, parameter in module.named_parameters(recurse=False)
        if name.startswith("weight")
    }
    return [path for path, parameter in model.named_parameters() if id(parameter) in owned]
