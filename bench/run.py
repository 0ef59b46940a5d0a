# SPDX-License-Identifier: Apache-2.0
"""The benchmark driver: checks every result, then times it against peers and physical limits.

python bench/run.py                          all families
python bench/run.py gemm conv --against torch numpy --json out.json
python bench/run.py --device cuda --against torch

Against PyTorch, each row is also held to its goal in goals.txt; those below are listed at the end.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import gradsmith as gs  # noqa: E402
from bench import device_cuda as cuda  # noqa: E402
from bench import goals, limits, timing  # noqa: E402
from bench.problem import Problem  # noqa: E402

FAILED: list[str] = []  # rows of a GPU whose result is wrong or that raised
FAMILIES = sorted(p.stem for p in (ROOT / "bench" / "families").glob("[a-z]*.py"))


def measure(problem: Problem, machine: limits.Machine, rounds: int) -> dict[str, Any]:
    """Check and time one problem; return its row."""
    problem.check(problem.ours())
    runners = {"gradsmith": problem.ours}
    for peer, settings in problem.peers.items():
        runners |= {f"{peer}:{setting}": run for setting, run in settings.items()}
    samples = timing.interleaved(runners, rounds, machine.wait_for_cores)
    limit = machine.limits
    ours = timing.median(samples["gradsmith"])
    row: dict[str, Any] = {
        "family": problem.family,
        "problem": problem.name,
        "microseconds": ours * 1e6,
        "ratio": {},
        "peer_microseconds": {},
    }
    if problem.flops:
        row["gflops"] = problem.flops / ours / 1e9
        row["share_of_fma_peak"] = row["gflops"] / limit["fma_gflops"]
    elif problem.bytes:
        row["gbs"] = problem.bytes / ours / 1e9
        row["share_of_copy"] = row["gbs"] / limit["copy_gbs"]
    for peer, settings in problem.peers.items():
        best = min(settings, key=lambda s: timing.median(samples[f"{peer}:{s}"]))
        theirs = timing.median(samples[f"{peer}:{best}"])
        row["peer_microseconds"][f"{peer}:{best}"] = theirs * 1e6
        row["ratio"][peer] = theirs / ours
    return row


def show(row: dict[str, Any]) -> None:
    """Print one row: time, rate, share of the limit, ratio to each peer (above 1: faster)."""
    rate = ""
    if "gflops" in row:
        rate = f"{row['gflops']:8.1f} GFLOP/s {100 * row['share_of_fma_peak']:4.0f} % of peak    "
    elif "gbs" in row:
        rate = f"{row['gbs']:8.1f} GB/s    {100 * row['share_of_copy']:4.0f} % of copy    "
    ratios = "  ".join(f"{peer} {ratio:5.2f}x" for peer, ratio in row["ratio"].items())
    name = f"{row['family']} {row['problem']}"
    host = f"  (host {row['host_microseconds']:.1f} us)" if "host_microseconds" in row else ""
    print(f"{name:46} {row['microseconds']:11.1f} us  {rate:38} {ratios}{host}", flush=True)


def geometric_means(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return per family and overall, per peer, the geometric mean of the ratios."""
    means: dict[str, dict[str, float]] = {}
    for group in [*dict.fromkeys(row["family"] for row in rows), "all"]:
        chosen = [row for row in rows if group in (row["family"], "all")]
        peers = dict.fromkeys(peer for row in chosen for peer in row["ratio"])
        means[group] = {
            peer: math.exp(
                sum(math.log(r["ratio"][peer]) for r in chosen if peer in r["ratio"])
                / sum(peer in r["ratio"] for r in chosen)
            )
            for peer in peers
        }
    return means


def peer_versions(against: list[str]) -> dict[str, str]:
    """Import each peer, so that a missing one is reported before anything is timed."""
    return {name: str(importlib.import_module(name).__version__) for name in against}


def commit() -> str:
    """Return the commit that is measured, marked if the tree differs from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return result.stdout.strip() or "unknown"


def cpu_rows(
    families: list[str], against: list[str], rounds: int
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Return the limits of the CPU and the rows of the families."""
    threads = gs.get_num_threads()
    os.environ["OMP_NUM_THREADS"] = str(threads)  # the peers get as many threads as we do
    machine = limits.Machine(threads)
    limit = machine.limits
    print(f"limits: {limit['fma_gflops']:.0f} GFLOP/s FMA, {limit['copy_gbs']:.1f} GB/s copy")
    rows = []
    for family in families or FAMILIES:
        module = importlib.import_module(f"bench.families.{family}")
        for problem in module.problems(against):
            rows.append(measure(problem, machine, rounds))
            show(rows[-1])
    print(f"samples waited {machine.waited:.0f} s for the processors")
    return limit, rows


def cuda_rows(
    families: list[str], against: list[str], rounds: int
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Return the limits of the GPU and the rows of the families; a failure costs its row alone."""
    limit = cuda.limits()
    print(f"limits: {cuda.limits_text(limit)}")
    rows: list[dict[str, Any]] = []
    for family in families or cuda.FAMILIES:
        for problem in cuda.rows(family, against):
            try:
                rows.append(cuda.measure(problem, limit, rounds))
                show(rows[-1])
            except Exception as error:
                text = f"{type(error).__name__}: {error}".splitlines()[0]
                print(f"{problem.family} {problem.name}: FAILED: {text}", flush=True)
                FAILED.append(f"{problem.family} {problem.name}: {text}")
    return limit, rows


def measured_on(device: str) -> dict[str, str]:
    """Return what was measured on."""
    found = gs.config.config()
    if device == "cuda":
        found["gpu"] = gs.cuda.get_device_name()
    return found


def main() -> int:
    """Run the families asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", metavar="family", help=", ".join(FAMILIES))
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--against", nargs="*", default=[], choices=["numpy", "torch"])
    parser.add_argument("--rounds", type=int, default=11, help="samples per runner (default 11)")
    parser.add_argument("--json", type=Path, help="write the rows, limits and machine to a file")
    arguments = parser.parse_args()
    known = FAMILIES if arguments.device == "cpu" else cuda.FAMILIES
    unknown = set(arguments.families) - set(known)
    if unknown:
        parser.error(f"unknown family {', '.join(sorted(unknown))} (choose from {known})")
    missing = cuda.missing() if arguments.device == "cuda" else None
    if missing:
        parser.error(missing)
    peers = peer_versions(arguments.against)
    run = cpu_rows if arguments.device == "cpu" else cuda_rows
    limit, rows = run(arguments.families, arguments.against, arguments.rounds)
    missed = [row for row in rows if goals.is_missed(row, "torch")]
    for row in missed:
        print(f"below {goals.goal_of(row)}:", end=" ")
        show(row)
    if "torch" in peers:
        print(f"{len(rows) - len(missed)} of {len(rows)} rows reach their goal")
    means = geometric_means(rows)
    for group, ratios in means.items():
        text = "  ".join(f"{peer} {ratio:5.2f}x" for peer, ratio in ratios.items())
        print(f"geometric mean {group:20} {text}")
    if arguments.json:
        report = {
            "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
            "commit": commit(),
            "machine": measured_on(arguments.device),
            "peers": peers,
            "limits": limit,
            "geometric_means": means,
            "missed": [f"{row['family']} {row['problem']}" for row in missed],
            "failed": FAILED,
            "rows": rows,
        }
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    return 1 if FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
