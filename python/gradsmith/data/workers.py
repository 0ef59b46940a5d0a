# SPDX-License-Identifier: Apache-2.0
"""Worker threads of the DataLoader.

Threads, not processes: reading and NumPy release the GIL, nothing is copied or pickled between
processes, and no forked child can inherit a held lock. They are daemons, so a dataset that blocks
forever cannot keep the program from ending.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

Task = tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]
Init = Callable[[int], Any]


@dataclass(frozen=True)
class WorkerInfo:
    """Which worker the current thread is: ``id`` of ``num_workers``, the seed and the dataset."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


class _Local(threading.local):
    info: WorkerInfo | None = None


_local = _Local()


def get_worker_info() -> WorkerInfo | None:
    """Return what is known of the worker thread that calls, or None outside of one."""
    return _local.info


class WorkerPool:
    """Threads that take tasks from one queue; results and exceptions travel in futures."""

    def __init__(
        self, infos: list[WorkerInfo], init: Init | None = None, timeout: float = 0
    ) -> None:
        """Start a thread per entry of ``infos``; each calls ``init(id)`` first."""
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._stuck = False
        self._timeout = timeout
        self._threads = [
            threading.Thread(
                target=_work,
                args=(self._tasks, info, init),
                name=f"gradsmith-data-{info.id}",
                daemon=True,
            )
            for info in infos
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Queue a call and return the future of its result."""
        future: Future[Any] = Future()
        self._tasks.put((future, function, args))
        return future

    def result(self, future: Future[Any]) -> Any:
        """Return what the call returned or raise what it raised.

        Raises:
            RuntimeError: it took longer than the timeout.
        """
        try:
            return future.result(self._timeout or None)
        except TimeoutError:
            if future.done():
                raise  # the dataset's own
            self._stuck = True
            raise RuntimeError(
                f"DataLoader: no batch came within timeout={self._timeout} seconds"
            ) from None

    def close(self, pending: Iterable[Future[Any]]) -> None:
        """Cancel what has not begun and wait until the threads have ended, unless one is stuck."""
        for future in pending:
            future.cancel()
        for _ in self._threads:
            self._tasks.put(None)
        if not self._stuck:
            for thread in self._threads:
                thread.join()


def _work(tasks: SimpleQueue[Task | None], info: WorkerInfo, init: Init | None) -> None:
    _local.info = info
    failure: BaseException | None = None
    try:
        if init is not None:
            init(info.id)
    except BaseException as error:
        failure = error
    while _did_task(tasks, info, failure):
        pass


def _did_task(
    tasks: SimpleQueue[Task | None], info: WorkerInfo, failure: BaseException | None
) -> bool:
    # A function of its own: its end lets go of the batch, which then lives no longer than needed.
    task = tasks.get()
    if task is None:
        return False
    future, function, args = task
    if not future.set_running_or_notify_cancel():
        return True
    try:
        if failure is not None:
            raise failure
        future.set_result(function(*args))
    except BaseException as error:
        error.add_note(f"raised in DataLoader worker {info.id} of {info.num_workers}")
        future.set_exception(error)
        del future, task  # the traceback of the error holds this frame
    return True
