# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin for runs on a GPU: ends a process whose CUDA context is lost, or that hangs.

After an illegal access every call of the process fails. pytest-xdist starts a new process, counts
the test as failed, and goes on: ``pytest -m gpu -n 4 -p tests.gpu_context``. A time limit of the
whole run ends it as Ctrl-C does, with the report of what has failed until then.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import gradsmith as gs

# A call that waits for a kernel which never ends may hold the interpreter's lock, so that
# pytest-timeout's thread cannot run: this limit needs no lock.
HANGS_AFTER_SECONDS = 75
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ


def _interrupt(*_: Any) -> None:
    # `timeout` sends its signal to the process and once more to all of its group.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def pytest_configure() -> None:
    if not IS_WORKER:
        signal.signal(signal.SIGTERM, _interrupt)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    if not IS_WORKER:
        return (yield)
    faulthandler.dump_traceback_later(HANGS_AFTER_SECONDS, exit=True, file=sys.__stderr__)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


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
    if failed_on_gpu and IS_WORKER and context_is_lost():
        text = str(report.longrepr)
        print(f"CUDA context lost in {item.nodeid}:\n{text}", flush=True)
        if folder := os.environ.get("LOST_CONTEXTS"):
            with open(os.path.join(folder, "lost_contexts.txt"), "a") as file:
                file.write(f"{item.nodeid}\n{text[-1500:]}\n\n")
        os._exit(3)
    return report
