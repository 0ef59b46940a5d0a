# SPDX-License-Identifier: Apache-2.0
"""Recurrent layers over whole sequences, against PyTorch's cuDNN: forward, and with gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradsmith as gs
from bench.device_cuda import TOLERANCES, Row, relative_error, to_gradsmith, to_torch
from bench.families.rnn import MODULES
from bench.problem import problem_list


def cases() -> Iterator[Callable[[list[str]], Iterator[Row]]]:
    for name, text in problem_list("cuda_rnn"):
        yield lambda against, name=name, text=text: _rows(name, text, against)


def _forward(library: Any, module: Any, x: Any) -> Any:
    with library.no_grad():
        return module(x)[0]


def _step(module: Any, x: Any, dy: Any) -> list[Any]:
    leaves = [x, *module.parameters()]
    for leaf in leaves:
        leaf.grad = None
    module(x)[0].backward(dy)
    return [leaf.grad for leaf in leaves]


def _rows(name: str, text: str, against: list[str]) -> Iterator[Row]:
    import torch

    op, sizes, hidden, layers, dtype_name = text.split()
    steps, batch, features = (int(size) for size in sizes.split("x"))
    dtype = getattr(torch, dtype_name)
    torch.manual_seed(0)
    options = {"num_layers": int(layers)}
    theirs = getattr(torch.nn, MODULES[op])(features, int(hidden), **options).cuda().to(dtype)
    theirs.flatten_parameters()  # as cuDNN wants them; a change of dtype leaves them scattered
    wide = getattr(torch.nn, MODULES[op])(features, int(hidden), **options).cuda().double()
    wide.load_state_dict({key: value.double() for key, value in theirs.state_dict().items()})
    ours = getattr(gs.nn, MODULES[op])(
        features, int(hidden), dtype=getattr(gs, dtype_name), **options
    ).to("cuda")
    with gs.no_grad():
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            mine[...] = to_gradsmith(other.detach())
    x = torch.randn(steps, batch, features, device="cuda").to(dtype)
    dy = torch.randn(steps, batch, int(hidden), device="cuda").to(dtype)
    our_x, our_dy = to_gradsmith(x), to_gradsmith(dy)
    our_leaf = to_gradsmith(x).requires_grad_()
    their_leaf, wide_leaf = x.clone().requires_grad_(), x.double().requires_grad_()
    tolerance = 3 * TOLERANCES[dtype_name]

    def check() -> None:
        error = relative_error(
            to_torch(_forward(gs, ours, our_x)), _forward(torch, wide, x.double())
        )
        assert error <= tolerance, f"error {error:.2e}, allowed {tolerance:.2e}"

    def check_step() -> None:
        expected = _step(wide, wide_leaf, dy.double())
        for got, want in zip(_step(ours, our_leaf, our_dy), expected, strict=True):
            error = relative_error(to_torch(got), want)
            assert error <= 3 * tolerance, f"gradient: error {error:.2e}"

    weights = sum(p.numel() for p in theirs.parameters() if p.dim() == 2)
    flops = 2.0 * steps * batch * weights
    limit = f"{dtype_name}_tflops"
    with_torch = "torch" in against
    peers: dict[str, Any] = {"cudnn": lambda _: _forward(torch, theirs, x)} if with_torch else {}
    step_peers: dict[str, Any] = {}
    if with_torch:
        step_peers["cudnn"] = lambda _: _step(theirs, their_leaf, dy)
    yield Row(
        "cuda_rnn",
        f"{name} forward",
        lambda _: _forward(gs, ours, our_x),
        peers,
        check,
        flops,
        limit=limit,
    )
    yield Row(
        "cuda_rnn",
        f"{name} forward+backward",
        lambda _: _step(ours, our_leaf, our_dy),
        step_peers,
        check_step,
        3 * flops,
        limit=limit,
    )
