# SPDX-License-Identifier: Apache-2.0
"""Trying something out on a model and leaving everything as it was; looking at its ops."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from gradsmith import random
from gradsmith.autograd import Watcher, watching
from gradsmith.backend import EXTENSIONS
from gradsmith.nn import Module
from gradsmith.nn.module_tree import BUFFER, TRANSIENT
from gradsmith.optim import Optimizer
from gradsmith.tensor import Tensor


def _slots(model: Module) -> list[tuple[dict[str, Any], str, Tensor]]:
    """Return where each buffer hangs: modules may put other tensors there."""
    return [
        (module.__dict__, name, tensor)
        for module in model.modules()
        for name, tensor in module._own(BUFFER, TRANSIENT)
    ]


@contextmanager
def kept(model: Module, others: Iterable[Tensor] = ()) -> Iterator[None]:
    """Run a block without gradients from before, and undo what it does to the model.

    Parameters, buffers, gradients, modes, versions and the library's random generator are put back,
    for the model and for ``others``.
    """
    tensors = {id(t): t for t in (*model.parameters(), *model.buffers(), *others)}
    before = [
        (
            tensor,
            tensor._array,
            EXTENSIONS[type(tensor._array)].copy_of(tensor._array),
            tensor.grad,
            None if tensor._version is None else tensor._version.number,
        )
        for tensor in tensors.values()
    ]
    slots = _slots(model)
    modes = [(module, module.training) for module in model.modules()]
    state = random.get_rng_state()
    for tensor in tensors.values():
        tensor.grad = None
    try:
        yield
    finally:
        for tensor, array, values, grad, number in before:
            EXTENSIONS[type(array)].copy(array, values)
            tensor._array, tensor.grad = array, grad
            if number is not None and tensor._version is not None:
                tensor._version.number = number
        for place, name, tensor in slots:
            place[name] = tensor
        for module, training in modes:
            module.training = training
        random.set_rng_state(state)


def probe_of(optimizer: Optimizer) -> Optimizer:
    """Return an optimiser of the same parameters whose steps leave the given one as it is."""
    probe = copy.copy(optimizer)
    probe.param_groups = [dict(group) for group in optimizer.param_groups]
    state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
    for parameter, entries in optimizer.state.items():
        state[parameter] = {
            name: value.clone() if isinstance(value, Tensor) else copy.copy(value)
            for name, value in entries.items()
        }
    probe.state = state
    probe._works = {}
    return probe


class ModuleWatcher(Watcher):
    """Sees the ops of a model together with the module that runs them."""

    def __init__(self) -> None:
        """Stand outside of all modules."""
        self._running: list[Module] = []

    @property
    def module(self) -> Module | None:
        """The innermost module that is running."""
        return self._running[-1] if self._running else None

    def after(self, module: Module, output: Any) -> None:
        """See the end of a module's call; subclasses may look at its output."""

    def _enter(self, module: Module, args: Any) -> None:
        self._running.append(module)

    def _leave(self, module: Module, args: Any, output: Any) -> None:
        self._running.pop()
        self.after(module, output)


@contextmanager
def watched(model: Module, watcher: ModuleWatcher) -> Iterator[None]:
    """Let a watcher see all that the model does in a block."""
    handles = []
    for module in model.modules():
        handles.append(module.register_forward_pre_hook(watcher._enter, prepend=True))
        handles.append(module.register_forward_hook(watcher._leave, always_call=True))
    try:
        with watching(watcher):
            yield
    finally:
        for handle in handles:
            handle.remove()
