# SPDX-License-Identifier: Apache-2.0
"""Hooks of the test suite: cases are spread over their tests, optional peers are found."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gradsmith.backend import as_device
from tests import browser
from tests.cases import parametrize


@pytest.fixture(scope="session", autouse=True)
def empty_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Data sets that the user has downloaded change no test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADSMITH_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parametrize(metafunc)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs something this machine lacks, with the reason."""
    missing = {}
    if importlib.util.find_spec("torch") is None:
        missing["torch"] = "PyTorch is not installed (pip install torch==2.13.0)"
    if any(item.get_closest_marker("gpu") for item in items):
        try:
            as_device("cuda")
        except RuntimeError as error:
            missing["gpu"] = str(error)
    if importlib.util.find_spec("mpi4py") is None:
        missing["mpi"] = "mpi4py is not installed"
    if browser.missing():
        missing["browser"] = browser.missing()
    for item in items:
        for marker, reason in missing.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One browser for all tests of a process."""
    with browser.opened() as driver:
        yield driver


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all processes of this run of the tests have in common."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    folder.mkdir(exist_ok=True)
    return folder
