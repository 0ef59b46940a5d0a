# SPDX-License-Identifier: Apache-2.0
"""The house rules as tests: import directions, family names, file sizes, slots, symbols."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

import gradsmith
from bench import goals
from gradsmith import _cpu

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python" / "gradsmith"
CSRC = ROOT / "csrc"

FAMILIES = [
    *("elementwise", "reduce", "gemm", "conv", "pool", "norm", "softmax", "loss", "rnn"),
    *("attention", "embedding", "indexing", "random", "optim", "distance", "resampling"),
    "sorting",
]

# From the top to the bottom: a module may import its own floor and those below.
FLOORS = [
    {"__init__", "__main__"},
    {"cli"},
    {"recipes"},
    {"models", "train", "viz"},
    {"nn", "optim", "data", "metrics", "text", "images", "io", "amp", "distributed"},
    {"ops"},
    {"autograd", "random", "tensor"},
    {"hooks", "formatting"},
    {"backend", "config", "memory", "cuda", "cudasim"},
    {"_cpu", "_cuda", "_cudasim"},
]

# Directory of csrc: the directories its files may include from.
INCLUDES = {
    "core": {"core"},
    "ops": {"core", "ops"},
    "cpu": {"core", "ops", "cpu"},
    "cuda": {"core", "ops", "cuda"},
    "cudasim": {"core", "ops", "cuda", "cudasim"},
    "bindings": {"core", "ops", "bindings"},
}

# The files that choose a device, and the directory they may include from besides.
CHOOSE_DEVICE = {
    "cuda/device.h": "cudasim",
    "cuda/grid_barrier.h": "cudasim",
    "bindings/module_cudasim.cpp": "cudasim",
    "bindings/module_cuda.cpp": "cuda",
    "bindings/array_cupy.cpp": "cuda",
}

SOFT_LIMIT = 400
HARD_LIMIT = 700
# Longer than the soft limit, with the reason.
LONG_FILES = {
    "python/gradsmith/recipes/catalogue.py": "one entry per recipe, a list by nature",
    "python/gradsmith/__init__.py": "one line per public name, a list by nature",
    "tests/reference/elementwise.py": "one pair of functions per op, a list by nature",
    "tests/test_io.py": "every way in which a file can be damaged, beside what damages it",
    "tests/test_nn_modules.py": "one row per module, a list by nature",
    "python/gradsmith/_cpu.pyi": "one declaration per function, a list by nature",
}


def source_files() -> list[Path]:
    folders = ("csrc", "python", "tests", "bench")
    suffixes = {".py", ".pyi", ".cpp", ".h", ".inc", ".cu", ".cuh"}
    return [p for f in folders for p in (ROOT / f).rglob("*") if p.suffix in suffixes]


def floor_of(part: str) -> int:
    for height, floor in enumerate(FLOORS):
        if part in floor:
            return height
    raise AssertionError(f"gradsmith.{part} stands on no floor: add it to FLOORS")


def runtime_imports(path: Path) -> set[str]:
    """First part below gradsmith of every import, those for type checkers left out."""
    found: set[str] = set()
    tree = ast.parse(path.read_text())
    skipped = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for statement in branch.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gradsmith"):
            parts = (node.module or "").split(".")
            names = [alias.name for alias in node.names]
            found |= {parts[1]} if len(parts) > 1 else set(names)
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("gradsmith.")}
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=str)
def test_python_imports_point_down(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for imported in runtime_imports(path):
        if not (PACKAGE / imported).exists() and not (PACKAGE / f"{imported}.py").exists():
            continue  # a name of the package itself, such as Tensor or float32
        assert floor_of(imported) >= floor_of(part), (
            f"{path.relative_to(ROOT)} imports gradsmith.{imported}, which stands above it"
        )


@pytest.mark.parametrize("folder", sorted(INCLUDES))
def test_csrc_includes_point_down(folder: str) -> None:
    for path in (CSRC / folder).rglob("*"):
        if path.suffix not in (".h", ".cpp", ".inc", ".cu", ".cuh"):
            continue
        allowed = INCLUDES[folder] | {CHOOSE_DEVICE.get(str(path.relative_to(CSRC)), folder)}
        for included in re.findall(r'#include "([^"]+)"', path.read_text()):
            assert included.split("/")[0] in allowed, (
                f"{path.relative_to(ROOT)} includes {included}"
            )


def test_kernel_files_leave_the_device_to_its_header() -> None:
    words = r"\basm\b|<<<|__shared__|GRADSMITH_CUDASIM|\bcuda[A-Z]\w*\(|#include <cuda"
    for path in [*(CSRC / "cuda").glob("*.cu"), *(CSRC / "cuda").glob("*.cuh")]:
        found = re.search(words, path.read_text())
        assert found is None, f"{path.relative_to(ROOT)} says {found.group()}"


def test_families_stand_on_every_floor() -> None:
    for family in FAMILIES:
        places = [
            f"tests/reference/{family}.py",
            f"tests/test_{family}.py",
            f"csrc/ops/{family}.h",
            f"csrc/ops/{family}.cpp",
            f"csrc/cpu/reference/{family}.cpp",
            f"csrc/cpu/kernels/{family}.cpp",
            f"csrc/bindings/{family}.cpp",
            f"python/gradsmith/ops/{family}.py",
            f"bench/families/{family}.py",
            f"bench/problems/{family}.txt",
        ]
        missing = [place for place in places if not (ROOT / place).exists()]
        assert not missing, f"family {family} lacks {missing}"


def test_every_problem_has_a_goal() -> None:
    for family in FAMILIES:
        anything = {"family": family, "problem": "anything", "ratio": {"torch": 0.5}}
        assert goals.is_missed(anything, "torch"), f"bench/goals.txt has no line {family} *"
    with_share = {"family": "conv", "problem": "anything", "ratio": {"torch": 0.5}}
    assert not goals.is_missed(with_share | {"share_of_fma_peak": 0.95}, "torch")
    assert goals.is_missed(with_share | {"share_of_fma_peak": 0.80}, "torch")


def test_kernel_files_are_named_after_families() -> None:
    helpers = {"fill", "fill_bf16", "fill_amx", "reference"}
    for folder in ("cpu/reference", "cpu/kernels"):
        for path in (CSRC / folder).glob("*"):
            family = path.stem.split("_")[0]
            assert family in FAMILIES or path.stem in helpers, f"{path.name} names no family"


def test_references_import_nothing_of_gradsmith() -> None:
    for path in (ROOT / "tests" / "reference").glob("*.py"):
        text = path.read_text()
        assert not re.search(r"^\s*(import|from) (gradsmith|torch|scipy)", text, re.M), path.name


def test_file_sizes() -> None:
    for path in source_files():
        name = str(path.relative_to(ROOT))
        lines = len(path.read_text().splitlines())
        assert lines <= HARD_LIMIT, f"{name} has {lines} lines, over the limit of {HARD_LIMIT}"
        assert lines <= SOFT_LIMIT or name in LONG_FILES, (
            f"{name} has {lines} lines; split it, or list it in LONG_FILES with the reason"
        )
    for name in LONG_FILES:
        assert (ROOT / name).exists(), f"LONG_FILES lists {name}, which is gone"


def test_every_slot_ends_with_the_reference() -> None:
    slots = _cpu.implementations()
    listed = re.findall(r"^OP\((\w+),", (CSRC / "ops" / "op_list.inc").read_text(), re.M)
    assert sorted(slots) == sorted(listed)
    for slot, names in slots.items():
        assert names[-1] == "reference", slot
        assert len(set(names)) == len(names), f"{slot} lists an implementation twice"
        for name in names[:-1]:
            assert re.fullmatch(r"(avx2|avx512|avx512_bf16|amx_bf16)(:[\w.]+)+", name), (
                f"{slot}: {name}"
            )
            assert not re.search(r"fast|optimi[sz]ed|v2|new", name), f"{slot}: {name}"


def test_intrinsics_stay_in_simd_and_gemm() -> None:
    for path in CSRC.rglob("*"):
        if path.suffix not in (".h", ".cpp"):
            continue
        place = path.relative_to(CSRC).as_posix()
        if place.startswith(("cpu/simd/", "cpu/gemm/")):
            continue
        assert "immintrin" not in path.read_text(), f"{place} uses intrinsics directly"


def test_the_stub_of_cuda_has_what_the_extension_defines() -> None:
    defined = re.findall(r'm\.def\("(\w+)"', (CSRC / "bindings/module_cuda.cpp").read_text())
    declared = [(PACKAGE / name).read_text() for name in ("_cuda.pyi", "_cpu.pyi")]
    functions = re.findall(r"^def (\w+)\(", "\n".join(declared), re.MULTILINE)
    assert defined
    assert set(defined) <= set(functions)


def test_every_source_names_its_licence() -> None:
    for path in source_files():
        head = path.read_text()[:200]
        assert "SPDX-License-Identifier: Apache-2.0" in head, path.relative_to(ROOT)


def test_isa_objects_have_no_weak_symbols() -> None:
    """A weak symbol of an AVX unit could replace the baseline's copy in the whole program."""
    objects = [
        path
        for path in (ROOT / "build").rglob("*.o")
        if re.search(r"gradsmith_(avx2|avx512|avx512_bf16|amx_bf16)\.dir", str(path))
        and "asan" not in str(path)
    ]
    if not objects:
        pytest.skip("no build tree here (the package was installed from elsewhere)")
    for path in objects:
        symbols = subprocess.run(["nm", "-C", path], capture_output=True, text=True, check=True)
        # The unwinder's pointer is data that is the same for every ISA.
        weak = [
            line
            for line in symbols.stdout.splitlines()
            if re.search(r" [VvWwu] ", line) and "DW.ref.__gxx_personality_v0" not in line
        ]
        assert not weak, f"{path.name}: {weak[:3]}"


def test_extension_exports_only_its_entry_point() -> None:
    library = next(Path(gradsmith.__file__).parent.glob("_cpu*.so"))
    command = ["nm", "-D", "--defined-only", library]
    symbols = subprocess.run(command, capture_output=True, text=True, check=True)
    exported = [line.split()[-1] for line in symbols.stdout.splitlines()]
    assert all(name == "PyInit__cpu" or "gradsmith" not in name for name in exported), exported
