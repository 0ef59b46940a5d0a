# SPDX-License-Identifier: Apache-2.0
"""What surrounds the kernels: ISA cap, forced kernels, trace, threads, fork, memory, import."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import _cpu
from tests.cases import ISAS, isa_cap, threads

MATMUL = "import gradsmith as gs; gs.matmul(gs.ones(64, 64), gs.ones(64, 64))"


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter with extra environment variables."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
        timeout=60,
    )


# ---- choice of implementation --------------------------------------------------------------------


def test_verbose_prints_op_implementation_problem_and_time() -> None:
    result = run_python(MATMUL, GRADSMITH_VERBOSE="1", GRADSMITH_ISA="reference")
    assert result.returncode == 0, result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("gradsmith,gemm,")]
    assert len(lines) == 1
    name, op, implementation, problem, microseconds = lines[0].split(",")
    assert (name, op, implementation) == ("gradsmith", "gemm", "reference")
    assert "m64n64k64" in problem
    assert float(microseconds) > 0


def test_verbose_two_says_why_an_implementation_declined() -> None:
    if len(ISAS) < 2:
        pytest.skip("this machine has the reference only, which declines nothing")
    code = (
        "import gradsmith as gs; gs.nn.functional.conv2d(gs.ones(1, 1, 4, 4), gs.ones(1, 1, 3, 3))"
    )
    result = run_python(code, GRADSMITH_VERBOSE="2", GRADSMITH_WINOGRAD="off")
    assert ":winograd_4x4 declined: needs p.winograd == kTile" in result.stderr


@pytest.mark.parametrize("isa", ISAS)
def test_isa_cap_is_kept(isa: str) -> None:
    # Of bfloat16, in which every ISA has a product of its own.
    product = "import gradsmith as gs; x = gs.ones(2, 2).to(gs.bfloat16); x @ x"
    result = run_python(product, GRADSMITH_VERBOSE="1", GRADSMITH_ISA=isa)
    line = next(x for x in result.stderr.splitlines() if x.startswith("gradsmith,gemm,"))
    assert line.split(",")[2].split(":")[0] == isa


def test_forced_implementation() -> None:
    result = run_python(MATMUL, GRADSMITH_VERBOSE="1", GRADSMITH_IMPL="gemm:reference")
    assert "gradsmith,gemm,reference" in result.stderr


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("GRADSMITH_ISA", "sse9", "unknown ISA 'sse9'"),
        ("GRADSMITH_IMPL", "gemm:warp_speed", "no implementation gemm:warp_speed"),
        ("GRADSMITH_NUM_THREADS", "many", "GRADSMITH_NUM_THREADS"),
    ],
)
def test_wrong_switch_is_reported(variable: str, value: str, message: str) -> None:
    result = run_python(f"{MATMUL}; gs.get_num_threads()", **{variable: value})
    assert result.returncode == 1
    assert message in result.stderr
    assert "Error" in result.stderr


def test_set_isa_refuses_what_is_unknown() -> None:
    with pytest.raises(ValueError, match="unknown ISA"):
        _cpu.set_isa("mmx")


def test_show_config(capsys: pytest.CaptureFixture[str]) -> None:
    gs.show_config()
    shown = capsys.readouterr().out
    for word in ("gradsmith", "compiler", "isa", "threads", "cuda"):
        assert word in shown
    assert gs.config.config()["cuda"].startswith(("yes", "no: "))


# ---- threads -------------------------------------------------------------------------------------


@pytest.mark.parametrize("isa", ISAS)
def test_large_problems_give_the_same_bits_for_any_thread_count(isa: str) -> None:
    rng = np.random.default_rng(0)
    a = gs.from_numpy(rng.standard_normal((301, 257)).astype(np.float32))
    b = gs.from_numpy(rng.standard_normal((257, 413)).astype(np.float32))
    wide = gs.from_numpy(rng.standard_normal(200_003).astype(np.float32))
    results = []
    for count in (1, 2, 7):
        with threads(count), isa_cap(isa):
            outputs = (gs.matmul(a, b), gs.exp(wide), wide.sum(), (a @ b).sum(0), wide * wide)
            results.append([out.numpy().tobytes() for out in outputs])
    assert results[0] == results[1] == results[2]


def test_thread_count_is_checked() -> None:
    for count in (0, -1, 10**6):
        with pytest.raises(ValueError, match="thread"):
            gs.set_num_threads(count)


def test_thread_count_from_the_environment() -> None:
    code = "import gradsmith as gs; print(gs.get_num_threads())"
    assert run_python(code, GRADSMITH_NUM_THREADS="1").stdout.strip() == "1"
    assert run_python(code, GRADSMITH_NUM_THREADS="", OMP_NUM_THREADS="1").stdout.strip() == "1"


def test_kernels_run_from_several_python_threads() -> None:
    x = gs.from_numpy(np.ones(300_000, np.float32))
    sums: list[float] = []

    def work() -> None:
        for _ in range(20):
            sums.append((x + x).sum().item())

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert sums == [600_000.0] * 80


def _sum_in_child(queue) -> None:
    queue.put(gs.from_numpy(np.ones(500_000, np.float32)).sum().item())


def test_kernels_run_after_fork() -> None:
    gs.from_numpy(np.ones(500_000, np.float32)).sum()  # the pool is running before the fork
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=_sum_in_child, args=(queue,))
    child.start()
    child.join(timeout=60)
    assert child.exitcode == 0
    assert queue.get() == 500_000.0


# ---- memory --------------------------------------------------------------------------------------


def test_freed_outputs_are_reused() -> None:
    x = gs.from_numpy(np.ones(1_000_000, np.float32))
    y = x + 1
    del y
    before = gs.memory.stats()
    y = x + 1
    after = gs.memory.stats()
    if after["cache_limit"]:
        assert after["cache_hits"] > before["cache_hits"]
    assert after["in_use"] >= before["in_use"] + 4_000_000
    del y
    assert gs.memory.stats()["in_use"] < after["in_use"]
    gs.memory.empty_cache()
    assert gs.memory.stats()["cached"] == 0


def test_workspaces_kept_by_threads_are_given_back() -> None:
    x = gs.from_numpy(np.ones((300, 300), np.float32))
    limit = gs.memory.stats()["cache_limit"]
    gs.memory.empty_cache()
    before = gs.memory.stats()
    y = x @ x
    del y
    assert gs.memory.stats()["in_use"] == before["in_use"]
    gs.memory.empty_cache()
    assert gs.memory.stats()["cached"] == 0
    try:
        gs.memory.set_limit(0)
        y = x @ x
        del y
        after = gs.memory.stats()
        assert (after["cached"], after["in_use"]) == (0, before["in_use"])
    finally:
        gs.memory.set_limit(limit)


def test_workspaces_of_a_thread_outlive_it() -> None:
    x = gs.from_numpy(np.ones((300, 300), np.float32))
    before = gs.memory.stats()["in_use"]
    for _ in range(3):
        thread = threading.Thread(target=lambda: x @ x)
        thread.start()
        thread.join()
    assert gs.memory.stats()["in_use"] == before


def test_large_outputs_are_aligned() -> None:
    y = gs.from_numpy(np.ones(100_000, np.float32)) + 1
    assert y.data_ptr() % 64 == 0


def test_impossible_sizes_raise() -> None:
    with pytest.raises(MemoryError):
        gs.zeros(2**40, 2**40)
    with pytest.raises(MemoryError):
        gs.zeros(2**55)
    with pytest.raises(ValueError, match=">= 0"):
        gs.zeros(-1)


# ---- import --------------------------------------------------------------------------------------


def test_import_is_light(tmp_path: Path) -> None:
    """Under 0.25 s of the processor beyond NumPy's own import, once the bytecode is written."""
    code = (
        "import time, numpy; t = time.process_time(); import gradsmith, sys; "
        "print(time.process_time() - t); assert 'gradsmith.viz' not in sys.modules"
    )
    bytecode = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    assert min(float(run_python(code, **bytecode).stdout) for _ in range(5)) < 0.25


def test_import_pulls_in_no_optional_package() -> None:
    code = (
        "import sys, gradsmith; "
        "print([m for m in ('torch', 'cupy', 'matplotlib', 'sklearn', 'PIL') if m in sys.modules])"
    )
    assert run_python(code).stdout.strip() == "[]"


def test_cuda_says_what_is_missing() -> None:
    with pytest.raises(RuntimeError, match="cupy-cuda13x"):
        gs.ones(1, device="cuda")
    with pytest.raises(ValueError, match="unknown"):
        gs.ones(1, device="tpu")


@pytest.mark.parametrize("threads", [1, 2])
def test_denormals_are_zero_inside_kernels_only(threads: int) -> None:
    tiny = np.full((512, 512), 1e-40, dtype=np.float32)
    before = gs.get_num_threads()
    gs.set_num_threads(threads)
    try:
        product = gs.from_numpy(tiny) @ gs.ones(512, 512)
    finally:
        gs.set_num_threads(before)
    assert not product.numpy().any()
    assert float((tiny + tiny)[0, 0]) > 0  # the caller's own arithmetic is as it was
    assert float((gs.from_numpy(tiny) + 0)[0, 0].item()) > 0  # and so are elementwise functions
