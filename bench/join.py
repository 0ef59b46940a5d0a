# SPDX-License-Identifier: Apache-2.0
"""Joins the reports of runs of one machine, a family each, into one.

python bench/join.py joined.json gemm.json conv.json ...

Date, commit and machine are the first report's; of equal rows the last stays.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.run import geometric_means


def joined(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one report of them all."""
    rows = {(row["family"], row["problem"]): row for each in reports for row in each["rows"]}
    missed = {name for each in reports for name in each["missed"]}
    return {
        **reports[0],
        "limits": {
            name: max(each["limits"].get(name, 0.0) for each in reports)
            for name in reports[0]["limits"]
        },
        "geometric_means": geometric_means(list(rows.values())),
        "missed": [f"{f} {p}" for f, p in rows if f"{f} {p}" in missed],
        "failed": [name for each in reports for name in each["failed"]],
        "rows": list(rows.values()),
    }


def main() -> None:
    """Read the reports named and write the one they make."""
    target, *sources = (Path(name) for name in sys.argv[1:])
    report = joined([json.loads(path.read_text()) for path in sources])
    target.write_text(json.dumps(report, indent=1) + "\n")
    for family, means in report["geometric_means"].items():
        print(f"{family:24}", "  ".join(f"{peer} {mean:.2f}x" for peer, mean in means.items()))


if __name__ == "__main__":
    main()
