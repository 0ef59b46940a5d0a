# SPDX-License-Identifier: Apache-2.0
"""`Module`: parameters, buffers and submodules in a tree, and one forward function."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from gradsmith.backend import FLOATING, Device, DType, as_device, as_dtype
from gradsmith.hooks import HookHandle
from gradsmith.nn import state
from gradsmith.nn.hooked import call_hooked
from gradsmith.nn.location import locate
from gradsmith.nn.module_tree import BUFFER, MODULE, PARAMETER, ModuleTree, join_path
from gradsmith.nn.state import IncompatibleKeys
from gradsmith.nn.symbol import MAY_BE_SYMBOLIC, recorded, symbols_in
from gradsmith.tensor import Tensor

if TYPE_CHECKING:
    from gradsmith.train.methods import TrainMethods
else:
    TrainMethods = object  # `gradsmith.train` sets its methods when it is imported


class Module(ModuleTree, TrainMethods):
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
    # Lists once there are hooks; None keeps the call of a module without hooks short.
    _forward_hooks: list[tuple[Any, ...]] | None = None
    _forward_pre_hooks: list[tuple[Any, ...]] | None = None
    _backward_hooks: list[tuple[Any, ...]] | None = None
    _backward_pre_hooks: list[tuple[Any, ...]] | None = None

    # ---- the call --------------------------------------------------------------------------------

    def _no_forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no forward function")

    # A callable of any signature: subclasses give forward the arguments they need.
    forward: Callable[..., Any] = _no_forward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run ``forward`` between the hooks; errors name the module they come from.

        Called on symbols, which `Input` makes, it is recorded for a `Graph`.
        """
        if type(args[0] if args else kwargs) in MAY_BE_SYMBOLIC and symbols_in(args, kwargs):
            return recorded(self, args, kwargs)
        try:
            if (
                self._forward_hooks
                or self._forward_pre_hooks
                or self._backward_hooks
                or self._backward_pre_hooks
            ):
                return call_hooked(self, args, kwargs)
            return self.forward(*args, **kwargs)
        except (ValueError, TypeError, IndexError) as error:
            locate(error, self)
            raise

    def _add_hook(self, kind: str, entry: tuple[Any, ...], first: bool) -> HookHandle:
        if not callable(entry[0]):
            raise TypeError(f"the hook is a {type(entry[0]).__name__}, expected a callable")
        hooks = getattr(self, kind)
        if hooks is None:
            hooks = []
            setattr(self, kind, hooks)
        hooks.insert(0 if first else len(hooks), entry)
        return HookHandle(hooks, entry)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> HookHandle:
        """Call ``hook(module, args)`` before each forward; what it returns replaces ``args``.

        With ``with_kwargs`` the hook gets ``(module, args, kwargs)`` and may return both.
        """
        return self._add_hook("_forward_pre_hooks", (hook, with_kwargs), prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> HookHandle:
        """Call ``hook(module, args, output)`` after each forward; its result replaces the output.

        With ``with_kwargs`` the hook gets ``(module, args, kwargs, output)``. With ``always_call``
        it is called also when forward raises, with None as output.
        """
        return self._add_hook("_forward_hooks", (hook, with_kwargs, always_call), prepend)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> HookHandle:
        """Call ``hook(module, grad_output)`` when the gradients of the outputs are known.

        ``grad_output`` is a tuple with an entry per output, None for those without a gradient; a
        tuple or tensor that the hook returns replaces it.
        """
        return self._add_hook("_backward_pre_hooks", (hook,), prepend)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> HookHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the inputs' gradients are known.

        ``grad_input`` is a tuple with an entry per positional argument, None for those without a
        gradient; a tuple or tensor that the hook returns replaces it. If no argument requires a
        gradient, the hook is called when the outputs' gradients are known.
        """
        return self._add_hook("_backward_hooks", (hook,), prepend)

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

    def half(self) -> Self:
        """Convert the floating parameters and buffers to float16."""
        return self.to("float16")

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
            for name, tensor in (*module._own(PARAMETER), *module._own(BUFFER)):
                result[join_path(path, name)] = tensor if keep_vars else tensor.detach()
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


def _indent(text: str) -> str:
    return text.replace("\n", "\n  ")


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
