# SPDX-License-Identifier: Apache-2.0
"""One run of a recipe: its settings, what it found, and the folder that keeps both.

A recipe is a function of a `Run`: it asks for its settings, trains, and tells what came out::

    def main(run):
        model = models.lenet5().to(run.device)
        model.compile("adam", "cross_entropy", ["accuracy"])
        run.fit(model, train, epochs=run.epochs(full=20, quick=2))
        run.figure("test accuracy", accuracy, at_least=0.98, quick=0.9)
        run.picture("curves", viz.plot_history(run.history), "Loss and accuracy.")

The folder gets ``report.html``, ``run.json`` (settings, figures, history), ``weights.safetensors``,
``checkpoint.safetensors`` and ``pictures/``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm  # type: ignore[import-untyped]

import gradsmith
from gradsmith import io, random
from gradsmith.backend import as_device
from gradsmith.config import config
from gradsmith.io.atomic import replace_file
from gradsmith.nn import Module
from gradsmith.recipes import report
from gradsmith.train import Callback, Checkpointer
from gradsmith.viz import canvas, curves

STATE, REPORT = "run.json", "report.html"
WEIGHTS, CHECKPOINT = "weights.safetensors", "checkpoint.safetensors"
_KIND = "gradsmith recipe run"


@dataclass(frozen=True)
class Settings:
    """What the user chose.

    Attributes:
        recipe: its name.
        epochs: instead of the recipe's own number.
        seed: fixes weights, data and orders.
        device: where to train.
        data: ``auto`` takes the standard set if it is on this machine, else the offline stand-in;
            ``standard`` and ``offline`` insist on one.
        quick: a short run that still shows the system at work.
        options: the recipe's own.
    """

    recipe: str
    epochs: int | None = None
    seed: int = 0
    device: str = "cpu"
    data: str = "auto"
    quick: bool = False
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A number that a run came to, and what was to be expected."""

    name: str
    value: float
    low: float | None
    high: float | None

    @property
    def reached(self) -> bool:
        """Whether the value lies where it should."""
        above = self.low is None or self.value >= self.low
        return bool(above and (self.high is None or self.value <= self.high))

    @property
    def expected(self) -> str:
        """What was to be expected, in words."""
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}"
        if self.low is not None:
            return f"at least {self.low:g}"
        return "" if self.high is None else f"at most {self.high:g}"


