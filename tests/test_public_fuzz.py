# SPDX-License-Identifier: Apache-2.0
"""Random arguments at every public name: a result or a documented exception, no crash, no hang.

More of them by hand: ``python -m tests.fuzz_public gradsmith.nn 120``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import fuzz_public

ROOT = Path(__file__).parent.parent
EXAMPLES = 10


@pytest.mark.parametrize("namespace", fuzz_public.SPACES)
def test_random_arguments_end_well(namespace: str) -> None:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "GRADSMITH_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz_public", namespace, str(EXAMPLES)],
        capture_output=True,
        text=True,
        timeout=600,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
