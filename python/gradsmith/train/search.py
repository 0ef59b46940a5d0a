# SPDX-License-Identifier: Apache-2.0
"""Comparing models: cross-validation, and searches over the options of a function that builds them.

A builder returns a compiled model; what is searched are its arguments.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradsmith.backend import on_host
from gradsmith.data import Subset
from gradsmith.data.keyed_random import as_seed
from gradsmith.nn import Module
from gradsmith.nn.module_tree import check_module
from gradsmith.ops.options import check_int, check_number
from gradsmith.tensor import Tensor
from gradsmith.train import feed
from gradsmith.train.callbacks import Monitor
from gradsmith.train.loop import evaluate, fit

Params = dict[str, Any]
Builder = Callable[..., Module]


def cross_validate(
    build: Callable[[], Module], x: Any, y: Any, cv: Any, **fit_options: Any
) -> dict[str, list[float]]:
    """Return loss and metrics on the held-out part of every split, of a new model each.

    Args:
        build: returns a fresh compiled model.
        x: arrays or tensors (N, ...), or a list or dict of them.
        y: targets (N, ...).
        cv: anything whose ``split(X, y)`` yields (training indices, test indices), such as
            `data.KFold` or a splitter of scikit-learn.
        **fit_options: for `fit`: ``epochs``, ``batch_size``, ...

    Returns:
        Name -> the values of all splits.

    Raises:
        TypeError: ``cv`` cannot split.
        ValueError: there is no split, or data do not fit.
    """
    if not hasattr(cv, "split"):
        raise TypeError(
            f"cross_validate: cv is a {type(cv).__name__}, expected an object with split, such as "
            "data.KFold(5)"
        )
    options = {"verbose": 0, **fit_options}
    size = options.get("batch_size", 32)
    results: dict[str, list[float]] = {}
    labels = on_host(y._array) if isinstance(y, Tensor) else np.asarray(y)
    first = build()
    check_module("cross_validate", "result of build", first)
    samples = feed.array_dataset("cross_validate", x, y, feed.parameter_dtype(first))
    splits = cv.split(np.zeros((len(samples), 1)), labels)
    for number, (kept, held_out) in enumerate(splits):
        model = build() if number else first
        fit(model, Subset(samples, kept), **options)
        logs = evaluate(model, Subset(samples, held_out), None, size, 0, return_dict=True)
        for name, value in logs.items():
            results.setdefault(name, []).append(value)
    if not results:
        raise ValueError("cross_validate: cv gave no split")
    return results


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; ints if both are ints.

    ``log`` draws evenly over the logarithm, as learning rates want it.

    Raises:
        ValueError: the bounds are in the wrong order, or not positive with ``log``.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        """Check the bounds."""
        check_number("Range", "low", self.low)
        if not self.low <= check_number("Range", "high", self.high) < math.inf:
            raise ValueError(f"Range: got {self.low} to {self.high}, expected low <= high")
        if self.log and self.low <= 0:
            raise ValueError(f"Range: low is {self.low}, expected a positive number with log")

    @property
    def is_integer(self) -> bool:
        """Whether ints are drawn."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def draw(self, generator: np.random.Generator) -> float:
        """Return a number of the range."""
        share = generator.random()
        if self.is_integer and not self.log:
            return int(generator.integers(int(self.low), int(self.high) + 1))
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        value = low + share * (high - low)
        value = min(max(math.exp(value) if self.log else value, self.low), self.high)
        return round(value) if self.is_integer else value


@dataclass
class SearchResult:
    """What a search found.

    Attributes:
        best_params: the arguments of the best model.
        best_value: its value, the best of its epochs.
        best_model: the model, trained.
        trials: all arguments and values, in order.
    """

    best_params: Params = field(default_factory=dict)
    best_value: float = math.nan
    best_model: Module | None = None
    trials: list[tuple[Params, float]] = field(default_factory=list)


class _Search:
    """Trains and compares the models of a search."""

    def __init__(
        self, op: str, build: Builder, x: Any, y: Any, monitor: str, mode: str, options: Params
    ) -> None:
        self.monitor = Monitor(op, monitor, mode)
        self._watched = monitor
        self.result = SearchResult()
        self._build = build
        self._data = (x, y)
        self._options = {"verbose": 0, **options}

    def trial(self, params: Params) -> float:
        """Train a model and return its value, the best of its epochs (infinite if it has none)."""
        model = self._build(**params)
        history = fit(model, *self._data, **self._options).history
        value = self.monitor.worst
        # Values of the validation may be of some epochs alone.
        for epoch in range(len(history.get(self._watched) or history.get("loss", []))):
            logs = {name: values[epoch] for name, values in history.items() if epoch < len(values)}
            now = self.monitor.value(logs)
            value = now if self.monitor.is_better(now, value) else value
        found = self.result
        found.trials.append((params, value))
        if found.best_model is None or self.monitor.is_better(value, found.best_value):
            found.best_params, found.best_value, found.best_model = params, value, model
        return value


