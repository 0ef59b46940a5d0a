# SPDX-License-Identifier: Apache-2.0
"""The 3x4 grid world: where to go when one move in five slips to the side.

Two ends, +1 and -1, a wall, and -0.04 for every other step; moves succeed with 80 % and go to
either side with 10 % each (Russell and Norvig, "Artificial Intelligence", 1995). Value iteration
and policy iteration find the values that solve Bellman's equations, ``V(s) = max_a sum_s' p(s' | s,
a) (r + gamma V(s'))``, in closed form.
"""

from __future__ import annotations

import numpy as np

from gradsmith import viz
from gradsmith.recipes.reinforcement import planning
from gradsmith.recipes.reinforcement.worlds import GridWorld
from gradsmith.recipes.run import Run

OPTIONS = {"gamma": 1.0, "step": -0.04, "slip": 0.2}
ROWS = ("...+", ".#.-", "S...")
ENDS = {"+": 1.0, "-": -1.0}
PUBLISHED = 0.705  # value of the start


def main(run: Run) -> None:
    """Plan in three ways, then walk."""
    world = GridWorld(ROWS, ENDS, run.option("step"), run.option("slip"))
    known = world.transitions, world.rewards, run.option("gamma")
    values, changes = planning.value_iteration(*known)
    iterated, policy, tried = planning.policy_iteration(*known)
    exact = planning.solution(*known, policy)
    for change in changes:
        run.log(change=change)
    apart = (values - exact).abs().max().item()
    run.figure("value iteration from the closed solution", apart, at_most=1e-9)
    apart = (iterated - exact).abs().max().item()
    run.figure("policy iteration from the closed solution", apart, at_most=1e-9)
    run.figure("sweeps of value iteration", len(changes))
    run.figure("policies that policy iteration tried", tried, at_most=10)
    start = exact[world.start].item()
    published = {name: run.option(name) for name in OPTIONS} == OPTIONS
    bounds = {"at_least": PUBLISHED - 1e-3, "at_most": PUBLISHED + 1e-3} if published else {}
    run.figure("value of the start", start, **bounds)
    if run.option("gamma") == 1.0:
        random, rewards = np.random.default_rng(run.seed), world.rewards.numpy()
        walks = [world.walk(policy, random) for _ in range(run.choose(5000, 500))]
        mean = float(np.mean([rewards[walk].sum() for walk in walks]))
        run.figure("mean reward of walks less that value", abs(mean - start), at_most=0.1)
    picture = viz.plot_value_grid(world.on_grid(exact), world.shown(policy), world.walls)
    run.picture("values", picture, "Values and best moves; beside -1 it pays to take the long way.")
    curve = viz.plot_curves(run.history, xlabel="sweep", ylabel="largest change", yscale="log")
    run.picture("changes", curve, "Value iteration converges at an even pace.")
