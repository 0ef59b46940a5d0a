# SPDX-License-Identifier: Apache-2.0
"""Throws random arguments at every public function and constructor of a namespace.

``python -m tests.fuzz_public NAMESPACE EXAMPLES`` prints what broke the contract of errors: a call
may give a result or raise one of the documented exceptions, nothing else. It does not change its
arguments, and some functions give no NaN for finite numbers. A crash or a hang ends the process,
so it runs as a child of the test. Arguments come from `tests.fuzz_arguments`; each ``FUZZ_SEED``
of the environment gives others.
"""

from __future__ import annotations

import contextlib
import faulthandler
import inspect
import io
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable
from random import Random
from typing import Any

from docs import namespaces
from hypothesis import HealthCheck, Phase, given, settings, strategies

import gradsmith as gs
from tests.fuzz_arguments import DTYPES, FLOATING, Call, Scene, call_of, tensor

DOCUMENTED = (
    *(IndexError, MemoryError, RuntimeError, TypeError, ValueError, OSError, ImportError),
    BufferError,  # what the DLPack protocol asks for
)
HANG_SECONDS = 60

# Left out, as name or namespace: the reason.
LEFT_OUT = {
    "gradsmith.show_config": "prints",
    "gradsmith.autograd.record": "for the rules of ops, which are trusted",
    "gradsmith.autograd.record_many": "as record",
    "gradsmith.cudasim": "its errors end a launch, tests/test_cudasim.py has them",
    "gradsmith.data.datasets": "opens connections; tests/test_data_sets.py has bad arguments",
    "gradsmith.data.download": "opens connections",
    "gradsmith.models": "builds networks of any size; tests/test_models.py has bad arguments",
    "gradsmith.viz.playground": "serves until Ctrl-C",
}
# Functions that change tensors they are given, and those that never give NaN for finite numbers
# below TAME.
CHANGING = re.compile(
    r".*_|batch_norm.*|instance_norm|vector_to_parameters|apply|update_bn|embedding.*"
)
TOTAL = re.compile(
    "abs|exp2?|expm1|sin|cos|tanh|sinh|cosh|atan|asinh|sigmoid|erfc?|relu6?|gelu|silu|mish|c?elu"
    "|selu|softsign|softplus|logsigmoid|tanhshrink|hard.*|(log_)?softmax|softmin|logsumexp|glu"
    "|(layer|group|rms)_norm|normalize|cosine_similarity|linear|conv.*|max_pool.d"
    "|matmul|bmm|mm|mv|cdist|hypot|logaddexp2?|smooth_l1_loss|huber_loss|clamp|sinc|i0e?|i1e?|sort"
    "|cumsum|logcumsumexp|cross|softshrink|square|sign|floor|ceil|round|trunc|frac|maximum|minimum"
)
TAME = 1e3
SEED = os.environ.get("FUZZ_SEED", "")
METHODS = "gradsmith.Tensor"
SPACES = [*(each for each in namespaces.NAMESPACES if each not in LEFT_OUT), METHODS]


def members(namespace: str) -> dict[str, Callable[..., Any]]:
    """Return the public functions and classes of a namespace, or the methods of Tensor."""
    if namespace == METHODS:
        found = {
            name: value
            for name, value in inspect.getmembers(gs.Tensor, inspect.isfunction)
            if not name.startswith("_")
        }
    else:
        found = namespaces.members(namespace)
    return {
        name: value
        for name, value in found.items()
        if f"{namespace}.{name}" not in LEFT_OUT
        and not (inspect.isclass(value) and issubclass(value, BaseException))
    }


def _use(rng: Random, function: Callable[..., Any], call: Call) -> None:
    """Call a function, look at what comes out, differentiate it, and use what it made."""
    given = _tensors([*call.args, *call.kwargs.values()])
    before = [each.detach().numpy().tobytes() for each in given]
    result = function(*call.args, **call.kwargs)
    after = [each.detach().numpy().tobytes() for each in given]
    name = getattr(function, "__name__", "")
    assert after == before or CHANGING.fullmatch(name), "it changed an argument"
    results = _tensors(_used(rng, result, call.scene))
    for each in results:
        assert each.dtype in DTYPES, f"the result is {each.dtype}"
        assert not each.requires_grad or each.dtype in FLOATING, f"{each.dtype} with a gradient"
        if each.requires_grad and 0 < each.numel() < 1000:
            each.backward(gs.ones_like(each), retain_graph=True)
    if TOTAL.fullmatch(name) and not call.kwargs and all(map(_is_tame, call.args)):
        assert not any(map(_is_nan, results)), "NaN out of finite numbers"


