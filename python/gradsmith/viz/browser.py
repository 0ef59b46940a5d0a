# SPDX-License-Identifier: Apache-2.0
"""A playground for 2-D problems in the browser: choose data and a network, watch it learn.

The page (playground.html) asks this server, which listens on the local machine only, to set up a
network and to train it for a few steps; each answer holds the loss and the picture of the plane.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import webbrowser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from gradsmith import nn, optim
from gradsmith.autograd import no_grad
from gradsmith.backend import Array
from gradsmith.data import generators
from gradsmith.nn import functional as F
from gradsmith.ops import creation

DATA = ("xor", "moons", "circles", "spirals", "blobs")
ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "gelu": nn.GELU}
OPTIMIZERS = {"sgd": optim.SGD, "adam": optim.Adam}
LIMITS = {"units": (1, 64), "layers": (0, 6), "points": (20, 2000), "steps": (1, 500)}
_PAGE = Path(__file__).with_name("playground.html")
_RESOLUTION = 50


class Experiment:
    """A data set, a network and its optimiser, as the page asked for them."""

    def __init__(self, wish: dict[str, Any]) -> None:
        """Set up what the wish says, defaults for the rest (ValueError for what is not offered)."""
        self._check(wish)
        name = wish.get("data", "spirals")
        noise, seed = float(wish.get("noise", 0.1)), int(wish.get("seed", 0))
        points, labels = _points(name, int(wish.get("points", 200)), noise, seed)
        self.points = (points - points.mean(axis=0)) / np.maximum(points.std(axis=0), 1e-6)
        self.labels = labels
        units, layers = int(wish.get("units", 8)), int(wish.get("layers", 2))
        activation = ACTIVATIONS[wish.get("activation", "tanh")]
        sizes = [2, *[units] * layers]
        body: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(sizes):
            body += [nn.Linear(inputs, outputs), activation()]
        self.model = nn.Sequential(*body, nn.Linear(sizes[-1], int(labels.max()) + 1))
        kind = OPTIMIZERS[wish.get("optimizer", "adam")]
        self.optimizer = kind(self.model.parameters(), lr=float(wish.get("rate", 0.01)))
        self.step_count = 0

    @staticmethod
    def _check(wish: dict[str, Any]) -> None:
        offers: dict[str, Any] = {
            "data": DATA,
            "activation": list(ACTIVATIONS),
            "optimizer": list(OPTIMIZERS),
        }
        for name, known in offers.items():
            if name in wish and wish[name] not in known:
                raise ValueError(f"playground: {name} is {wish[name]!r}, expected one of {known}")
        for name, (low, high) in LIMITS.items():
            if not low <= int(wish.get(name, low)) <= high:
                raise ValueError(f"playground: {name} is {wish[name]}, expected {low} to {high}")

    def train(self, steps: int) -> float:
        """Take steps on all points; return the last loss."""
        self._check({"steps": steps})
        x, y = creation.from_numpy(self.points), creation.from_numpy(self.labels)
        for _ in range(steps):
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.model(x), y)
            loss.backward()
            self.optimizer.step()
        self.step_count += steps
        return float(loss.item())

    def picture(self) -> dict[str, Any]:
        """Return the points, and the class and confidence at each place of a grid, as JSON."""
        span = float(np.abs(self.points).max()) + 0.3
        line = np.linspace(-span, span, _RESOLUTION, dtype=np.float32)
        plane = np.stack(np.meshgrid(line, line[::-1]), axis=-1).reshape(-1, 2)
        with no_grad():
            shares = F.softmax(self.model(creation.from_numpy(plane)), 1).numpy()
            right = self.model(creation.from_numpy(self.points)).numpy().argmax(1) == self.labels
        return {
            "span": span,
            "resolution": _RESOLUTION,
            "classes": shares.argmax(1).tolist(),
            "confidence": np.round(shares.max(1), 3).tolist(),
            "points": np.round(self.points, 3).tolist(),
            "labels": self.labels.tolist(),
            "accuracy": float(right.mean()),
            "step": self.step_count,
        }


def _points(name: str, count: int, noise: float, seed: int) -> tuple[Array, Array]:
    spread = {"cluster_std" if name == "blobs" else "noise": noise}
    x, y = getattr(generators, name)(count, seed=seed, **spread).tensors
    return x.numpy(), y.numpy()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    experiment: Experiment
    lock: threading.Lock


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Send the page."""
        if self.path == "/":
            self._send(200, "text/html; charset=utf-8", _PAGE.read_bytes())
        else:
            self._send(404, "text/plain; charset=utf-8", b"not found")

    def do_POST(self) -> None:
        """Set up (/reset) or train (/step), and send the picture."""
        try:
            wish = json.loads(self.rfile.read(min(int(self.headers["Content-Length"]), 10_000)))
            with self.server.lock:
                answer = self._answer(wish)
        except (ValueError, TypeError) as error:
            self._send_json(400, {"error": str(error)})
            return
        self._send_json(200, answer)

    def _answer(self, wish: Any) -> dict[str, Any]:
        if not isinstance(wish, dict):
            raise TypeError(f"playground: got a {type(wish).__name__}, expected an object")
        if self.path == "/reset":
            self.server.experiment = Experiment(wish)
            return self.server.experiment.picture()
        if self.path == "/step":
            loss = self.server.experiment.train(int(wish.get("steps", 10)))
            return {**self.server.experiment.picture(), "loss": loss}
        raise ValueError(f"playground: {self.path} is unknown, expected /reset or /step")

    def _send_json(self, status: int, answer: dict[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(answer).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep requests off the terminal."""


def make_server(port: int = 0) -> _Server:
    """Return the playground's server on 127.0.0.1 (port 0: any free one), not yet serving."""
    server = _Server(("127.0.0.1", port), _Handler)
    server.lock = threading.Lock()
    server.experiment = Experiment({})
    return server


def playground(port: int = 8000, *, open_browser: bool = True) -> None:
    """Serve the playground on ``http://127.0.0.1:port`` until Ctrl-C.

    Args:
        port: where to listen, on the local machine only.
        open_browser: whether to show the page.

    Raises:
        OSError: the port is taken.
    """
    with make_server(port) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        print(f"playground: {address} (Ctrl-C ends it)", flush=True)
        if open_browser:
            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
