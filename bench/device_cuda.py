# SPDX-License-Identifier: Apache-2.0
"""Benchmarks on a GPU: rows of work, their check against PyTorch in float64, and their timing.

A row may have several sets of inputs, so that repeated runs do not find their data in the L2 cache.
Runs are timed by CUDA events around many of them; how long the host needs to launch one is shown
beside it, since the GPU waits for a host that needs longer than the kernels do.
"""

from __future__ import annotations

import importlib
import importlib.util
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes

import gradsmith as gs

FAMILIES = sorted(p.stem for p in Path(__file__).with_name("cuda_families").glob("[a-z]*.py"))
SAMPLE_SECONDS = 0.003
MOST_SETS = 16

Runner = Callable[[int], Any]  # takes the number of the set of inputs


@dataclass
class Row:
    """One timed row.

    Attributes:
        family: op family, with the prefix ``cuda_``.
        name: layer or size, as in the problem list.
        ours: runs gradsmith once on a set of inputs.
        peers: PyTorch's settings; the fastest counts.
        check: raises AssertionError if ours is wrong.
        flops: floating-point operations of one run, or 0.
        bytes: bytes that have to be read and written, or 0.
        limit: the measured limit that it is compared with: a key of `limits`.
        sets: how many sets of inputs there are.
    """

    family: str
    name: str
    ours: Runner
    peers: dict[str, Runner]
    check: Callable[[], None]
    flops: float = 0.0
    bytes: float = 0.0
    limit: str = "copy_gbs"
    sets: int = 1


@dataclass
class Case:
    """What makes two rows of a family, forward and forward with backward.

    Attributes:
        run: takes the library, gradsmith or PyTorch, and the inputs.
        make: returns fresh inputs as PyTorch's tensors on the GPU.
        leaves: the inputs that get gradients; none for a row without a backward pass.
        flops: of the forward pass; the step has `step_factor` times as many.
        bytes: of the forward pass.
        step_bytes: of the step.
        settings: what PyTorch may do to its inputs before, by name.
        sample: the part of inputs and results that the definition is computed for.
        tolerance: of the forward pass, instead of its dtype's.
    """

    family: str
    name: str
    run: Callable[..., Any]
    make: Callable[[], list[Any]]
    leaves: tuple[int, ...] = ()
    flops: float = 0.0
    step_factor: float = 3.0
    bytes: float = 0.0
    step_bytes: float = 0.0
    settings: dict[str, Callable[[Any], Any]] = field(default_factory=lambda: {"default": _itself})
    sample: Callable[[Any], Any] = lambda x: x
    has_forward: bool = True
    tolerance: float | None = None


def _itself(x: Any) -> Any:
    return x


def missing() -> str | None:
    """Say what a run needs and does not find, or None."""
    for name in ("cupy", "torch"):
        if importlib.util.find_spec(name) is None:
            return f"--device cuda needs the package {name}, which is not installed"
    try:
        gs.zeros(1, device="cuda")
    except RuntimeError as error:
        return str(error)
    if not importlib.import_module("torch").cuda.is_available():
        return "--device cuda needs a PyTorch that finds the GPU"
    return None


# ---- arrays of both libraries --------------------------------------------------------------------


def to_gradsmith(tensor: Any) -> Any:
    """Return PyTorch's tensor as ours, in the same memory; bfloat16 crosses as int16."""
    import cupy
    import torch

    if not isinstance(tensor, torch.Tensor):
        return tensor
    if tensor.dtype == torch.bfloat16:
        bits = cupy.from_dlpack(tensor.detach().view(torch.int16))
        return gs.Tensor(bits.view(ml_dtypes.bfloat16))
    return gs.from_dlpack(tensor.detach())


def to_torch(tensor: Any) -> Any:
    """Return our tensor as PyTorch's, in the same memory."""
    import torch

    array = tensor.detach()._array
    if tensor.dtype == gs.bfloat16:
        return torch.from_dlpack(array.view("int16")).view(torch.bfloat16)
    return torch.from_dlpack(array)


def relative_error(got: Any, expected: Any) -> float:
    """Return ||got - expected|| / ||expected|| in float64; NaN is an infinite error."""
    difference = (got.double() - expected.double()).norm()
    error = float(difference / expected.double().norm().clamp_min(1e-30))
    return error if error == error else float("inf")


TOLERANCES = {"float32": 2e-5, "bfloat16": 1.2e-2, "float16": 1.5e-3, "float64": 1e-12}


