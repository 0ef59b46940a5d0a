# SPDX-License-Identifier: Apache-2.0
"""What optimisers share: parameter groups, state, and one kernel call per group and step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np

from gradsmith.autograd import enable_grad
from gradsmith.backend import EXTENSIONS, FLOATING, Array, compute_dtype, like, on_host
from gradsmith.hooks import HookHandle
from gradsmith.ops.optim import Work
from gradsmith.optim.options import FLAGS
from gradsmith.optim.options import check_number as check_number
from gradsmith.tensor import Tensor, wrap

Params: TypeAlias = Iterable[Tensor] | Iterable[dict[str, Any]]
Closure: TypeAlias = Callable[[], Any]
StepHook: TypeAlias = Callable[..., Any]


class Optimizer:
    """Base of the optimisers: groups of parameters with options, and a state per parameter.

    Attributes:
        param_groups: list of dicts: ``"params"`` and the options of the group.
        state: per parameter, a dict of its running averages.
        defaults: options that a group does not give itself.
    """

    _kernel: str  # the slot that takes a step

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        """Take tensors, or dicts with ``"params"`` and options of their own.

        Raises:
            TypeError: a parameter is no tensor, or not floating.
            ValueError: there are no parameters, one occurs twice, or an option is out of range.
        """
        if isinstance(params, Tensor) or not isinstance(params, Iterable):
            kind = "tensor" if isinstance(params, Tensor) else type(params).__name__
            raise TypeError(
                f"{self._name}: params is a {kind}, expected a list of tensors or of dicts"
            )
        self.defaults = defaults
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._works: dict[int, Work] = {}  # by the id of the group
        self._pre_hooks: list[StepHook] = []
        self._post_hooks: list[StepHook] = []
        given: list[Any] = list(params)
        if not given:
            raise ValueError(f"{self._name}: got an empty list of parameters")
        groups = given if isinstance(given[0], dict) else [{"params": given}]
        for group in groups:
            self.add_param_group(group)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        lines = [f"{self._name} ("]
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])

    # ---- for the optimisers --------------------------------------------------------------------

    def _check(self, group: dict[str, Any]) -> None:
        for name in FLAGS:
            if name in group and not isinstance(group[name], bool):
                kind = type(group[name]).__name__
                raise TypeError(f"{self._name}: {name} is a {kind}, expected a bool")
        self._check_options(group)

    def _check_options(self, group: dict[str, Any]) -> None:
        """Refuse options that are out of range."""
        raise NotImplementedError

    def _state_names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        """Return the states that the kernel takes, None for one that the options do without."""
        raise NotImplementedError

    def _kernel_options(self, group: dict[str, Any]) -> tuple[Any, ...]:
        """Return what the kernel takes after the tensors."""
        raise NotImplementedError

    def _first_state(self, group: dict[str, Any], name: str) -> float:
        """Return what a state is filled with at first."""
        return 0.0

    def _state_shape(self, group: dict[str, Any], param: Tensor, name: str) -> tuple[int, ...]:
        return param.shape

    def _scalars(self, group: dict[str, Any]) -> dict[str, float]:
        """Return the first values of the states that are float32 numbers on the host."""
        return {"step": 0.0}

    def _next_scalars(
        self, group: dict[str, Any], now: dict[str, Array]
    ) -> tuple[dict[str, Array], list[Any]]:
        """Return what a step makes of those numbers, and the numbers that the kernel takes.

        Each is an array with an element per parameter; the kernel takes a list with a pair per
        parameter, or an empty one.
        """
        return {"step": now["step"] + 1}, []

    def _filled(self, group: dict[str, Any], param: Tensor, name: str) -> Tensor:
        """Return a state as it is at first, in the dtype that the parameter computes in."""
        array = param._array
        dtype = compute_dtype(array.dtype)
        shape, value = self._state_shape(group, param, name), self._first_state(group, name)
        return wrap(EXTENSIONS[type(array)].full(shape, float(value), dtype))

    def _works_of(self, chosen: list[tuple[dict[str, Any], list[Tensor]]]) -> list[Work]:
        """Return the arrays of groups, made anew where a parameter or state was replaced."""
        works = []
        for group, params in chosen:
            names = self._state_names(group)
            held = list(map(self.state.get, params)) if names else []
            work = self._works.get(id(group))
            if work is None or not work.fits(params, held, names):
                self._check_gradients()  # before anything is made; later the kernels' check does
                entries = [self.state[param] for param in params] if names else []
                work = self._works[id(group)] = self._new_work(group, params, entries, names)
            works.append(work)
        return works

    def _check_gradients(self) -> None:
        for group in self.param_groups:
            for param in group["params"]:
                grad = param.grad
                if grad is None:
                    continue
                if not isinstance(grad, Tensor):
                    kind = type(grad).__name__
                    raise TypeError(f"{self._name}: a gradient is a {kind}, expected a tensor")
                if grad.shape != param.shape:
                    raise ValueError(
                        f"{self._name}: a gradient has shape {grad.shape}, its parameter "
                        f"{param.shape}"
                    )
                if grad.dtype != param.dtype:
                    raise TypeError(
                        f"{self._name}: a gradient is {grad.dtype}, its parameter {param.dtype}"
                    )

    def _make_states(self, group: dict[str, Any], param: Tensor) -> None:
        """Give a parameter the states it lacks."""
        entry = self.state[param]
        for name, value in self._scalars(group).items():
            if name not in entry:
                entry[name] = wrap(np.array(value, dtype=np.float32))
        for each in self._state_names(group):
            if each is not None and each not in entry:
                entry[each] = self._filled(group, param, each)

    def _new_work(
        self,
        group: dict[str, Any],
        params: list[Tensor],
        entries: list[dict[str, Any]],
        names: tuple[str | None, ...],
    ) -> Work:
        for param in params:
            self._make_states(group, param)
        work = Work(self._name, params, entries)
        work.take_states(names)
        work.take_scalars(self._scalars(group))
        return work

    # ---- for users -----------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group: a dict with ``"params"`` (tensors) and options.

        Raises:
            TypeError: a parameter is no tensor, or not floating.
            ValueError: the group is empty, a parameter occurs twice or is no leaf, or an option is
                unknown or out of range.
        """
        if not isinstance(param_group, dict):
            raise TypeError(
                f"{self._name}: a parameter group is a {type(param_group).__name__}, expected a "
                "dict"
            )
        if "params" not in param_group:
            raise ValueError(f"{self._name}: a parameter group lacks 'params'")
        given = param_group["params"]
        if isinstance(given, set):
            raise TypeError(f"{self._name}: params is a set, whose order is not fixed; use a list")
        params = [given] if isinstance(given, Tensor) else list(given)
        known = {id(each) for group in self.param_groups for each in group["params"]}
        for each in params:
            self._check_param(each)
            if id(each) in known:
                raise ValueError(
                    f"{self._name}: a parameter of shape {each.shape} occurs more than once"
                )
            known.add(id(each))
        if not params:
            raise ValueError(f"{self._name}: got an empty list of parameters")
        unknown = set(param_group) - set(self.defaults) - {"params", "initial_lr"}
        if unknown:
            raise ValueError(
                f"{self._name}: a parameter group has unknown options {sorted(unknown)} (expected "
                f"some of {sorted(self.defaults)})"
            )
        group = {**self.defaults, **param_group, "params": params}
        self._check(group)
        self.param_groups.append(group)

    def _check_param(self, param: Any) -> None:
        if not isinstance(param, Tensor):
            raise TypeError(
                f"{self._name}: a parameter is a {type(param).__name__}, expected a tensor"
            )
        if param._array.dtype not in FLOATING:
            raise TypeError(
                f"{self._name}: a parameter is {param.dtype}, expected a floating dtype"
            )
        if not param.is_leaf:
            raise ValueError(
                f"{self._name}: a parameter of shape {param.shape} is the result of an op, "
                "expected a leaf"
            )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or fill them with zeros if not ``set_to_none``."""
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is None:
                    continue
                if set_to_none:
                    param.grad = None
                else:
                    param.grad = self._zero_like(param.grad)

    @staticmethod
    def _zero_like(grad: Tensor) -> Tensor:
        array = grad._array
        if grad.requires_grad:
            return wrap(EXTENSIONS[type(array)].zeros(array.shape, array.dtype))
        EXTENSIONS[type(array)].copy(array, 0.0)
        grad._bump()
        return grad

    def step(self, closure: Closure | None = None) -> Any:
        """Update the parameters that have a gradient.

        Args:
            closure: computes the loss anew (with gradients) and returns it.

        Returns:
            What the closure returned, or None.

        Raises:
            TypeError, ValueError: a gradient's dtype or shape is not its parameter's; nothing is
                updated then.
        """
        for hook in tuple(self._pre_hooks):
            changed = hook(self, (closure,), {})
            if changed is not None:
                (closure,), _ = changed
        result = self._take_step(closure)
        for hook in tuple(self._post_hooks):
            hook(self, (closure,), {})
        return result

    def _take_step(self, closure: Closure | None) -> Any:
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        chosen = []
        for group in self.param_groups:
            params = [each for each in group["params"] if each.grad is not None]
            if params:
                chosen.append((group, params))
        self._update(chosen)
        return loss

    def _update(self, chosen: list[tuple[dict[str, Any], list[Tensor]]]) -> None:
        """Update the parameters of each group that have a gradient."""
        works = self._works_of(chosen)
        tensors = [
            work.checked(*self._next_scalars(group, work.scalars))
            for (group, _), work in zip(chosen, works, strict=True)
        ]
        for (group, _), work, each in zip(chosen, works, tensors, strict=True):
            work.run(self._kernel, each, self._kernel_options(group))

    def register_step_pre_hook(self, hook: StepHook) -> HookHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step, with ``args = (closure,)``.

        A pair (args, kwargs) that it returns replaces what the step gets.
        """
        self._pre_hooks.append(hook)
        return HookHandle(self._pre_hooks, hook)

    def register_step_post_hook(self, hook: StepHook) -> HookHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        self._post_hooks.append(hook)
        return HookHandle(self._post_hooks, hook)

    def state_dict(self) -> dict[str, Any]:
        """Return ``"state"`` by the parameters' numbers and ``"param_groups"`` with options."""
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for param in group["params"]:
                numbers[id(param)] = len(numbers)
            options = {key: value for key, value in group.items() if key != "params"}
            groups.append({**options, "params": [numbers[id(p)] for p in group["params"]]})
        state = {numbers[id(p)]: dict(each) for p, each in self.state.items() if id(p) in numbers}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over options and state, copied; nothing changes if they do not fit.

        Raises:
            TypeError: it is no dictionary.
            ValueError: groups, parameters or shapes are not those of this optimiser.
        """
        if not isinstance(state_dict, dict):
            kind = type(state_dict).__name__
            raise TypeError(f"{self._name}: the state is a {kind}, expected a dictionary")
        if not {"param_groups", "state"} <= set(state_dict):
            raise ValueError(f"{self._name}: the state lacks 'param_groups' or 'state'")
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ValueError(
                f"{self._name}: the state has {len(saved)} parameter groups, expected "
                f"{len(self.param_groups)}"
            )
        by_number: dict[int, tuple[dict[str, Any], Tensor]] = {}
        groups = []
        for number, (mine, theirs) in enumerate(zip(self.param_groups, saved, strict=True)):
            if len(mine["params"]) != len(theirs["params"]):
                raise ValueError(
                    f"{self._name}: group {number} of the state has {len(theirs['params'])} "
                    f"parameters, expected {len(mine['params'])}"
                )
            group = {**mine, **theirs, "params": mine["params"]}
            self._check(group)
            pairs = zip(theirs["params"], mine["params"], strict=True)
            by_number.update({key: (group, param) for key, param in pairs})
            groups.append(group)
        state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        for number, values in state_dict["state"].items():
            if number not in by_number:
                raise ValueError(f"{self._name}: the state names parameter {number}, unknown here")
            group, param = by_number[number]
            state[param] = {
                key: self._loaded(group, param, key, value) for key, value in values.items()
            }
        self.param_groups = groups
        self.state = state
        self._works.clear()

    def _loaded(self, group: dict[str, Any], param: Tensor, key: str, value: Any) -> Any:
        """Return a copy of a saved value in the dtype in which the optimiser keeps it."""
        if value is None:
            return None
        array = np.asarray(on_host(value._array) if isinstance(value, Tensor) else value)
        is_scalar = key in self._scalars(group)
        expected = () if is_scalar else self._state_shape(group, param, key)
        if array.shape != expected:
            raise ValueError(
                f"{self._name}: state {key!r} has shape {array.shape}, expected {expected}"
            )
        if is_scalar:
            return wrap(np.array(float(array), dtype=np.float32))
        state = self._filled(group, param, key)
        EXTENSIONS[type(param._array)].copy(state._array, like(array, param._array))
        return state
