# SPDX-License-Identifier: Apache-2.0
"""What memory bounds: elementwise functions, norms, softmax, losses, pooling, sums, embedding,
dropout. The bytes are those of the arrays, each read or written once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bench.device_cuda import Case
from bench.problem import problem_list

Shape = list[int]
GROUPS = 32


def _normal(shape: Shape, dtype: Any) -> Any:
    import torch

    return torch.randn(shape, device="cuda").to(dtype)


def _vector(size: int, dtype: Any) -> Any:
    return _normal([size], dtype) + 1


def _last(x: Any) -> Any:
    import torch

    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


def _functional(library: Any) -> Any:
    return library.nn.functional


@dataclass
class Function:
    """One function.

    Attributes:
        run: takes the library and the inputs.
        make: the inputs of a shape and dtype.
        leaves: the inputs that get gradients.
        passes: arrays of the shape read and written by the forward pass, and by the step.
    """

    run: Callable[..., Any]
    make: Callable[[Shape, Any], list[Any]]
    leaves: tuple[int, ...] = (0,)
    passes: tuple[float, float] = (2.0, 5.0)


def _one(shape: Shape, dtype: Any) -> list[Any]:
    return [_normal(shape, dtype)]


def _two(shape: Shape, dtype: Any) -> list[Any]:
    return [_normal(shape, dtype), _normal(shape, dtype)]


def _row(shape: Shape, dtype: Any) -> list[Any]:
    return [_normal(shape, dtype), _vector(shape[-1], dtype), _vector(shape[-1], dtype)]


def _channels(shape: Shape, dtype: Any) -> list[Any]:
    import torch

    vectors = [_vector(shape[1], torch.float32) for _ in range(2)]
    return [_normal(shape, dtype), *vectors]


def _classes(shape: Shape, dtype: Any) -> list[Any]:
    import torch

    return [_normal(shape, dtype), torch.randint(0, shape[1], (shape[0],), device="cuda")]


def _table(shape: Shape, dtype: Any) -> list[Any]:
    import torch

    rows, width, count = shape
    skewed = torch.pow(float(rows), torch.rand(count, device="cuda")).long()
    return [skewed.clamp_max(rows - 1), _normal([rows, width], dtype)]


FUNCTIONS: dict[str, Function] = {
    "add": Function(lambda m, a, b: m.add(a, b), _two, (), (3.0, 0.0)),
    "copy_transposed": Function(lambda m, a: a.transpose(0, 1).contiguous(), _one, ()),
    "exp": Function(lambda m, x: m.exp(x), _one, ()),
    "gelu": Function(lambda m, x: _functional(m).gelu(x), _one),
    "silu": Function(lambda m, x: _functional(m).silu(x), _one),
    "layer_norm": Function(
        lambda m, x, w, b: _functional(m).layer_norm(x, (x.shape[-1],), w, b), _row, (0, 1, 2)
    ),
    "rms_norm": Function(
        lambda m, x, w, b: _functional(m).rms_norm(x, (x.shape[-1],), w, 1e-5), _row, (0, 1)
    ),
    "batch_norm": Function(
        lambda m, x, w, b: _functional(m).batch_norm(x, None, None, w, b, training=True),
        _channels,
        (0, 1, 2),
        (3.0, 8.0),
    ),
    "group_norm": Function(
        lambda m, x, w, b: _functional(m).group_norm(x, GROUPS, w, b), _channels, (0, 1, 2)
    ),
    "softmax": Function(lambda m, x: _functional(m).softmax(x, -1), _one),
    "log_softmax": Function(lambda m, x: _functional(m).log_softmax(x, -1), _one),
    "cross_entropy": Function(
        lambda m, x, target: _functional(m).cross_entropy(x, target), _classes, (0,), (1.0, 3.0)
    ),
    "max_pool": Function(lambda m, x: _functional(m).max_pool2d(x, 3, 2, 1), _one, (0,), (1.25, 3)),
    "avg_pool": Function(lambda m, x: _functional(m).avg_pool2d(x, 2, 2), _one, (0,), (1.25, 2.5)),
    "sum_all": Function(lambda m, x: x.sum(), _one, (), (1.0, 0.0)),
    "sum_rows": Function(lambda m, x: x.sum(1), _one, (), (1.0, 0.0)),
    "sum_columns": Function(lambda m, x: x.sum(0), _one, (), (1.0, 0.0)),
    "argmax_rows": Function(lambda m, x: x.argmax(1), _one, (), (1.0, 0.0)),
    "cumsum_rows": Function(lambda m, x: x.cumsum(1), _one, ()),
    "embedding": Function(lambda m, ids, table: _functional(m).embedding(ids, table), _table, (1,)),
}


def cases() -> Iterator[Case]:
    import torch

    for name, text in problem_list("cuda_memory_bound"):
        op, sizes, dtype_name, *layout = text.split()
        shape = [int(size) for size in sizes.split("x")]
        dtype = getattr(torch, dtype_name)
        function = FUNCTIONS[op]
        count = shape[1] * shape[2] if op == "embedding" else torch.Size(shape).numel()
        item = float(dtype.itemsize)
        table = float(shape[0] * shape[1]) if op == "embedding" else 0.0

        def make(
            f: Function = function, s: Shape = shape, t: Any = dtype, last: bool = bool(layout)
        ):
            inputs = f.make(s, t)
            return [_last(x) for x in inputs] if last else inputs

        yield Case(
            "memory_bound",
            name,
            function.run,
            make,
            leaves=function.leaves,
            bytes=function.passes[0] * item * count,
            step_bytes=item * (function.passes[1] * count + table),
            has_forward=op != "cross_entropy",
        )
