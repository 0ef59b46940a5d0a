# SPDX-License-Identifier: Apache-2.0
"""What `Sequential` runs: its modules in order, some neighbours as one op or the other way round.

Only pairs of exactly the library's own classes, without hooks, so that nobody can see that the
result of the first was never made. Values and gradients are those of the modules one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradsmith.autograd.mode import mode
from gradsmith.nn.activation import ReLU, Sigmoid, Tanh
from gradsmith.nn.linear import Linear
from gradsmith.nn.location import locate
from gradsmith.nn.module import Module
from gradsmith.nn.norm_running import BatchNorm1d, BatchNorm2d, BatchNorm3d
from gradsmith.nn.pool import MaxPool1d, MaxPool2d, MaxPool3d
from gradsmith.ops.gemm import activated_linear
from gradsmith.ops.pool import rectified

# Runs two neighbours on an input.
Pair = Callable[[Any, Any, Any], Any]


def _linear_then(activation: str) -> Pair:
    """The product's last pass writes what the activation gives; its slope follows from that."""

    def run(linear: Linear, after: Module, input: Any) -> Any:
        if linear.weight.ndim != 2:  # somebody's own, for a layer with one output and no bias
            return after(linear(input))
        return activated_linear(input, linear.weight, linear.bias, activation)

    return run


def _norm_then_relu(norm: Any, _: ReLU, input: Any) -> Any:
    return norm._then_relu(input)


def _pool_before_relu(relu: ReLU, pool: Any, input: Any) -> Any:
    """A maximum of rectified values is the rectified maximum, and of these there are fewer.

    Gradients agree: where the maximum is not positive both orders give zero, and where it is, the
    first element that attains it is the same.
    """
    if pool.return_indices or pool.dilation != 1:  # a dilated window may hold no element: -inf
        return pool(relu(input))
    return rectified(pool(input))


_FUSED: dict[tuple[type[Module], type[Module]], Pair] = {
    (Linear, ReLU): _linear_then("relu"),
    (Linear, Sigmoid): _linear_then("sigmoid"),
    (Linear, Tanh): _linear_then("tanh"),
    **{(norm, ReLU): _norm_then_relu for norm in (BatchNorm1d, BatchNorm2d, BatchNorm3d)},
}
_EXCHANGED: dict[tuple[type[Module], type[Module]], Pair] = {
    (ReLU, pool): _pool_before_relu for pool in (MaxPool1d, MaxPool2d, MaxPool3d)
}
_PAIRS = _FUSED | _EXCHANGED
_FORWARD = {kind: kind.forward for pair in _PAIRS for kind in pair}


def _is_plain(module: Module) -> bool:
    """Whether calling the module does nothing but what the library's class defines."""
    kind = type(module)
    return kind.forward is _FORWARD[kind] and not (
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or "forward" in module.__dict__
    )


def _run_pair(pair: Pair, module: Module, after: Module, input: Any) -> Any:
    try:
        return pair(module, after, input)
    except (ValueError, TypeError, IndexError) as error:
        if pair in _FUSED.values():  # the others call the modules, which do this
            locate(error, module)
        raise


def run_in_order(modules: Sequence[Any], input: Any) -> Any:
    """Return the result of the last module; ``input`` itself if there is none."""
    position, end = 0, len(modules)
    is_watched = mode.watcher is not None  # by somebody who wants to see each module's own op
    while position < end:
        module = modules[position]
        position += 1
        if position < end and not is_watched:
            after = modules[position]
            pair = _PAIRS.get((type(module), type(after)))
            if pair is not None and _is_plain(module) and _is_plain(after):
                input = _run_pair(pair, module, after, input)
                position += 1
                continue
        input = module(input)
    return input
