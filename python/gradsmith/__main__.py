# SPDX-License-Identifier: Apache-2.0
"""``python -m gradsmith``: the same commands as ``gradsmith``."""

from gradsmith.cli import main

raise SystemExit(main())
