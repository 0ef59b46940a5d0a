# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin for runs on a GPU: ends a process whose CUDA context is lost.

After an illegal access every call of the process fails. pytest-xdist starts a new process, counts
the test as failed, and goes on: ``pytest -m gpu -n 4 -p tests.gpu_context``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

import gradsmith as gs


def context_is_lost() -> bool:
    """Whether the GPU answers no more."""
    try:
        gs.cuda.synchronize()
    except RuntimeError:
        return gs.cuda.is_available()
    return False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Iterator[None]:
    report = yield
    failed_on_gpu = call.excinfo is not None and item.get_closest_marker("gpu") is not None
    if failed_on_gpu and "PYTEST_XDIST_WORKER" in os.environ and context_is_lost():
        text = str(report.longrepr)
        print(f"CUDA context lost in {item.nodeid}:\n{text}", flush=True)
        if folder := os.environ.get("LOST_CONTEXTS"):
            with open(os.path.join(folder, "lost_contexts.txt"), "a") as file:
                file.write(f"{item.nodeid}\n{text[-1500:]}\n\n")
        os._exit(3)
    return report