def _is_nan(result: gs.Tensor) -> bool:
    return result.dtype in FLOATING and bool(result.isnan().any())


def _is_tame(value: Any) -> bool:
    if isinstance(value, gs.Tensor):
        return value.numel() > 0 and bool((value.detach().double().abs() < TAME).all())
    return isinstance(value, (bool, int, str, tuple)) or value is None


def _used(rng: Random, made: Any, scene: Scene) -> Any:
    """Call a module or transform, step an optimiser or schedule, update a metric."""
    scene = scene._replace(dtype=gs.float32)
    if isinstance(made, gs.nn.Module):
        call = call_of(rng, made.forward, scene=scene)
        return made(*call.args, **call.kwargs)
    if isinstance(made, gs.data.transforms.Transform):
        return made(tensor(rng, scene))
    if isinstance(made, gs.optim.Optimizer):
        _take_steps(made)
    elif isinstance(made, gs.optim.lr_scheduler.LRScheduler):
        for _ in range(3):
            made.step()
        made.load_state_dict(made.state_dict())
    elif isinstance(made, gs.metrics.Metric):
        call = call_of(rng, made.update, scene=scene)
        made.update(*call.args, **call.kwargs)
        return made.result()
    return made


def _tensors(value: Any) -> list[gs.Tensor]:
    if isinstance(value, (list, tuple)):
        return [tensor for each in value for tensor in _tensors(each)]
    return [value] if isinstance(value, gs.Tensor) else []


def _loss_of(optimizer: gs.optim.Optimizer) -> gs.Tensor:
    """Return the loss of a step, with gradients: the sum of squares of all parameters."""
    optimizer.zero_grad()
    squares = [(p * p).sum() for group in optimizer.param_groups for p in group["params"]]
    loss = gs.stack(squares).sum()
    loss.backward()
    return loss


def _take_steps(optimizer: gs.optim.Optimizer) -> None:
    """Take two steps, and carry the state over between them."""
    for _ in range(2):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = gs.ones_like(parameter)
        optimizer.step(lambda: _loss_of(optimizer))
        optimizer.load_state_dict(optimizer.state_dict())


def complaint(label: str, function: Callable[..., Any], examples: int, method: bool) -> str | None:
    """Call a function with so many random argument lists; return what broke, or None."""
    last = [Call([], {}, Scene((), True, gs.float32))]

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategies.randoms(use_true_random=True))
    def check(rng: Random) -> None:
        # By name: the scenes of all functions would be the same ones.
        rng = Random(f"{label} {SEED} {rng.random()}")
        call = last[0] = call_of(rng, function, method)
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        with contextlib.suppress(*DOCUMENTED), contextlib.redirect_stdout(io.StringIO()):
            _use(rng, function, call)

    try:
        check()
    except Exception as error:
        return f"{label}{_brief(last[0])} raised {type(error).__name__}: {error}"
    finally:
        faulthandler.cancel_dump_traceback_later()
    return None


def _brief(call: Call) -> str:
    def one(value: Any) -> str:
        if isinstance(value, gs.Tensor):
            return f"{value.dtype}{list(value.shape)}"
        return repr(value)[:40]

    args, kwargs = call.args, call.kwargs
    texts = [*(one(each) for each in args), *(f"{key}={one(each)}" for key, each in kwargs.items())]
    return f"({', '.join(texts)})"


def main(namespace: str, examples: int) -> int:
    """Check a namespace; print complaints, return how many."""
    faulthandler.enable()
    found = 0
    for name, function in members(namespace).items():
        text = complaint(f"{namespace}.{name}", function, examples, namespace == METHODS)
        if text is not None:
            found += 1
            print(text[:400], flush=True)
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:  # some functions write where they are told to
        os.chdir(folder)
        sys.exit(1 if main(sys.argv[1], int(sys.argv[2])) else 0)