class Run:
    """The settings of a run, and what the recipe tells about it."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        resuming: bool = False,
        *,
        source: str = "",
        about: str = "",
    ) -> None:
        """Seed the generators and make the folder; RuntimeError where the device cannot be used.

        ``source`` is the recipe's fingerprint, ``about`` what it says of itself, for the folder.
        """
        self.settings = settings
        self.source = source
        self.about = about
        self.folder = folder
        self.device = as_device(settings.device)
        self.figures: list[Figure] = []
        self.history: dict[str, list[float]] = {}
        self.sections: list[report.Section] = []
        self.resuming = resuming
        self._began = time.perf_counter()
        random.manual_seed(settings.seed)
        (folder / "pictures").mkdir(parents=True, exist_ok=True)

    # ---- settings --------------------------------------------------------------------------------

    @property
    def quick(self) -> bool:
        """Whether this is the short run."""
        return self.settings.quick

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return self.settings.seed

    def option(self, name: str) -> Any:
        """Return one of the recipe's own options."""
        return self.settings.options[name]

    def choose(self, full: Any, quick: Any) -> Any:
        """Return the value for a full or for a quick run."""
        return quick if self.quick else full

    def epochs(self, full: int, quick: int) -> int:
        """Return how many epochs to train: the user's wish, else the recipe's."""
        wished = self.settings.epochs
        return int(self.choose(full, quick) if wished is None else wished)

    # ---- training --------------------------------------------------------------------------------

    def fit(self, model: Module, x: Any, y: Any = None, *, stage: str = "", **options: Any) -> None:
        """Train a compiled model; the history joins the run's, a run that resumes goes on.

        Takes what `gradsmith.train.fit` takes, and the ``objects`` of a `Checkpointer`. A recipe
        that trains several models names each ``stage``; its curves are then called
        ``stage/loss`` and so on.
        """
        path = self._checkpoint(stage)
        keeper = Checkpointer(path, objects=options.pop("objects", None))
        callbacks = [*options.pop("callbacks", ()), _Recorder(self, stage), keeper]
        options.setdefault("verbose", 1)
        model.fit(x, y, callbacks=callbacks, resume=path if self.resuming else None, **options)

    def _checkpoint(self, stage: str) -> Path:
        return self.folder / (f"checkpoint-{stage}.safetensors" if stage else CHECKPOINT)

    def rounds(
        self, count: int, state: dict[str, Any], text: str = "epoch", *, stage: str = ""
    ) -> Iterator[int]:
        """Yield the numbers of the rounds of a hand-written training, with a progress bar.

        After each round the states (anything with `state_dict` and `load_state_dict`) are saved
        with the random numbers and the history; a run that resumes begins after the last of them.
        """
        path = self._checkpoint(stage)
        first = self._restored(path, state) if self.resuming else 0
        bar = tqdm(range(first, count), initial=first, total=count, desc=text, leave=False)
        for number in bar:
            yield number
            last = {name: values[-1] for name, values in self.history.items() if values}
            bar.set_postfix({name: f"{value:.4g}" for name, value in last.items()})
            io.save(
                {
                    "round": number + 1,
                    "random": random.get_rng_state(),
                    "history": self.history,
                    "states": {name: each.state_dict() for name, each in state.items()},
                },
                path,
            )

    def _restored(self, path: Path, state: dict[str, Any]) -> int:
        if not path.exists():
            return 0
        saved = io.load(path)
        for name, each in state.items():
            each.load_state_dict(saved["states"][name])
        random.set_rng_state(saved["random"])
        self.history = saved["history"]
        return int(saved["round"])

    def progress(self, items: Iterable[Any], text: str = "") -> Any:
        """Return the items behind a progress bar."""
        return tqdm(items, desc=text, leave=False)

    # ---- what came out ---------------------------------------------------------------------------

    def log(self, **values: float) -> None:
        """Add a point to the curves of the report."""
        for name, value in values.items():
            self.history.setdefault(name, []).append(float(value))

    def figure(
        self,
        name: str,
        value: Any,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        quick: float | None = None,
    ) -> None:
        """Tell a number and what was to be expected; ``quick`` is the bound of a short run."""
        if self.quick and quick is not None:
            at_least, at_most = (quick, at_most) if at_least is not None else (at_least, quick)
        found = Figure(name, float(value), at_least, at_most)
        self.figures.append(found)
        mark = "" if not found.expected else "reached" if found.reached else "MISSED"
        print(f"{name:<40} {found.value:>10.4g}   {found.expected:<22} {mark}".rstrip(), flush=True)

    def picture(self, name: str, picture: Any, caption: str = "") -> None:
        """Keep a picture: a matplotlib figure, or an array (H, W) or (H, W, 3)."""
        path = self.folder / "pictures" / f"{name}.png"
        drawn = hasattr(picture, "savefig")
        if drawn:
            picture.savefig(path, dpi=110)
            canvas.pyplot().close(picture)
        else:
            array = canvas.as_array("picture", name, picture)
            canvas.pyplot().imsave(path, array, cmap="gray")
        self.sections.append(report.Picture(name, caption, path, pixels=not drawn))

    def animation(self, name: str, path: Path, caption: str = "") -> None:
        """Show a GIF that was written into the folder."""
        self.sections.append(report.Picture(name, caption, path, pixels=True))

    def text(self, title: str, text: str) -> None:
        """Keep a text, as samples of a language model, and print it."""
        self.sections.append(report.Text(title, text))
        print(f"\n{title}\n{text}", flush=True)

    def table(self, title: str, header: list[str], rows: list[list[Any]]) -> None:
        """Keep a table, and print it."""
        self.sections.append(report.Table(title, header, rows))
        lines = [header, *([_cell(each) for each in row] for row in rows)]
        widths = [max(len(line[k]) for line in lines) for k in range(len(header))]
        print(f"\n{title}")
        for line in lines:
            print("  ".join(each.ljust(width) for each, width in zip(line, widths, strict=True)))

    def confusion(self, matrix: Any, class_names: list[str] | None = None) -> None:
        """Keep a confusion matrix (K, K) as a picture."""
        picture = curves.plot_confusion_matrix(matrix, class_names)
        self.picture("confusion", picture, "Confusion matrix: rows are true classes.")

    def model(self, model: Module, input_size: Any = None) -> None:
        """Keep the model's weights and its table of layers."""
        io.save(model.state_dict(), self.folder / WEIGHTS)
        texts: list[str] = []
        model.summary(input_size, print_fn=texts.append)
        self.sections.append(report.Text(f"Model: {type(model).__name__}", "\n".join(texts)))

    # ---- the end ---------------------------------------------------------------------------------

    @property
    def missed(self) -> list[str]:
        """The figures that are not where they should be."""
        return [each.name for each in self.figures if not each.reached]

    def write(self, finished: bool) -> None:
        """Write ``run.json`` and the report."""
        state = {
            "kind": _KIND,
            "finished": finished,
            "settings": asdict(self.settings),
            "figures": [{**asdict(each), "reached": each.reached} for each in self.figures],
            "history": self.history,
            "seconds": round(time.perf_counter() - self._began, 1),
            "pictures": [
                {"file": str(each.path.relative_to(self.folder)), "caption": each.caption}
                for each in self.sections
                if isinstance(each, report.Picture)
            ],
            "source": self.source,
            "machine": _machine(),
        }
        _replace(self.folder / STATE, json.dumps(state, indent=1))
        page = report.page(self.settings.recipe, state, self.figures, self.sections, self.about)
        _replace(self.folder / REPORT, page)


def _machine() -> dict[str, str]:
    """Return what ran the recipe: version, processor, threads."""
    known = config()
    return {
        "gradsmith": gradsmith.__version__,
        **{name: known[name] for name in ("python", "cpu", "isa", "threads")},
    }


def _replace(path: Path, text: str) -> None:
    replace_file(os.fspath(path), text.encode())


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)


class _Recorder(Callback):
    """Copies the history of `fit` into the run's, epoch by epoch."""

    def __init__(self, run: Run, stage: str) -> None:
        super().__init__()
        self._run, self._prefix = run, f"{stage}/" if stage else ""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._run.log(**{self._prefix + name: value for name, value in (logs or {}).items()})

    def state_dict(self) -> dict[str, Any]:
        return {"history": self._run.history}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._run.history = state["history"]


def load_settings(folder: Path) -> Settings:
    """Return the settings of a run folder (ValueError for any other folder)."""
    path = folder / STATE
    try:
        state = json.loads(path.read_text())
        settings = Settings(**state["settings"])
        if state["kind"] == _KIND and _whole(settings):
            return settings
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise ValueError(f"{os.fspath(folder)} is no folder of a run: it has no {STATE} of one")


def _whole(settings: Settings) -> bool:
    """Return whether values that were read from a file have the types of settings."""
    kinds = {"recipe": str, "seed": int, "device": str, "data": str, "quick": bool, "options": dict}
    typed = all(isinstance(getattr(settings, name), kind) for name, kind in kinds.items())
    return typed and (settings.epochs is None or isinstance(settings.epochs, int))
