# SPDX-License-Identifier: Apache-2.0
"""The playground's server sets up networks, trains them, and refuses what it does not offer."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

import gradsmith as gs
from gradsmith.viz import browser


@pytest.fixture
def address() -> Iterator[str]:
    with browser.make_server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def post(address: str, wish: Any) -> Any:
    request = urllib.request.Request(address, json.dumps(wish).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_page_comes_from_the_package(address: str) -> None:
    with urllib.request.urlopen(address, timeout=30) as answer:
        text = answer.read().decode()
    assert answer.headers["Content-Type"].startswith("text/html")
    for name in (*browser.DATA, *browser.ACTIVATIONS, *browser.OPTIMIZERS):
        assert f"<option>{name}" in text


@pytest.mark.parametrize("data", browser.DATA)
def test_training_lowers_the_loss(address: str, data: str) -> None:
    gs.manual_seed(0)
    start = post(f"{address}/reset", {"data": data, "points": 60, "units": 12, "rate": 0.03})
    assert len(start["points"]) == len(start["labels"]) == 60
    assert len(start["classes"]) == start["resolution"] ** 2
    first = post(f"{address}/step", {"steps": 1})
    last = post(f"{address}/step", {"steps": 150})
    assert last["step"] == 151
    assert last["loss"] < 0.7 * first["loss"]
    assert last["accuracy"] > 0.7


@pytest.mark.parametrize(
    ("path", "wish", "message"),
    [
        ("reset", {"data": "moon"}, "data is 'moon'"),
        ("reset", {"units": 1000}, "units is 1000"),
        ("reset", {"activation": "step"}, "activation is 'step'"),
        ("reset", [], "got a list"),
        ("step", {"steps": 10**9}, "steps is"),
        ("other", {}, "expected /reset or /step"),
    ],
)
def test_refusals(address: str, path: str, wish: Any, message: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(f"{address}/{path}", wish)
    with caught.value as answer:
        assert answer.code == 400
        assert message in json.load(answer)["error"]


def test_unknown_pages_are_not_found(address: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{address}/../etc/passwd", timeout=30)
    with caught.value as answer:
        assert answer.code == 404
