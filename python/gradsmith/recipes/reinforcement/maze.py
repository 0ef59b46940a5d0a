# SPDX-License-Identifier: Apache-2.0
"""The way out of a maze, by the values of its cells.

Only the exit has a reward, and each step before it discounts it by gamma, so the value of a cell is
``gamma^distance`` and the best policy is the shortest way (Bellman 1957). The maze is made by a
random depth-first search that digs through walls; some more are opened, so that there are several
ways.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from gradsmith import viz
from gradsmith.recipes.reinforcement import planning
from gradsmith.recipes.reinforcement.worlds import MOVES, START, WALL, GridWorld
from gradsmith.recipes.run import Run

OPTIONS = {"rooms": 7, "gamma": 0.95}
EXIT = "E"


def maze(rooms: int, seed: int) -> list[str]:
    """Return the rows of a maze of rooms x rooms, with walls between and around them."""
    random = np.random.default_rng(seed)
    size = 2 * rooms + 1
    kinds = [[WALL] * size for _ in range(size)]
    kinds[1][1] = "."
    trail = [(1, 1)]
    while trail:
        row, column = trail[-1]
        ways = [
            (row + 2 * down, column + 2 * across, row + down, column + across)
            for down, across in MOVES
            if 0 < row + 2 * down < size and 0 < column + 2 * across < size
        ]
        ways = [way for way in ways if kinds[way[0]][way[1]] == WALL]
        if not ways:
            trail.pop()
            continue
        room_row, room_column, door_row, door_column = ways[random.integers(len(ways))]
        kinds[room_row][room_column] = kinds[door_row][door_column] = "."
        trail.append((room_row, room_column))
    for row, column in random.integers(1, rooms, size=(rooms, 2)).tolist():
        kinds[2 * row][2 * column - 1] = "."
    kinds[1][1], kinds[-2][-2] = START, EXIT
    return ["".join(row) for row in kinds]


def distances(world: GridWorld) -> list[int]:
    """Return how many steps each state is from the exit, by breadth-first search."""
    place = {cell: state for state, cell in enumerate(world.cells)}
    exit_ = int(world.terminal.argmax())
    steps = {exit_: 0}
    queue = deque([exit_])
    while queue:
        row, column = world.cells[queue[0]]
        for down, across in MOVES:
            state = place.get((row + down, column + across))
            if state is not None and state not in steps:
                steps[state] = steps[queue[0]] + 1
                queue.append(state)
        queue.popleft()
    return [steps[state] for state in range(len(world.cells))]


def main(run: Run) -> None:
    """Plan and walk."""
    rooms, gamma = run.choose(run.option("rooms"), 5), run.option("gamma")
    world = GridWorld(maze(rooms, run.seed), {EXIT: 1.0}, step=0.0, slip=0.0)
    known = world.transitions, world.rewards, gamma
    values, changes = planning.value_iteration(*known)
    iterated, policy, tried = planning.policy_iteration(*known)
    far = distances(world)
    expected = gamma ** np.array(far)
    run.figure(
        "value iteration from gamma^distance", abs(values.numpy() - expected).max(), at_most=1e-9
    )
    run.figure(
        "policy iteration from gamma^distance", abs(iterated.numpy() - expected).max(), at_most=1e-9
    )
    run.figure("sweeps of value iteration", len(changes))
    run.figure("policies that policy iteration tried", tried)
    walk = world.walk(policy, np.random.default_rng(run.seed))
    shortest = far[world.start]
    run.figure("steps beyond the shortest way", len(walk) - 1 - shortest, at_least=0, at_most=0)
    run.figure("steps from start to exit", shortest)
    on_way = np.where(np.isin(np.arange(len(far)), walk), policy.numpy(), -1)
    picture = viz.plot_value_grid(world.on_grid(values), world.on_grid(on_way, -1), world.walls)
    run.picture("way", picture, "Values, and the way out from the corner above left.")
