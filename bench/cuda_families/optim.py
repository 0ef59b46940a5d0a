# SPDX-License-Identifier: Apache-2.0
"""One step of an optimiser on all parameters, against PyTorch's fused and foreach forms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradsmith as gs
from bench.device_cuda import Row, Runner, check_close, to_gradsmith
from bench.problem import problem_list

# Per parameter: what is read and written.
ARRAYS = {"SGD": 5, "Adam": 7, "AdamW": 7}
OPTIONS = {"SGD": {"lr": 1e-3, "momentum": 0.9}, "Adam": {"lr": 1e-3}, "AdamW": {"lr": 1e-3}}


def _stepper(make: Any, parameters: list[Any], gradients: list[Any], **options: Any) -> Runner:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.requires_grad_()
        parameter.grad = gradient
    optimizer = make(parameters, **options)
    return lambda _: optimizer.step()


def cases() -> Iterator[Callable[[list[str]], Iterator[Row]]]:
    for name, text in problem_list("cuda_optim"):
        yield lambda against, name=name, text=text: _rows(name, text, against)


def _rows(name: str, text: str, against: list[str]) -> Iterator[Row]:
    import torch

    op, number, sizes = text.split()
    shape = [int(size) for size in sizes.split("x")]
    torch.manual_seed(0)
    values = [torch.randn(shape, device="cuda") for _ in range(int(number))]
    slopes = [torch.randn(shape, device="cuda") for _ in values]
    given = [x.clone() for x in values]
    ours = [to_gradsmith(x) for x in given]
    step = _stepper(getattr(gs.optim, op), ours, [to_gradsmith(x) for x in slopes], **OPTIONS[op])
    make = getattr(torch.optim, op)
    settings = {"fused": {"fused": True}, "foreach": {"foreach": True}}
    peers = {}
    if "torch" in against:
        for setting, choice in settings.items():
            theirs = [x.clone() for x in values]
            peers[setting] = _stepper(make, theirs, slopes, **OPTIONS[op], **choice)

    def check() -> None:
        chosen = [values[0].double(), values[-1].double()]
        wide_slopes = [slopes[0].double(), slopes[-1].double()]
        _stepper(make, chosen, wide_slopes, **OPTIONS[op])(0)
        step(0)
        wanted = [x.detach() for x in chosen]
        check_close([ours[0], ours[-1]], wanted, 1e-6)

    count = len(values) * values[0].numel()
    yield Row("cuda_optim", name, step, peers, check, bytes=4.0 * ARRAYS[op] * count)
