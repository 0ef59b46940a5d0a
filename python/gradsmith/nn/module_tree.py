# SPDX-License-Identifier: Apache-2.0
"""The tree below a module: what is registered, under which names, and how to find it.

Values are plain attributes; ``_kinds`` names those that are registered, in order of registration.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from gradsmith.nn.parameter import Parameter
from gradsmith.tensor import Tensor

if TYPE_CHECKING:
    from gradsmith.nn.module import Module

PARAMETER, BUFFER, TRANSIENT, MODULE = "parameter", "buffer", "transient buffer", "module"


def check_module(op: str, argument: str, module: Any) -> None:
    """Refuse an argument that has to be a module and is none, with a TypeError."""
    if not isinstance(module, ModuleTree):
        raise TypeError(f"{op}: {argument} is a {type(module).__name__}, expected a Module")


def _check_path(op: str, target: Any) -> None:
    if not isinstance(target, str):
        raise TypeError(f"{op}: target is a {type(target).__name__}, expected a str")


class ModuleTree:
    """Registration and lookup; the base of `Module`."""

    _kinds: dict[str, str]

    def __init__(self) -> None:
        """Start without parameters; subclasses call this before they set any."""
        object.__setattr__(self, "_kinds", {})

    # ---- registration ----------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        kinds = self.__dict__.get("_kinds")
        if kinds is None:
            if isinstance(value, (Parameter, ModuleTree)):
                raise AttributeError(
                    f"{type(self).__name__}.{name} is set before super().__init__() was called"
                )
        elif isinstance(value, Parameter):
            kinds[name] = PARAMETER
        elif isinstance(value, ModuleTree):
            kinds[name] = MODULE
        elif name in kinds and value is not None and not isinstance(value, _ALLOWED[kinds[name]]):
            raise TypeError(
                f"{type(self).__name__}.{name} is a {kinds[name]}; it cannot be set to a "
                f"{type(value).__name__} (expected {_ALLOWED[kinds[name]].__name__} or None)"
            )
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        self._kinds.pop(name, None)

    def _register(self, name: str, value: Any, kind: str) -> None:
        if "_kinds" not in self.__dict__:
            raise AttributeError(
                f"{type(self).__name__}: a {kind} is registered before super().__init__() was "
                "called"
            )
        if not isinstance(name, str):
            raise TypeError(f"{kind} name is a {type(name).__name__}, expected a str")
        if not name or "." in name:
            raise ValueError(f"{kind} name {name!r} is empty or has a dot")
        if name not in self._kinds and hasattr(self, name):
            raise ValueError(
                f"{kind} name {name!r}: {type(self).__name__} has another attribute of this name"
            )
        if value is not None and not isinstance(value, _ALLOWED[kind]):
            raise TypeError(
                f"{kind} {name!r} is a {type(value).__name__}, expected "
                f"{_ALLOWED[kind].__name__} or None"
            )
        self._kinds[name] = kind
        object.__setattr__(self, name, value)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter; None reserves the name for a parameter that this module lacks.

        Raises:
            TypeError: it is no `Parameter`.
            ValueError: the name has a dot, is empty or taken, or the tensor is no leaf.
        """
        if isinstance(param, Parameter) and not param.is_leaf:
            raise ValueError(f"parameter {name!r} is the result of an op; expected a leaf")
        self._register(name, param, PARAMETER)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is not trained; persistent ones are part of `state_dict`.

        Raises:
            TypeError: it is no tensor.
            ValueError: the name has a dot, is empty or taken.
        """
        self._register(name, tensor, BUFFER if persistent else TRANSIENT)

    def register_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under ``name``, also one that is no Python identifier.

        Raises:
            TypeError: it is no `Module`.
            ValueError: the name has a dot, is empty or taken.
        """
        self._register(name, module, MODULE)

    def add_module(self, name: str, module: Module | None) -> None:
        """Do the same as `register_module`."""
        self.register_module(name, module)

    # ---- looking around --------------------------------------------------------------------------

    def _own(self, *kinds: str) -> Iterator[tuple[str, Any]]:
        """Yield the names and values registered here under these kinds, None left out."""
        for name, kind in tuple(self._kinds.items()):
            if kind in kinds:
                value = self.__dict__[name]
                if value is not None:
                    yield name, value

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the direct submodules with their names, each module once."""
        seen = set()
        for name, module in self._own(MODULE):
            if id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator[Module]:
        """Yield the direct submodules."""
        for _, module in self.named_children():
            yield module

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Yield this module and all below it, with their paths, parents first.

        Args:
            memo: modules to leave out; those that are yielded join them.
            prefix: path of this module.
            remove_duplicate: yield a module that stands in two places once.
        """
        seen: set[Module] = set() if memo is None else memo
        this = cast("Module", self)
        if remove_duplicate:
            if this in seen:
                return
            seen.add(this)
        yield prefix, this
        for name, module in self._own(MODULE):
            yield from module.named_modules(seen, join_path(prefix, name), remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """Yield this module and all below it, each once."""
        for _, module in self.named_modules():
            yield module

    def _named_tensors(
        self, kinds: tuple[str, ...], prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen = set()
        if recurse:
            owners = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        else:
            owners = iter([(prefix, cast("Module", self))])
        for path, module in owners:
            for name, tensor in module._own(*kinds):
                if remove_duplicate:
                    if id(tensor) in seen:
                        continue
                    seen.add(id(tensor))
                yield join_path(path, name), tensor

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield the parameters with their paths; shared ones once, under the first path."""
        return self._named_tensors((PARAMETER,), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield the parameters, each once."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield the buffers with their paths."""
        return self._named_tensors((BUFFER, TRANSIENT), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Yield the buffers, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> Module:
        """Return the module at a path such as ``"encoder.0"`` (this one for ``""``).

        Raises:
            TypeError: the path is no str.
            ValueError: there is no such module; the message lists those that are there.
        """
        _check_path("get_submodule", target)
        module = cast("Module", self)
        for name in target.split(".") if target else ():
            if module._kinds.get(name) != MODULE or module.__dict__[name] is None:
                present = ", ".join(child for child, _ in module._own(MODULE)) or "none"
                raise ValueError(
                    f"get_submodule: {target!r}: {type(module).__name__} has no submodule "
                    f"{name!r} (it has: {present})"
                )
            module = module.__dict__[name]
        return module

    def set_submodule(self, target: str, module: Module) -> None:
        """Put a module in the place of the one at a path.

        Raises:
            TypeError: ``module`` is no `Module`.
            ValueError: there is no module at the path, or the path is empty.
        """
        check_module("set_submodule", "module", module)
        if not target:
            raise ValueError("set_submodule: the path is empty; a module cannot replace itself")
        self.get_submodule(target)
        path, _, name = target.rpartition(".")
        setattr(self.get_submodule(path), name, module)

    def _get_tensor(self, target: str, kinds: tuple[str, ...]) -> Any:
        _check_path(f"get_{kinds[0]}", target)
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if owner._kinds.get(name) not in kinds:
            present = ", ".join(own for own, _ in owner._own(*kinds)) or "none"
            raise ValueError(
                f"{target!r}: {type(owner).__name__} has no {kinds[0]} {name!r} (it has: {present})"
            )
        return owner.__dict__[name]

    def get_parameter(self, target: str) -> Parameter:
        """Return the parameter at a path such as ``"encoder.0.weight"``.

        Raises:
            ValueError: there is no such parameter.
        """
        return self._get_tensor(target, (PARAMETER,))  # type: ignore[no-any-return]

    def get_buffer(self, target: str) -> Tensor:
        """Return the buffer at a path such as ``"bn.running_mean"``.

        Raises:
            ValueError: there is no such buffer.
        """
        return self._get_tensor(target, (BUFFER, TRANSIENT))  # type: ignore[no-any-return]


# What an attribute of a kind may be set to, beside None.
_ALLOWED: dict[str, type] = {
    PARAMETER: Parameter,
    BUFFER: Tensor,
    TRANSIENT: Tensor,
    MODULE: ModuleTree,
}


def join_path(prefix: str, name: str) -> str:
    """Return the path of ``name`` below ``prefix``, which is empty for the root."""
    return f"{prefix}.{name}" if prefix else name
