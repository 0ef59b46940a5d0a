# SPDX-License-Identifier: Apache-2.0
"""Parameters that are computed from others before every forward pass."""

from __future__ import annotations

from typing import Any, ClassVar

from gradsmith.autograd import no_grad
from gradsmith.nn.module import Module
from gradsmith.nn.module_tree import check_module
from gradsmith.nn.parameter import Parameter
from gradsmith.tensor import Tensor


class Reparametrization:
    """The hook that sets the module's attribute, an ordinary tensor, to what `compute` returns."""

    title: ClassVar[str]

    def __init__(self, name: str) -> None:
        """Stand for the parameter of this name."""
        self.name = name

    def compute(self, module: Module) -> Tensor:
        """Return the tensor, on the tape of the parameters it is computed from."""
        raise NotImplementedError

    def __call__(self, module: Module, args: Any) -> None:
        """Set the attribute before a forward pass."""
        setattr(module, self.name, self.compute(module))


def find(kind: type[Reparametrization], module: Module, name: str) -> Any:
    """Return the module's hook of this kind for a parameter, or None."""
    for hook, _ in module._forward_pre_hooks or ():
        if isinstance(hook, kind) and hook.name == name:
            return hook
    return None


def attach(hook: Reparametrization, module: Module, derived: dict[str, Tensor]) -> None:
    """Replace the hook's parameter by those it is computed from: parameters and buffers.

    Raises:
        ValueError: the parameter is computed that way already.
    """
    if find(type(hook), module, hook.name) is not None:
        raise ValueError(f"{hook.title}: {hook.name} is computed by a {hook.title} already")
    value = module.get_parameter(hook.name).detach()
    delattr(module, hook.name)
    for name, tensor in derived.items():
        if isinstance(tensor, Parameter):
            module.register_parameter(name, tensor)
        else:
            module.register_buffer(name, tensor)
    setattr(module, hook.name, value)
    module.register_forward_pre_hook(hook)


def detach(
    kind: type[Reparametrization], module: Module, name: str, suffixes: tuple[str, ...]
) -> None:
    """Make an ordinary parameter of what the hook computes, and drop what it is computed from.

    Raises:
        TypeError: it is no module.
        ValueError: there is no such hook.
    """
    check_module(f"remove_{kind.title}", "module", module)
    hook = find(kind, module, name)
    if hook is None:
        raise ValueError(f"remove_{kind.title}: {name} of {module!r} is not computed by one")
    with no_grad():
        value = hook.compute(module)
    hooks = module._forward_pre_hooks or []
    hooks.remove((hook, False))
    for each in (name, *(f"{name}_{suffix}" for suffix in suffixes)):
        delattr(module, each)
    module.register_parameter(name, Parameter(value.detach()))
