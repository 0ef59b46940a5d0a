# SPDX-License-Identifier: Apache-2.0
"""Small programs as a user of PyTorch writes them, to be run with either library.

``t`` is the library and ``data`` its data sets and loaders. A program returns what both have to
agree on; of random numbers that is their shape, dtype and range.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

Program = Callable[[Any, Any], Any]


def numbers(t: Any, *shape: int, seed: int = 0) -> Any:
    """Return the same random numbers in either library."""
    return t.from_numpy(np.random.default_rng((seed, *shape)).standard_normal(shape))


def known(t: Any, module: Any) -> Any:
    """Give a module in float64 the same weights in either library, and return it."""
    for place, parameter in enumerate(module.double().parameters()):
        with t.no_grad():
            parameter.copy_(numbers(t, *parameter.shape, seed=place) * 0.3)
    return module


def network(t: Any) -> Any:
    """Return a small network of known weights."""
    nn = t.nn
    return known(t, nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)))


# ---- tensors -------------------------------------------------------------------------------------


def attributes(t: Any, data: Any) -> Any:
    x = numbers(t, 2, 3)
    y = (x * 2).requires_grad_()
    return [
        *(x.ndim, x.dim(), x.ndimension(), x.nelement(), x.numel(), t.numel(x), x.itemsize),
        *(x.element_size(), x.nbytes, x.is_contiguous(), x.T.is_contiguous(), x.stride()),
        *(x.stride(0), x.is_leaf, (y * 1).is_leaf, x.is_floating_point(), x.device.type),
        *(x.requires_grad, x.grad is None, x.grad_fn is None, (y * 1).grad_fn is None, x.data),
        *(x.cpu() is x, x.data_ptr() == x.data.data_ptr(), x.size(), x.size(-1), x.shape, x.H),
        *(t.is_tensor(x), t.is_tensor(2), t.is_floating_point(x), y.detach().requires_grad, x.mH),
        *(x[0, 0].item(), x.tolist(), x.type_as(t.tensor([1])), x.numpy().shape, len(x)),
    ]


def what_tensors_are(t: Any, data: Any) -> Any:
    x, n = numbers(t, 2, 3), t.tensor([1, 0])
    return [
        *(t.is_complex(x), x.is_complex(), t.is_signed(x), n.byte().is_signed(), n.is_signed()),
        *(t.is_nonzero(x[0, 0]), n[1].is_nonzero(), _refused(lambda: t.is_nonzero(x))),
        *(t.is_same_size(x, x * 2), x.is_same_size(x.T), t.get_device(x), x.get_device()),
        *(x.is_cpu, x.is_cuda, n.byte(), x.sum_to_size(1, 3), x.sum_to_size(2, 1)),
        *(t.asarray(x) is x, t.asarray(x, copy=True) is x, t.asarray([1, 2], dtype=t.float64)),
        *(t.asarray(np.arange(3)), t.asarray(2.5, requires_grad=True).requires_grad),
    ]


def windows(t: Any, data: Any) -> Any:
    made = (t.bartlett_window, t.blackman_window, t.hamming_window, t.hann_window, t.kaiser_window)
    return [
        *(w(n, p, dtype=t.float64) for w in made for n in (0, 1, 2, 7) for p in (True, False)),
        *(t.hamming_window(5, True, 0.6, 0.4), t.kaiser_window(5, False, 3.0), t.hann_window(4)),
    ]


def settings(t: Any, data: Any) -> Any:
    before = t.get_float32_matmul_precision()
    t.set_float32_matmul_precision("high")
    inside = t.get_float32_matmul_precision()
    t.set_float32_matmul_precision(before)
    t.manual_seed(3)
    with t.random.fork_rng():
        first = t.rand(3)
    second = t.rand(3)
    with t.random.fork_rng(enabled=False):
        third = t.rand(3)
    return [before, inside, t.equal(first, second), t.equal(t.rand(3), third)]


def operators_of_python(t: Any, data: Any) -> Any:
    x, n = numbers(t, 2, 3), t.tensor([[1, 2, 3], [4, 5, 6]])
    y = x.clone()
    y //= 0.3
    y /= 2
    z = n.clone()
    z[0] = 7
    z[1, ::2] = t.tensor([8, 9])
    z <<= 1
    z >>= 2
    z &= 7
    z |= 1
    z ^= 2
    z %= 5
    return [
        *(+x, -x, x // 0.7, 2 // n, 2 / x, x / 2, 2 << n, 64 >> n, n << 1, n >> 1, n & 3, y, z),
        *(3 in n, 33 in n, float(x[0, 0]), int(x[0, 1] * 9), bool(x[0, 0]), [10, 20, 30][n[0, 0]]),
        *([row * 2 for row in x], abs(x), x @ x.T, ~n, n**2, 2**n, n % 4, 7 % n, x != x, x == x),
        *(f"{x[0, 0]:.3f}", round(float(x[1, 1]), 3), copy.deepcopy(x), copy.copy(x)),
    ]


def filled_in_place(t: Any, data: Any) -> Any:
    x = numbers(t, 2, 3)
    y = x.clone().detach_()
    y.fill_(2).copy_(x[0]).relu_()
    y[0].zero_()
    return [y, x.clone().data.zero_(), x.new_tensor([1, 2]), t.as_tensor(x) is x, x.detach()]


def drawn(t: Any, data: Any) -> Any:
    t.manual_seed(3)
    x = t.zeros(1000)
    kept = [x.clone() for _ in range(7)]
    draws = [
        *(kept[0].uniform_(), kept[1].bernoulli_(0.3), kept[2].exponential_(), t.rand(1000)),
        *(
            kept[3].geometric_(0.5),
            kept[4].random_(),
            t.poisson(x + 2),
            t.randn(9, 2),
            t.randperm(9),
        ),
        *(t.randint(2, 9, (1000,)), t.rand_like(x), t.randn_like(x), t.randint_like(x, 5)),
        *(t.bernoulli(x + 0.5), t.normal(x, 1.0), t.multinomial(t.ones(4), 3)),
        *(kept[5].cauchy_(), kept[6].log_normal_()),
    ]
    state = t.get_rng_state()
    first, _ = t.rand(3), t.set_rng_state(state)
    generator = t.Generator().manual_seed(4)
    again = t.rand(3, generator=generator), t.rand(3, generator=generator.manual_seed(4))
    t.seed()
    return [
        [(each.shape, each.min().item() >= 0) for each in draws[:7]],
        [(each.shape, str(each.dtype).removeprefix("torch.")) for each in draws],
        [draws[8].sort().values, draws[9].min() >= 2, draws[9].max() <= 8, draws[15].sum() == 6],
        *(t.equal(first, t.rand(3)), t.equal(*again), generator.initial_seed()),
        t.manual_seed(5) is not None and t.initial_seed(),
    ]


def settings_of_the_library(t: Any, data: Any) -> Any:
    kept = t.get_num_threads()
    t.set_num_threads(1)
    threads = t.get_num_threads()
    t.set_num_threads(kept)
    t.set_default_dtype(t.float64)
    wide = t.ones(1)
    t.set_default_dtype(t.float32)
    t.set_printoptions(precision=2)
    text = str(t.tensor([1.23456]))
    t.set_printoptions(precision=4)
    names = [t.get_default_dtype(), t.promote_types(t.int32, t.bfloat16), t.result_type(wide, 2)]
    with t.inference_mode():
        inside = t.is_grad_enabled()
    with t.set_grad_enabled(False), t.enable_grad():
        back = t.is_grad_enabled()
    return [
        *(threads, wide, text, inside, back, t.device("cpu").type, t.can_cast(t.float32, t.int64)),
        [str(each).removeprefix("torch.") for each in names],
        *(
            t.finfo(t.bfloat16).max,
            t.iinfo(t.uint8).max,
            t.finfo(t.float32).tiny,
            t.iinfo(t.int64).min,
        ),
    ]


def shared_memory(t: Any, data: Any) -> Any:
    array = np.arange(6.0).reshape(2, 3)
    x = t.from_numpy(array)
    y = t.from_dlpack(x)
    y[0, 0] = 5
    x.view(6)[5] = 7
    x.T[1, 1] = 9
    return [
        array.tolist(),
        np.asarray(x).sum(),
        x.__dlpack_device__()[1],
        x.__dlpack__() is not None,
        np.add(array, 1).sum(),
    ]


# ---- autograd ------------------------------------------------------------------------------------


def hooks_of_tensors(t: Any, data: Any) -> Any:
    x = numbers(t, 3).requires_grad_()
    seen = []
    x.register_hook(lambda g: g * 2)
    x.register_post_accumulate_grad_hook(lambda leaf: seen.append(leaf.grad.sum()))
    y = x * 3
    y.retain_grad()
    handle = y.register_hook(lambda g: g + 1)
    (y * y).sum().backward(retain_graph=True)
    handle.remove()
    t.autograd.backward([(y * y).sum(), y.sum()])
    return [x.grad, y.grad, [each.item() for each in seen]]


def own_function(t: Any, data: Any) -> Any:
    class Cube(t.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any, factor: float) -> Any:
            ctx.save_for_backward(x)
            ctx.factor = factor
            return factor * x**3

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            (x,) = ctx.saved_tensors
            assert ctx.needs_input_grad == (True, False)
            return 3 * ctx.factor * x**2 * dy, None

    class Signs(t.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            places = x.argsort()
            ctx.mark_non_differentiable(places)
            return x.sign(), places

        @staticmethod
        @t.autograd.function.once_differentiable
        def backward(ctx: Any, dy: Any, _: Any) -> Any:
            return dy.clamp(-1, 1)

    class Scaled(t.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(x: Any, factor: float = 3.0) -> Any:
            return x * factor

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.factor = inputs[1]
            ctx.save_for_backward(output)

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return dy * ctx.factor + ctx.saved_tensors[0], None

    x = numbers(t, 4).requires_grad_()
    (scaled,) = t.autograd.grad(Scaled.apply(x).sum() + Scaled.apply(x, 2.0).sum(), x)
    (first,) = t.autograd.grad(Cube.apply(x, 2.0).sum(), x, create_graph=True)
    (second,) = t.autograd.grad(first.sum(), x)
    signs, places = Signs.apply(x)
    signs.backward(t.tensor([3.0, 0.5, -2, 1]).double())
    return [scaled, first, second, x.grad, places, places.requires_grad]


def derivatives(t: Any, data: Any) -> Any:
    f, x, v = t.autograd.functional, numbers(t, 3), numbers(t, 3, seed=1)
    cube = lambda z: (z**3).sum()  # noqa: E731
    return [
        *(f.jacobian(lambda z: z.outer(z), x), f.hessian(cube, x), f.vhp(cube, x, v)),
        *(f.jvp(t.sin, x, v), f.vjp(t.sin, x, v), f.hvp(cube, x, v)),
        t.autograd.gradcheck(t.sin, x.clone().requires_grad_()),
        t.autograd.gradgradcheck(t.sin, x.clone().requires_grad_()),
    ]


def modes(t: Any, data: Any) -> Any:
    x = t.ones(2, requires_grad=True)

    @t.no_grad()
    def off(z: Any) -> Any:
        return z * 2

    @t.enable_grad()
    def on(z: Any) -> Any:
        return z * 2

    with t.autograd.no_grad():
        inside = on(x).requires_grad, (x * 2).requires_grad
    with t.autograd.inference_mode(False), t.autograd.set_grad_enabled(True):
        again = (x * 2).requires_grad, off(x).requires_grad
    with t.autograd.enable_grad(), t.autograd.detect_anomaly(check_nan=False):
        (x * 2).sum().backward()
    t.autograd.set_detect_anomaly(False)
    return [*inside, *again, x.grad]


def views_and_changes(t: Any, data: Any) -> Any:
    x = numbers(t, 3, 4).requires_grad_()
    y = x * 1
    y[1:, ::2] = numbers(t, 2, 2)
    y += x.mean(0)
    y.mul_(x[:, :1]).clamp_(-1, 1)
    z = y.reshape(2, 6).transpose(0, 1)[::2]
    (z.exp() * z).sum().backward()
    with t.no_grad():
        x -= 0.1 * x.grad
        x[0].zero_()
    return [y, z, x.grad, x]


def ties_and_zeros(t: Any, data: Any) -> Any:
    """Return gradients where several elements are the answer, and where a slope has no limit."""
    x = t.tensor([1.0, 2, 2, 3, 3]).double()
    functions = [
        *(t.median, t.nanmedian, t.max, t.min, t.amax, t.std, t.prod, lambda z: z.norm()),
        *(lambda z: t.atan2(z - 2, z - 2), lambda z: t.hypot(z - 2, z - 2), lambda z: z * 0 @ z),
        *(lambda z: t.maximum(z, z.flip(0)), lambda z: (z - 2).abs(), lambda z: (z - 2).relu()),
        *(lambda z: z.clamp(2, 3), lambda z: (z * 0).norm(), lambda z: (z * 0).prod()),
    ]
    leaves = [x.clone().requires_grad_() for _ in functions]
    for function, leaf in zip(functions, leaves, strict=True):
        function(leaf).sum().backward()
    return [leaf.grad for leaf in leaves]


def broadcasting(t: Any, data: Any) -> Any:
    x, row, column = numbers(t, 2, 3, 4), numbers(t, 4), numbers(t, 3, 1)
    a, b, c = (each.requires_grad_() for each in (x, row, column))
    y = a * b + c - t.tensor(2.0) * (a[:1] > 0) / b.expand(3, 4)[None]
    y = t.where(y > 0, y, c).sum((0, 2), keepdim=True) + t.zeros(0, 1, 1).sum()
    y.sum().backward()
    return [
        y,
        a.grad,
        b.grad,
        c.grad,
        t.broadcast_shapes((3, 1), (1, 4)),
        (a + 1)[..., None, :].shape,
    ]


def errors(t: Any, data: Any) -> Any:
    x = t.ones(2, 3)
    leaf = t.ones(2, requires_grad=True)
    calls: list[Callable[[], Any]] = [
        *(lambda: x + t.ones(2), lambda: x @ x, lambda: x[2], lambda: x.sum(5), lambda: x.view(4)),
        *(lambda: leaf.add_(1), lambda: t.cat([x, t.ones(3)]), lambda: x.item(), lambda: bool(x)),
        *(lambda: t.ones(-1), lambda: x.backward(), lambda: leaf.numpy(), lambda: t.stack([])),
        *(lambda: t.tensor([[1], [1, 2]]), lambda: x.reshape(-1, 4), lambda: x.expand(3, 3)),
        *(lambda: x.permute(0, 0), lambda: x.gather(0, x), lambda: t.eye(2)[t.tensor([2])]),
        *(lambda: x.split(0), lambda: x.topk(4), lambda: x.to("nowhere"), lambda: int(x)),
        *(
            lambda: t.nn.Linear(3, 2)(t.ones(2, 4)),
            lambda: t.nn.Conv2d(3, 2, 3)(t.ones(1, 3, 2, 2)),
        ),
        *(lambda: t.nn.functional.cross_entropy(x, t.tensor([0, 3])), lambda: t.arange(0, 1, 0)),
        *(lambda: t.nn.functional.max_pool2d(x[None], 0), lambda: t.linspace(0, 1, -1)),
    ]
    return [_refused(each) for each in calls]


def _refused(call: Callable[[], Any]) -> bool:
    try:
        call()
    except (RuntimeError, ValueError, TypeError, IndexError):
        return True
    return False
