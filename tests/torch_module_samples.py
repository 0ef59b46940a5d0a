# SPDX-License-Identifier: Apache-2.0
"""PyTorch's own sample inputs of every module and optimiser, run through both libraries.

``module_db`` and ``optim_db`` are the tables of PyTorch's test suite: constructor arguments and
inputs of each module, options of each optimiser. Weights are carried over through the state dict.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch.testing._internal.common_modules import module_db
from torch.testing._internal.common_optimizers import optim_db

import gradsmith as gs
from tests.torch_samples import NotComparable, as_array, close, leaves, to_ours

MODULES = {
    info.name.removeprefix("nn."): info for info in module_db if hasattr(gs.nn, info.name[3:])
}
OPTIMIZERS = {
    info.optim_cls.__name__: info for info in optim_db if hasattr(gs.optim, info.optim_cls.__name__)
}
STEPS = 5
MOST_SAMPLES = 24  # a module and mode; Transformer has hundreds


def module_samples(info: Any, training: bool) -> list[Any]:
    """Return samples of a module in float64, spread over all there are."""
    options = {"device": "cpu", "dtype": torch.float64, "requires_grad": True}
    torch.manual_seed(0)  # the same samples whichever tests ran before
    found = list(info.module_inputs_func(info, training=training, **options))
    step = -(-len(found) // MOST_SAMPLES) or 1
    for sample in found[::step]:
        call = sample.forward_input
        call.args, call.kwargs = _leaves(call.args), _leaves(call.kwargs)
    return found[::step]


def _leaves(value: Any) -> Any:
    """Return arguments in which no tensor is computed from another: gradients end at each."""
    if isinstance(value, torch.Tensor):
        return value.detach().requires_grad_(value.requires_grad)
    if isinstance(value, dict):
        return {key: _leaves(each) for key, each in value.items()}
    return type(value)(map(_leaves, value)) if type(value) in (list, tuple) else value


def module_complaint(info: Any, sample: Any, training: bool) -> str | None:
    """Return how the libraries' modules differ on a sample, or None."""
    build, call = sample.constructor_input, sample.forward_input
    label = f"{info.name}{build.args} {build.kwargs}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            theirs = info.module_cls(*build.args, **build.kwargs).double().train(training)
            torch.manual_seed(0)
            expected = theirs(*call.args, **call.kwargs)
        except (RuntimeError, ValueError, TypeError, AssertionError):
            return None
        try:
            options = {k: v for k, v in build.kwargs.items() if k not in ("device", "dtype")}
            mine = getattr(gs.nn, info.name[3:])(*to_ours(build.args), **to_ours(options)).double()
            mine.train(training)
            args, kwargs = to_ours(call.args), to_ours(call.kwargs)
        except NotComparable:
            return None
        except Exception as error:
            return f"{label}: construction: {type(error).__name__}: {str(error)[:150]}"
        return _compare(label, mine, theirs, (args, kwargs), call, expected)


def _compare(
    label: str, mine: Any, theirs: Any, own_call: Any, call: Any, expected: Any
) -> str | None:
    keys, own_keys = list(theirs.state_dict()), list(mine.state_dict())
    if keys != own_keys:
        return f"{label}: state_dict has {own_keys}, PyTorch's {keys}"
    try:
        mine.load_state_dict({key: to_ours(value) for key, value in theirs.state_dict().items()})
        got = mine(*own_call[0], **own_call[1])
    except Exception as error:
        return f"{label}: {type(error).__name__}: {str(error)[:150]}"
    outputs, own_outputs = leaves(expected, torch.Tensor), leaves(got, gs.Tensor)
    if len(outputs) != len(own_outputs):
        return f"{label}: {len(own_outputs)} results, PyTorch {len(outputs)}"
    for number, (a, b) in enumerate(zip(own_outputs, outputs, strict=True)):
        if tuple(a.shape) != tuple(b.shape):
            return f"{label}: result {number} has shape {a.shape}, PyTorch {tuple(b.shape)}"
        if not close(as_array(a), as_array(b), "float64"):
            return f"{label}: result {number} differs"
    return _compare_gradients(label, mine, theirs, own_call, call, own_outputs, outputs)


def _compare_gradients(
    label: str, mine: Any, theirs: Any, own_call: Any, call: Any, got: Any, expected: Any
) -> str | None:
    seeds = [y for y in expected if y.requires_grad]
    own_seeds = [y for y in got if y.requires_grad]
    if len(seeds) != len(own_seeds):
        return f"{label}: {len(own_seeds)} results carry gradients, PyTorch {len(seeds)}"
    if not seeds:
        return None
    inputs = [x for x in leaves((call.args, call.kwargs), torch.Tensor) if x.requires_grad]
    wanted = [*theirs.parameters(), *inputs]
    own_wanted = [*mine.parameters(), *(x for x in leaves(own_call, gs.Tensor) if x.requires_grad)]
    if not wanted:
        return None
    b = torch.autograd.grad([(y * y).sum() for y in seeds], wanted, allow_unused=True)
    try:
        a = gs.autograd.grad([(y * y).sum() for y in own_seeds], own_wanted, allow_unused=True)
    except Exception as error:
        return f"{label}: backward: {type(error).__name__}: {str(error)[:150]}"
    for number, (own, their) in enumerate(zip(a, b, strict=True)):
        if own is None and (their is None or not their.any()):
            continue
        if own is None or their is None or not close(as_array(own), as_array(their), "float64"):
            return f"{label}: gradient {number} differs"
    return None


def optimizer_samples(info: Any) -> list[Any]:
    """Return the option sets of an optimiser."""
    return list(info.optim_inputs_func(device="cpu"))


def optimizer_complaint(info: Any, sample: Any) -> str | None:
    """Return how a least-squares fit by both libraries' optimisers differs, or None."""
    foreign = ("foreach", "fused", "capturable", "differentiable")
    options = {key: value for key, value in sample.kwargs.items() if key not in foreign}
    if any(isinstance(value, torch.Tensor) and value.numel() != 1 for value in options.values()):
        return None
    options = {k: v.item() if isinstance(v, torch.Tensor) else v for k, v in options.items()}
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(20, 3, generator=rng, dtype=torch.float64)
    y = torch.randn(20, 2, generator=rng, dtype=torch.float64)
    w = torch.randn(3, 2, generator=rng, dtype=torch.float64)
    label = f"{info.optim_cls.__name__} {options}"
    their_w = w.clone().requires_grad_()
    _fit(info.optim_cls([their_w], **options), their_w, x, y)
    try:
        own_w = to_ours(w).requires_grad_()
        _fit(
            getattr(gs.optim, info.optim_cls.__name__)([own_w], **options),
            own_w,
            to_ours(x),
            to_ours(y),
        )
    except Exception as error:
        return f"{label}: {type(error).__name__}: {str(error)[:150]}"
    if not close(as_array(own_w), as_array(their_w), "float64"):
        return f"{label}: weights differ after {STEPS} steps"
    return None


def _fit(optimizer: Any, w: Any, x: Any, y: Any) -> None:
    def closure() -> Any:
        optimizer.zero_grad()
        loss = ((x @ w - y) ** 2).mean()
        loss.backward()
        return loss

    for _ in range(STEPS):
        optimizer.step(closure)