def check_close(ours: Any, expected: Any, tolerance: float) -> None:
    """Compare our tensors with PyTorch's of float64."""
    for number, (got, want) in enumerate(zip(ours, expected, strict=True)):
        got = to_torch(got)
        assert got.shape == want.shape, f"result {number}: shape {got.shape}, expected {want.shape}"
        error = relative_error(got, want)
        assert error <= tolerance, f"result {number}: error {error:.2e}, allowed {tolerance:.2e}"


# ---- rows of a case ------------------------------------------------------------------------------


def _step(run: Callable[..., Any], library: Any, inputs: list[Any], leaves: Any, dy: Any) -> Any:
    for i in leaves:
        inputs[i].grad = None
    run(library, *inputs).backward(dy)
    return [inputs[i].grad for i in leaves]


def _with_leaves(inputs: list[Any], leaves: tuple[int, ...]) -> list[Any]:
    result = [x.detach() if hasattr(x, "detach") else x for x in inputs]
    for i in leaves:
        result[i].requires_grad_()
    return result


def _widened(x: Any) -> Any:
    return x.double() if hasattr(x, "is_floating_point") and x.is_floating_point() else x


def sets_for(bytes_each: float) -> int:
    """Return how many sets of inputs keep a run from finding its data in the cache."""
    l2_bytes = gs.backend.extension_of("cuda").device_facts()["l2_bytes"]
    return max(1, min(MOST_SETS, round(2 * l2_bytes / max(bytes_each, 1.0))))


def rows_of(case: Case, against: list[str]) -> Iterator[Row]:
    """Yield the forward row, where the case has one, and the row with the backward pass."""
    import torch

    torch.manual_seed(0)
    sets = sets_for(case.bytes) if case.bytes else 1
    theirs = [case.make() for _ in range(sets)]
    floating = [x for x in theirs[0] if hasattr(x, "is_floating_point") and x.is_floating_point()]
    dtype = str(floating[0].dtype).removeprefix("torch.")
    ours = [[to_gradsmith(x) for x in inputs] for inputs in theirs]
    sampled = [case.sample(_widened(x)) if hasattr(x, "dim") else x for x in theirs[0]]
    limit = f"{dtype}_tflops" if case.flops else "copy_gbs"

    def check() -> None:
        got = to_torch(case.run(gs, *ours[0]))
        expected = case.run(torch, *sampled)
        error = relative_error(case.sample(got), expected)
        allowed = case.tolerance or TOLERANCES[dtype]
        assert error <= allowed, f"error {error:.2e}, allowed {allowed:.2e}"

    def peers_of(runner: Callable[..., Any]) -> dict[str, Runner]:
        if "torch" not in against:
            return {}
        result = {}
        for name, prepare in case.settings.items():
            prepared = [[prepare(x) for x in inputs] for inputs in theirs]
            result[name] = runner(torch, prepared, prepare)
        return result

    def forward(library: Any, inputs: list[Any], _: Any = None) -> Runner:
        return lambda i: case.run(library, *inputs[i])

    if case.has_forward:
        yield Row(
            f"cuda_{case.family}",
            f"{case.name} forward" if case.leaves else case.name,
            forward(gs, ours),
            peers_of(forward),
            check,
            case.flops,
            case.bytes,
            limit,
            sets,
        )
    if not case.leaves:
        return
    with torch.no_grad():
        dy = torch.randn_like(case.run(torch, *theirs[0]))

    def step(library: Any, inputs: list[Any], prepare: Callable[[Any], Any] = _itself) -> Runner:
        given = [_with_leaves(each, case.leaves) for each in inputs]
        slope = prepare(dy) if library is torch else to_gradsmith(dy)
        return lambda i: _step(case.run, library, given[i], case.leaves, slope)

    our_step = step(gs, ours)

    def check_step() -> None:
        wide = _with_leaves(sampled, case.leaves)
        expected = _step(case.run, torch, wide, case.leaves, case.sample(dy.double()))
        for got, want in zip(our_step(0), expected, strict=True):
            error = relative_error(case.sample(to_torch(got)), want)
            assert error <= 3 * TOLERANCES[dtype], f"gradient: error {error:.2e}"

    yield Row(
        f"cuda_{case.family}",
        f"{case.name} forward+backward",
        our_step,
        peers_of(step),
        check_step,
        case.flops * case.step_factor,
        case.step_bytes or 3 * case.bytes,
        limit,
        sets,
    )


# ---- timing --------------------------------------------------------------------------------------


