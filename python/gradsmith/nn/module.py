# SPDX-License-Identifier: Apache-2.0
"""`Module`: a tree of named parameters, buffers and submodules, and one forward function.

Values are plain attributes; ``_kinds`` names those that are registered, in order of registration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self

from gradsmith.backend import FLOATING, Device, DType, as_device, as_dtype
from gradsmith.nn import state
from gradsmith.nn.parameter import Parameter
from gradsmith.nn.state import IncompatibleKeys
from gradsmith.tensor import HookHandle, Tensor

PARAMETER, BUFFER, TRANSIENT, MODULE = "parameter", "buffer", "transient buffer", "module"
# What an attribute of a kind may be set to, beside None.
_ALLOWED: dict[str, Any] = {}


class Module:
    """Base of all layers and networks.

    Parameters, submodules and buffers set as attributes (buffers by `register_buffer`) are found by
    `parameters`, `state_dict`, `to` and the rest. Subclasses define ``forward``.

    Example::

        class Net(Module):
            def __init__(self):
                super().__init__()
                self.fc = Linear(4, 2)

            def forward(self, x):
                return self.fc(x)
    """

    training: bool = True
    _kinds: dict[str, str]
    # Lists once there are hooks; None keeps the call of a module without hooks short.
    _forward_hooks: list[tuple[Callable[..., Any], bool]] | None = None
    _forward_pre_hooks: list[tuple[Callable[..., Any], bool]] | None = None

    def __init__(self) -> None:
        """Start without parameters; subclasses call this before they set any."""
        object.__setattr__(self, "_kinds", {})

    # ---- the call --------------------------------------------------------------------------------

    def _no_forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no forward function")

    # A callable of any signature: subclasses give forward the arguments they need.
    forward: Callable[..., Any] = _no_forward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run ``forward`` between the hooks; errors name the module they come from."""
        try:
            if self._forward_hooks or self._forward_pre_hooks:
                return self._call_hooked(args, kwargs)
            return self.forward(*args, **kwargs)
        except (ValueError, TypeError, IndexError) as error:
            _locate(error, self)
            raise

    def _call_hooked(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for hook, with_kwargs in tuple(self._forward_pre_hooks or ()):
            if with_kwargs:
                changed = hook(self, args, kwargs)
                if changed is not None:
                    args, kwargs = changed
            else:
                changed = hook(self, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
        result = self.forward(*args, **kwargs)
        for hook, with_kwargs in tuple(self._forward_hooks or ()):
            given = (self, args, kwargs, result) if with_kwargs else (self, args, result)
            changed = hook(*given)
            if changed is not None:
                result = changed
        return result

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> HookHandle:
        """Call ``hook(module, args)`` before each forward; what it returns replaces ``args``.

        With ``with_kwargs`` the hook gets ``(module, args, kwargs)`` and may return both.
        """
        hooks = self._forward_pre_hooks
        if hooks is None:
            hooks = self._forward_pre_hooks = []
        return _add_hook(hooks, (hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> HookHandle:
        """Call ``hook(module, args, output)`` after each forward; its result replaces the output.

        With ``with_kwargs`` the hook gets ``(module, args, kwargs, output)``.
        """
        hooks = self._forward_hooks
        if hooks is None:
            hooks = self._forward_hooks = []
        return _add_hook(hooks, (hook, with_kwargs), prepend)

    # ---- registration ----------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        kinds = self.__dict__.get("_kinds")
        if kinds is None:
            if isinstance(value, (Parameter, Module)):
                raise AttributeError(
                    f"{type(self).__name__}.{name} is set before super().__init__() was called"
                )
        elif isinstance(value, Parameter):
            kinds[name] = PARAMETER
        elif isinstance(value, Module):
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
                f"{type(self).__name__}: a {kind} is registered before super().__init__() was called"
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
        self, memo: set[int] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Yield this module and all below it, with their paths, parents first.

        Args:
            memo: identities of modules to leave out.
            prefix: path of this module.
            remove_duplicate: yield a module that stands in two places once.
        """
        seen = set() if memo is None else memo
        if remove_duplicate:
            if id(self) in seen:
                return
            seen.add(id(self))
        yield prefix, self
        for name, module in self._own(MODULE):
            yield from module.named_modules(seen, _join(prefix, name), remove_duplicate)

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
            owners = iter([(prefix, self)])
        for path, module in owners:
            for name, tensor in module._own(*kinds):
                if remove_duplicate:
                    if id(tensor) in seen:
                        continue
                    seen.add(id(tensor))
                yield _join(path, name), tensor

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
            ValueError: there is no such module; the message lists those that are there.
        """
        module = self
        for name in target.split(".") if target else ():
            if module._kinds.get(name) != MODULE or module.__dict__[name] is None:
                present = ", ".join(child for child, _ in module._own(MODULE)) or "none"
                raise ValueError(
                    f"get_submodule: {target!r}: {type(module).__name__} has no submodule "
                    f"{name!r} (it has: {present})"
                )
            module = module.__dict__[name]
        return module

    def _get_tensor(self, target: str, kinds: tuple[str, ...]) -> Any:
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

    # ---- changing all of it ----------------------------------------------------------------------

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call ``fn`` on every module below, children first, then on this one."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Put this module and all below into training mode (or evaluation mode).

        Raises:
            TypeError: the mode is not a bool.
        """
        if not isinstance(mode, bool):
            raise TypeError(f"train: mode is a {type(mode).__name__}, expected a bool")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Put this module and all below into evaluation mode."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set whether the parameters are trained."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or fill them with zeros."""
        for parameter in self.parameters():
            if parameter.grad is None:
                continue
            if set_to_none:
                parameter.grad = None
            else:
                parameter.grad = parameter.grad.detach().zero_()

    def _convert(self, convert: Callable[[Tensor], Tensor]) -> Self:
        """Replace the memory of every parameter, gradient and buffer by its conversion.

        The tensors stay the same objects, so that optimizers keep hold of them.
        """
        tensors: list[Tensor] = [*self.parameters(), *self.buffers()]
        tensors += [x.grad for x in tensors if x.grad is not None]
        # All conversions first: one that fails leaves the module as it was.
        converted = [convert(x.detach()) for x in tensors]
        for x, new in zip(tensors, converted, strict=True):
            x.data = new
            x._bump()
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move to a device, or convert the floating parameters and buffers to a dtype.

        Called as ``to(device)``, ``to(dtype)``, ``to(device, dtype)`` or ``to(tensor)``.

        Raises:
            TypeError: the dtype is not a floating one, or an argument is neither.
        """
        device, dtype = _device_and_dtype(args, kwargs)
        if dtype is not None and dtype not in FLOATING:
            raise TypeError(f"Module.to: got {dtype}, expected a floating dtype")

        def convert(x: Tensor) -> Tensor:
            if device is not None and x.device != device:
                x = x.to(device)
            return x.to(dtype) if dtype is not None and x.dtype in FLOATING else x

        return self._convert(convert)

    def float(self) -> Self:
        """Convert the floating parameters and buffers to float32."""
        return self.to("float32")

    def double(self) -> Self:
        """Convert the floating parameters and buffers to float64."""
        return self.to("float64")

    def bfloat16(self) -> Self:
        """Convert the floating parameters and buffers to bfloat16."""
        return self.to("bfloat16")

    def cpu(self) -> Self:
        """Move parameters and buffers to the CPU."""
        return self.to("cpu")

    def cuda(self, device: int | Device | str | None = None) -> Self:
        """Move parameters and buffers to a GPU (RuntimeError where there is none)."""
        if device is None or isinstance(device, int):
            device = "cuda" if device is None else f"cuda:{device}"
        return self.to(device)

    # ---- state -----------------------------------------------------------------------------------

    def state_dict(
        self,
        *,
        destination: dict[str, Any] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Any]:
        """Return path -> tensor of all parameters and persistent buffers.

        The tensors share the module's memory: copy them to keep a snapshot.

        Args:
            destination: dictionary to add to.
            prefix: put before every path.
            keep_vars: return the parameters themselves, not detached tensors.
        """
        result = {} if destination is None else destination
        owners = self.named_modules(prefix=prefix.removesuffix("."), remove_duplicate=False)
        for path, module in owners:
            for name, tensor in module._own(PARAMETER, BUFFER):
                result[_join(path, name)] = tensor if keep_vars else tensor.detach()
        return result

    def load_state_dict(
        self, state_dict: Any, strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy tensors (or arrays) by path into the parameters and persistent buffers.

        Args:
            state_dict: path -> tensor, as `state_dict` or PyTorch's returns it.
            strict: refuse missing and unexpected keys.
            assign: put the given tensors in place of the old ones instead of copying.

        Returns:
            The keys that were missing and those that were unexpected.

        Raises:
            ValueError: keys or shapes do not fit; all differences in one message. Nothing was
                loaded then.
        """
        return state.load(self, state_dict, strict, assign)

    # ---- printing --------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """Return what the parentheses of the module's repr show."""
        return ""

    def _label(self) -> str:
        """Return the few words that name the module in errors, as ``Linear 4 -> 2``."""
        return type(self).__name__

    def __repr__(self) -> str:
        name = type(self).__name__
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [
            f"({child}): " + _indent(repr(self.__dict__[child]))
            for child, kind in self._kinds.items()
            if kind == MODULE
        ]
        if not children and len(lines) < 2:
            return f"{name}({extra})"
        return f"{name}(\n  " + "\n  ".join(lines + children) + "\n)"


_ALLOWED.update({PARAMETER: Parameter, BUFFER: Tensor, TRANSIENT: Tensor, MODULE: Module})


def _add_hook(
    hooks: list[tuple[Callable[..., Any], bool]], entry: tuple[Callable[..., Any], bool], first: bool
) -> HookHandle:
    if not callable(entry[0]):
        raise TypeError(f"the hook is a {type(entry[0]).__name__}, expected a callable")
    hooks.insert(0 if first else len(hooks), entry)
    return HookHandle(hooks, entry)


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _indent(text: str) -> str:
    return text.replace("\n", "\n  ")


def _locate(error: Exception, module: Module) -> None:
    """Write the path of the module that failed before the message of its error.

    Every module on the way up calls this: the innermost puts its label, the others find the module
    that came before them below themselves and prepend its path. The exception object stays the
    same, so its class, traceback and attributes do too.
    """
    found = error.__dict__.get("module_path")
    if found is None:
        if len(error.args) != 1 or not isinstance(error.args[0], str):
            return
        label = module._label()
        text = error.args[0].removeprefix(f"{type(module).__name__.lower()}: ")
        path = ""
    else:
        path, label, text, inner = found
        names = [name for name, each in module.named_modules() if each is inner]
        if names and names[0]:
            path = _join(names[0], path)
    error.__dict__["module_path"] = (path, label, text, module)
    error.args = (f"{path} ({label}): {text}" if path else f"{label}: {text}",)


def _device_and_dtype(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Device | None, DType | None]:
    device, dtype = kwargs.pop("device", None), kwargs.pop("dtype", None)
    kwargs.pop("non_blocking", None)
    if kwargs:
        raise TypeError(f"Module.to: unexpected argument {next(iter(kwargs))!r}")
    for value in args:
        if isinstance(value, Tensor):
            device, dtype = value.device, value.dtype
        elif isinstance(value, Device) or (isinstance(value, str) and _names_device(value)):
            device = value
        elif isinstance(value, bool):  # PyTorch's non_blocking, which changes nothing here
            continue
        elif value is not None:
            dtype = value
    return (
        None if device is None else as_device(device),
        None if dtype is None else as_dtype(dtype),
    )


def _names_device(text: str) -> bool:
    return text.partition(":")[0] in ("cpu", "cuda", "cudasim")
