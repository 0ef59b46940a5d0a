# SPDX-License-Identifier: Apache-2.0
"""What ptxas says of each CUDA kernel: none spills registers, keeps arrays in local memory or waits
for each product of a warpgroup.

The report of the build is read where it is newer than the sources; else the file is compiled.
"""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "csrc"
KERNEL_FILES = sorted((SOURCES / "cuda").glob("*.cu"))
FLAGS = ["-std=c++17", "-O3", "--expt-relaxed-constexpr", "-diag-suppress=186", "-Xptxas=-v"]
TARGETS = ["-gencode=arch=compute_80,code=sm_80", "-gencode=arch=compute_90a,code=sm_90a"]
COMMON_TARGETS = ["-gencode=arch=compute_80,code=[sm_80,sm_90]"]
# What makes the code of a kernel depend on the architecture.
ASKS_FOR_ARCHITECTURE = r"__CUDA_ARCH__ [<>]|\bkHasHopper\b|\bmma_m16n8k8\("

# Kernels that may have a stack frame, by name, with the reason.
STACK_FRAMES: dict[str, str] = {
    "*sin_of*": "the reduction of large angles keeps the digits of 2 / pi in local memory",
    "*cos_of*": "the reduction of large angles keeps the digits of 2 / pi in local memory",
    "*tan_of*": "the reduction of large angles keeps the digits of 2 / pi in local memory",
    "*digamma_of*": "its reflection takes a tangent, as tan_of",
    "*bessel_j_of*": "it takes a sine and a cosine far out, as sin_of",
    "*bessel_y_of*": "it takes a sine and a cosine far out, as sin_of",
}


@dataclass
class Usage:
    """What one kernel takes on one target."""

    kernel: str
    target: str
    registers: int
    spilled_bytes: int
    stack_bytes: int
    shared_bytes: int  # static; all our shared memory is dynamic


@cache
def direct_includes(path: Path) -> tuple[Path, ...]:
    """Return the files of ours that a file names."""
    names = re.findall(r'^#include "(.+)"', path.read_text(), re.MULTILINE)
    return tuple(SOURCES / name for name in names if (SOURCES / name).is_file())


def included_by(path: Path) -> set[Path]:
    """Return the files of ours that a file includes, and those they include."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        new = set(direct_includes(waiting.pop())) - found
        found |= new
        waiting += new
    return found


@cache
def compiled_by_architecture() -> set[str]:
    """Return the kernel files that the build compiles to PTX for each architecture."""
    text = (ROOT / "cmake" / "cuda.cmake").read_text()
    found = re.search(r"set\(kernels_by_architecture ([^)]+)\)", text)
    assert found is not None
    return set(found[1].split())


def report_of_build(path: Path) -> str | None:
    """Return what ptxas wrote when the extension was built, unless the sources changed since."""
    pattern = f"**/gradsmith_cuda_kernels.dir/csrc/cuda/{path.name}.o.ptxas"
    reports = sorted((ROOT / "build").glob(pattern), key=lambda each: each.stat().st_mtime)
    newest_source = max(each.stat().st_mtime for each in [path, *included_by(path)])
    if not reports or reports[-1].stat().st_mtime < newest_source:
        return None
    return reports[-1].read_text()


def report_of_compiler(path: Path, folder: Path) -> str:
    """Compile a file and return what ptxas wrote."""
    targets = TARGETS if path.stem in compiled_by_architecture() else COMMON_TARGETS
    command = ["nvcc", *FLAGS, *targets, f"-I{SOURCES}", "-c", str(path), "-o", str(folder / "x.o")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stderr


def short_names(symbols: list[str]) -> list[str]:
    """Return ``rows<float>`` for each mangled name, or the name itself without c++filt."""
    if shutil.which("c++filt") is None:
        return symbols
    text = subprocess.run(
        ["c++filt"], input="\n".join(symbols), capture_output=True, text=True, check=True
    ).stdout
    noise = r"gradsmith::|cuda::|functors::|\(anonymous namespace\)::|_GLOBAL__N_\w+::|^void "
    return [re.sub(noise, "", line) for line in text.splitlines()]


def usages(report: str) -> list[Usage]:
    """Read ptxas's report."""
    number = r"(\d+) bytes "
    pattern = re.compile(
        r"Compiling entry function '(?P<symbol>\w+)' for '(?P<target>\w+)'\n.*\n"
        rf" *{number}stack frame, {number}spill stores, {number}spill loads\n"
        r".*Used (\d+) registers(?:.* (\d+) bytes smem)?"
    )
    found = list(pattern.finditer(report))
    names = short_names([match["symbol"] for match in found])
    result = []
    for match, name in zip(found, names, strict=True):
        stack, stores, loads, registers, shared = (int(each or 0) for each in match.groups()[2:])
        result.append(Usage(name, match["target"], registers, stores + loads, stack, shared))
    return result


def complaint(usage: Usage) -> str | None:
    """Say what is wrong with a kernel, if anything is."""
    where = f"{usage.kernel} on {usage.target}"
    if usage.spilled_bytes:
        return f"{where} spills {usage.spilled_bytes} bytes of its {usage.registers} registers"
    if usage.shared_bytes:
        return f"{where} has {usage.shared_bytes} bytes of static shared memory, expected none"
    is_known = any(fnmatch.fnmatch(usage.kernel, pattern) for pattern in STACK_FRAMES)
    if usage.stack_bytes and not is_known:
        return f"{where} keeps {usage.stack_bytes} bytes on the stack, in local memory"
    return None


def test_kernels_that_ask_for_the_architecture_are_compiled_for_each() -> None:
    asking = set()
    for path in KERNEL_FILES:
        files = [each for each in [path, *included_by(path)] if each.parent == SOURCES / "cuda"]
        if any(re.search(ASKS_FOR_ARCHITECTURE, each.read_text()) for each in files):
            asking.add(path.stem)
    assert asking == compiled_by_architecture()


@pytest.mark.parametrize("path", KERNEL_FILES, ids=lambda path: path.stem)
def test_kernels_stay_in_registers(path: Path, tmp_path: Path) -> None:
    if shutil.which("nvcc") is None:
        pytest.skip("nvcc is not installed")
    report = report_of_build(path) or report_of_compiler(path, tmp_path)
    kernels = usages(report)
    assert len(kernels) == report.count("Compiling entry function"), "unread parts of the report"
    complaints = [text for text in map(complaint, kernels) if text]
    complaints += re.findall(r"wgmma.mma_async instructions are serialized.*", report)
    assert not complaints, "\n".join(complaints)


REPORT = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z4rowsv' for 'sm_90a'
ptxas info    : Function properties for _Z4rowsv
    {stack} bytes stack frame, {spill} bytes spill stores, 0 bytes spill loads
ptxas info    : Used 30 registers, used 1 barriers{shared}, 648 bytes cmem[0]
ptxas info    : Compile time = 24.445 ms
"""


@pytest.mark.parametrize(
    ("stack", "spill", "shared", "expected"),
    [
        (0, 0, "", None),
        (8, 8, "", "spills 8 bytes of its 30 registers"),
        (16, 0, "", "keeps 16 bytes on the stack"),
        (0, 0, ", 512 bytes smem", "512 bytes of static shared memory"),
    ],
)
def test_the_report_is_understood(
    stack: int, spill: int, shared: str, expected: str | None
) -> None:
    (usage,) = usages(REPORT.format(stack=stack, spill=spill, shared=shared))
    assert usage.target == "sm_90a"
    assert usage.registers == 30
    text = complaint(usage)
    assert text is None if expected is None else expected in str(text)