def _check_space(op: str, space: Mapping[str, Any], ranges: bool) -> None:
    if not isinstance(space, Mapping) or not space:
        raise TypeError(f"{op}: space is a {type(space).__name__}, expected a dict with options")
    for name, choices in space.items():
        if isinstance(choices, Range):
            if not ranges:
                raise TypeError(f"{op}: {name} is a Range, expected a list of choices")
        elif isinstance(choices, str) or not isinstance(choices, Sequence) or not len(choices):
            raise TypeError(
                f"{op}: {name} is a {type(choices).__name__}, expected a list of choices"
                + (" or a Range" if ranges else "")
            )


def grid_search(
    build: Builder,
    space: Mapping[str, Sequence[Any]],
    x: Any,
    y: Any = None,
    *,
    monitor: str = "val_loss",
    mode: str = "auto",
    **fit_options: Any,
) -> SearchResult:
    """Train a model for every combination of options, and return the best.

    Args:
        build: function from options to a compiled model.
        space: option -> choices.
        x: data for `fit`.
        y: targets for `fit`.
        monitor: the value in the history that is compared.
        mode: "min", "max", or "auto", which maximises accuracies and minimises the rest.
        **fit_options: for `fit`, with ``validation_split`` or ``validation_data``.

    Raises:
        TypeError: the space is no dict of lists.
        ValueError: the history lacks the value.
    """
    _check_space("grid_search", space, ranges=False)
    search = _Search("grid_search", build, x, y, monitor, mode, fit_options)
    for values in itertools.product(*space.values()):
        search.trial(dict(zip(space, values, strict=True)))
    return search.result


def _drawn(space: Mapping[str, Any], generator: np.random.Generator) -> Params:
    return {
        name: choices.draw(generator)
        if isinstance(choices, Range)
        else choices[int(generator.integers(len(choices)))]
        for name, choices in space.items()
    }


def _check_trials(op: str, trials: int) -> None:
    if check_int(op, "trials", trials) < 1:
        raise ValueError(f"{op}: trials is {trials}, expected at least 1")


def random_search(
    build: Builder,
    space: Mapping[str, Any],
    x: Any,
    y: Any = None,
    *,
    trials: int = 10,
    seed: Any = None,
    monitor: str = "val_loss",
    mode: str = "auto",
    **fit_options: Any,
) -> SearchResult:
    """Train models of random options, and return the best (Bergstra and Bengio 2012).

    Args:
        build: function from options to a compiled model.
        space: option -> a list of choices or a `Range`.
        x: data for `fit`.
        y: targets for `fit`.
        trials: the number of models.
        seed: fixes the options; None: the library's generator.
        monitor: the value in the history that is compared.
        mode: as in `grid_search`.
        **fit_options: for `fit`, with ``validation_split`` or ``validation_data``.

    Raises:
        TypeError: the space is no dict of lists and ranges.
        ValueError: the history lacks the value, or there is no trial.
    """
    _check_space("random_search", space, ranges=True)
    _check_trials("random_search", trials)
    search = _Search("random_search", build, x, y, monitor, mode, fit_options)
    generator = np.random.Generator(np.random.Philox(as_seed("random_search", seed)))
    for _ in range(trials):
        search.trial(_drawn(space, generator))
    return search.result


def _study(seed: int, maximize: bool) -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            "bayesian_search needs the package optuna: pip install 'gradsmith[search]'"
        ) from error
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        sampler = optuna.samplers.TPESampler(seed=seed % 2**32)
        direction = "maximize" if maximize else "minimize"
        return optuna.create_study(sampler=sampler, direction=direction)
    finally:
        optuna.logging.set_verbosity(verbosity)


def _suggested(trial: Any, space: Mapping[str, Any]) -> Params:
    params: Params = {}
    for name, choices in space.items():
        if not isinstance(choices, Range):
            # By position: optuna's own choices are numbers and strings only.
            params[name] = choices[trial.suggest_categorical(name, list(range(len(choices))))]
        elif choices.is_integer:
            params[name] = trial.suggest_int(name, choices.low, choices.high, log=choices.log)
        else:
            params[name] = trial.suggest_float(name, choices.low, choices.high, log=choices.log)
    return params


def bayesian_search(
    build: Builder,
    space: Mapping[str, Any],
    x: Any,
    y: Any = None,
    *,
    trials: int = 20,
    seed: Any = None,
    monitor: str = "val_loss",
    mode: str = "auto",
    **fit_options: Any,
) -> SearchResult:
    """Train models of options that earlier results make promising, and return the best.

    By optuna's tree-structured Parzen estimators (Bergstra et al. 2011). Arguments and errors are
    those of `random_search`.

    Raises:
        ImportError: optuna is missing (``pip install 'gradsmith[search]'``).
    """
    _check_space("bayesian_search", space, ranges=True)
    _check_trials("bayesian_search", trials)
    search = _Search("bayesian_search", build, x, y, monitor, mode, fit_options)
    study = _study(as_seed("bayesian_search", seed), search.monitor.worst < 0)
    for _ in range(trials):
        trial = study.ask()
        value = search.trial(_suggested(trial, space))
        if math.isfinite(value):
            study.tell(trial, value)
        else:
            study.tell(trial, state=_failed())
    return search.result


def _failed() -> Any:
    from optuna.trial import TrialState

    return TrialState.FAIL
