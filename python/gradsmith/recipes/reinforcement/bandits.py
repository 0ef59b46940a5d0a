# SPDX-License-Identifier: Apache-2.0
"""Bandits: how much is lost while one finds out which arm pays best.

Each arm pays 1 with a probability of its own. Epsilon-greedy takes a random arm now and then; UCB1
the arm of the largest ``mean + sqrt(2 ln t / n)`` (Auer, Cesa-Bianchi and Fischer 2002); Thompson
sampling draws a probability for each arm from its posterior Beta(wins + 1, losses + 1) and takes
the best (Thompson 1933). Regret is what the best arm would have earned beyond that. It grows in
proportion to time for a fixed epsilon, like its logarithm for the others (Lai and Robbins 1985).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradsmith import viz
from gradsmith.backend import Array
from gradsmith.metrics import Regret
from gradsmith.recipes.run import Run

OPTIONS = {"arms": 10, "epsilon": 0.1}
Choose = Callable[[Array, Array, int, np.random.Generator], Array]


def epsilon_greedy(epsilon: float) -> Choose:
    """Return a rule that tries a random arm with probability epsilon, else the best so far."""

    def choose(wins: Array, pulls: Array, step: int, random: np.random.Generator) -> Array:
        means = wins / np.maximum(pulls, 1)
        guess = random.integers(wins.shape[1], size=len(wins))
        tries = random.uniform(size=len(wins)) < epsilon
        return np.where(tries, guess, means.argmax(axis=1))

    return choose


def ucb(wins: Array, pulls: Array, step: int, random: np.random.Generator) -> Array:
    """Return the arm of the largest upper confidence bound; arms never tried come first."""
    tried = np.maximum(pulls, 1)
    bounds = wins / tried + np.sqrt(2 * np.log(step + 1) / tried)
    return np.asarray(np.where(pulls == 0, np.inf, bounds).argmax(axis=1))


def thompson(wins: Array, pulls: Array, step: int, random: np.random.Generator) -> Array:
    """Return the best arm of a draw from the posteriors."""
    return np.asarray(random.beta(wins + 1, pulls - wins + 1).argmax(axis=1))


def play(choose: Choose, chances: Array, steps: int, seed: int) -> Array:
    """Return the regret after each step (steps,), mean over bandits with chances (B, K)."""
    random = np.random.default_rng(seed)
    wins, pulls = np.zeros_like(chances), np.zeros_like(chances)
    everyone, best = np.arange(len(chances)), chances.max(axis=1)
    regret, course = Regret(), []
    for step in range(steps):
        arms = choose(wins, pulls, step, random)
        chosen = chances[everyone, arms]
        wins[everyone, arms] += random.uniform(size=len(chances)) < chosen
        pulls[everyone, arms] += 1
        regret.update(chosen, best)
        course.append(regret.result() / len(chances))
    return np.array(course)


def main(run: Run) -> None:
    """Play many bandits by each rule."""
    bandits, steps = run.choose((500, 5000), (100, 1000))
    arms = run.option("arms")
    chances = np.random.default_rng(run.seed).uniform(size=(bandits, arms))
    rules = {
        f"epsilon {run.option('epsilon')}": epsilon_greedy(run.option("epsilon")),
        "UCB1": ucb,
        "Thompson": thompson,
    }
    courses = {
        name: play(choose, chances, steps, run.seed)
        for name, choose in run.progress(rules.items(), "rules")
    }
    run.history.update({name: course[:: steps // 100].tolist() for name, course in courses.items()})
    greedy, upper, sampled = (course[-1] for course in courses.values())
    run.figure("regret of epsilon-greedy", greedy)
    run.figure("regret of UCB1", upper)
    run.figure("regret of Thompson sampling", sampled, at_most=60.0, quick=40.0)
    run.figure("that over epsilon-greedy's", sampled / greedy, at_most=0.5, quick=0.9)
    late = {name: course[-1] - course[steps // 2] for name, course in courses.items()}
    run.table(
        f"Regret, mean of {bandits} bandits with {arms} arms",
        ["rule", "in all", f"in the last {steps - steps // 2} steps"],
        [[name, float(course[-1]), float(late[name])] for name, course in courses.items()],
    )
    picture = viz.plot_curves(courses, xlabel="step", ylabel="regret")
    run.picture("regret", picture, "A fixed epsilon goes on paying; the others find out and stop.")
