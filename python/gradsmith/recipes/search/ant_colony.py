# SPDX-License-Identifier: Apache-2.0
"""Ants find short round trips.

An ant goes from i on to j with probability proportional to ``trail^alpha / distance^beta``; trails
evaporate, and each ant strengthens those it took by the inverse length of its trip (Dorigo,
Maniezzo and Colorni 1996). On a circle the shortest trip is known; in the square the ants have to
beat the trip that always goes on to the nearest place, and, as early, ants that leave no trails.
"""

from __future__ import annotations

from typing import Any

from gradsmith.optim.search import SearchResult, ant_colony
from gradsmith.recipes.run import Run
from gradsmith.recipes.search import tours
from gradsmith.viz import canvas

OPTIONS = {"places": 40}
CIRCLE = 20


def main(run: Run) -> None:
    """Go round a circle, then through random places."""
    iterations = run.epochs(full=200, quick=40)
    count = run.option("places")
    circle = tours.on_circle(CIRCLE, run.seed)
    found = ant_colony(tours.distances(circle), iterations=40, seed=run.seed)
    over = found.value / tours.circle_length(CIRCLE)
    run.figure("length on the circle over the shortest", over, at_most=1.0001)
    places = tours.in_square(count, run.seed)
    between = tours.distances(places)
    trip = ant_colony(between, iterations=iterations, seed=run.seed)
    simple = tours.nearest_neighbour(between)
    share = trip.value / tours.length(simple, between)
    run.figure("length over that to nearest neighbours", share, at_most=0.95, quick=0.98)
    strays = ant_colony(between, alpha=0.0, iterations=40, seed=run.seed)
    gain = trip.history[: len(strays.history)][-1] / strays.value
    run.figure("the same over that of ants without trails, early", gain, at_most=0.98)
    caption = f"{count} places: always to the nearest, and the ants' best trip."
    pictures = {"nearest neighbour": simple, "ants": trip.x}
    run.picture("trips", tours.plot_tours(places, pictures), caption)
    run.picture("lengths", _plot(trip), "Length of the best trip so far.")


def _plot(trip: SearchResult) -> Any:
    ax = canvas.new_axes()
    ax.plot(trip.history)
    ax.set_xlabel("iteration")
    ax.set_ylabel("length")
    return ax.figure