def _sample(run: Runner, count: int, sets: int) -> tuple[float, float]:
    """Return the GPU's and the host's seconds per run."""
    import cupy

    start, end = cupy.cuda.Event(), cupy.cuda.Event()
    for i in range(2):
        run(i % sets)
    cupy.cuda.get_current_stream().synchronize()
    start.record()
    before = time.perf_counter()
    for i in range(count):
        run(i % sets)
    host = time.perf_counter() - before
    end.record()
    end.synchronize()
    return cupy.cuda.get_elapsed_time(start, end) / 1e3 / count, host / count


def _count_for(run: Runner, sets: int) -> int:
    once = _sample(run, 3, sets)[0]
    return max(3, min(500, round(SAMPLE_SECONDS / max(once, 1e-7))))


def measure(row: Row, limit: dict[str, float], rounds: int) -> dict[str, Any]:
    """Check and time one row; return it as `run.show` prints it."""
    row.check()
    runners = {"gradsmith": row.ours, **{f"torch:{name}": run for name, run in row.peers.items()}}
    counts = {name: _count_for(run, row.sets) for name, run in runners.items()}
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in runners}
    for number in range(rounds):
        order = list(runners) if number % 2 == 0 else list(reversed(runners))
        for name in order:
            samples[name].append(_sample(runners[name], counts[name], row.sets))
    seconds = {name: statistics.median(gpu for gpu, _ in each) for name, each in samples.items()}
    ours = seconds.pop("gradsmith")
    result: dict[str, Any] = {
        "family": row.family,
        "problem": row.name,
        "microseconds": ours * 1e6,
        "host_microseconds": statistics.median(host for _, host in samples["gradsmith"]) * 1e6,
        "input_sets": row.sets,
        "ratio": {},
        "peer_microseconds": {},
    }
    if row.flops:
        result["gflops"] = row.flops / ours / 1e9
        result["share_of_fma_peak"] = result["gflops"] / 1e3 / limit[row.limit]
    elif row.bytes:
        result["gbs"] = row.bytes / ours / 1e9
        result["share_of_copy"] = result["gbs"] / limit["copy_gbs"]
    if seconds:
        best = min(seconds, key=lambda name: seconds[name])
        result["peer_microseconds"][best] = seconds[best] * 1e6
        result["ratio"]["torch"] = seconds[best] / ours
    return result


def _fastest(run: Callable[[], Any], runs: int = 8) -> float:
    import torch

    best = float("inf")
    for _ in range(runs):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        end.synchronize()
        best = min(best, start.elapsed_time(end) / 1e3)
    return best


def limits() -> dict[str, float]:
    """Measure the GPU: a large copy (GB/s read and written), matrix products in TFLOP/s."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    source = torch.randn(1 << 28, device="cuda")
    target = torch.empty_like(source)
    seconds = _fastest(lambda: target.copy_(source))
    result = {"copy_gbs": 2 * source.nbytes / seconds / 1e9}
    for dtype, size in (
        ("bfloat16", 8192),
        ("float16", 8192),
        ("float32", 4096),
        ("float64", 4096),
    ):
        a, b = (torch.randn(size, size, device="cuda").to(getattr(torch, dtype)) for _ in range(2))
        seconds = _fastest(lambda a=a, b=b: torch.matmul(a, b))
        result[f"{dtype}_tflops"] = 2 * size**3 / seconds / 1e12
    torch.cuda.empty_cache()
    return result


def limits_text(limit: dict[str, float]) -> str:
    """Return what `limits` found as one line."""
    rates = ", ".join(
        f"{rate:.0f} TFLOP/s {name.removesuffix('_tflops')}"
        for name, rate in limit.items()
        if name.endswith("_tflops")
    )
    return f"{limit['copy_gbs']:.0f} GB/s copy; products by PyTorch: {rates}"


def _failed(family: str, name: str, error: Exception) -> Row:
    """Return a row whose check raises what making the row has raised."""

    def check() -> None:
        raise error

    return Row(f"cuda_{family}", name, lambda _: None, {}, check)


def rows(family: str, against: list[str]) -> Iterator[Row]:
    """Yield the rows of a family."""
    import torch

    module = importlib.import_module(f"bench.cuda_families.{family}")
    for entry in module.cases():
        try:
            yield from rows_of(entry, against) if isinstance(entry, Case) else entry(against)
        except Exception as error:
            name = entry.name if isinstance(entry, Case) else "a row"
            yield _failed(family, name, error)
        torch.cuda.empty_cache()
        gs.cuda.empty_cache()
