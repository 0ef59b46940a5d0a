# SPDX-License-Identifier: Apache-2.0
"""The report of a run: its curves, its explanation, and that a browser shows what is in it."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradsmith.recipes import charts
from gradsmith.recipes.run import REPORT, Run, Settings
from tests import browser


def test_curves_of_one_measure_share_a_chart() -> None:
    history = {"loss": [1.0], "val_loss": [2.0], "first/loss": [3.0], "accuracy": [0.5]}
    groups = charts.by_measure(history)
    assert {name: list(each) for name, each in groups.items()} == {
        "loss": ["loss", "val_loss", "first/loss"],
        "accuracy": ["accuracy"],
    }


def places(svg: str) -> list[tuple[float, float]]:
    (text,) = re.findall(r'points="([^"]+)"', svg)
    return [tuple(map(float, pair.split(","))) for pair in text.split()]  # type: ignore[misc]


def labels(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]+)</text>", svg)


def test_chart_has_axes_with_round_numbers() -> None:
    svg = charts.chart("loss", {"loss": [1.0, 0.5, 0.0]})
    assert labels(svg) == ["0", "0.2", "0.4", "0.6", "0.8", "1", "1", "2", "3"]
    (left, top), (_, middle), (right, bottom) = places(svg)
    assert left < right
    assert middle == pytest.approx((top + bottom) / 2)
    assert "loss: 1 to 0 in 3 steps" in svg


def test_chart_of_a_wide_range_is_logarithmic() -> None:
    svg = charts.chart("loss", {"loss": [1e4, 1e2, 1.0]})
    assert labels(svg)[:5] == ["1", "10", "100", "1000", "1e+04"]
    (_, top), (_, middle), (_, bottom) = places(svg)
    assert middle == pytest.approx((top + bottom) / 2)


def test_chart_leaves_out_what_cannot_be_drawn() -> None:
    assert charts.chart("loss", {"loss": [1.0], "val_loss": [], "x/loss": [math.nan, 1.0]}) == ""
    assert len(places(charts.chart("loss", {"loss": [1.0, math.inf, 2.0]}))) == 2
    assert len(places(charts.chart("loss", {"loss": [5.0, 5.0]}))) == 2


def test_long_curves_are_thinned_to_their_ends() -> None:
    values = [float(k) for k in range(10_001)]
    found = places(charts.chart("loss", {"loss": values}))
    whole = places(charts.chart("loss", {"loss": [0.0, 10_000.0]}))
    assert len(found) <= 502
    assert [found[0], found[-1]] == whole


def told(folder: Path) -> Path:
    """Return the report of a run with a curve, a small picture and an explanation."""
    run = Run(Settings("x"), folder, about="An idea.\n\nIts rule is ``w += <x>``.")
    run.log(loss=2.0)
    run.log(loss=1.0)
    run.picture("square", np.eye(4, dtype=np.float32), "A line.")
    run.table("Rows", ["name", "count"], [["x", np.float32(1.23456)], ["y", 27456]])
    run.write(finished=True)
    return folder / REPORT


def test_report_explains_and_aligns(tmp_path: Path) -> None:
    page = told(tmp_path).read_text()
    assert "<p>An idea.</p><p>Its rule is <code>w += &lt;x&gt;</code>.</p>" in page
    assert '<th>name</th><th class="number">count</th>' in page
    assert '<td class="number">1.235</td>' in page
    assert '<td class="number">27456</td>' in page
    assert '<img class="pixels" alt="square"' in page


PLANTED = {
    "whole": (r"$^", "", None),
    "broken picture": (r"base64,[^\"]{20}", "base64,AAAA", "picture square"),
    "empty curve": (r'points="[^"]+"', 'points=""', "curve loss by step"),
    "script that fails": ("<h1>", "<script>throw new Error('planted')</script><h1>", "planted"),
    "missing file": ("<h1>", '<link rel="stylesheet" href="file:///nowhere.css"><h1>', "nowhere"),
}


@pytest.mark.browser
@pytest.mark.parametrize("fault", PLANTED)
def test_browser_sees_faults(chromium: Any, tmp_path: Path, fault: str) -> None:
    pattern, text, message = PLANTED[fault]
    page = told(tmp_path)
    page.write_text(re.sub(pattern, text, page.read_text(), count=1))
    found = browser.faults(chromium, page)
    assert (message in found[0]) if message else not found
