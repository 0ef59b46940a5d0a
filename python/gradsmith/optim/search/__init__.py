# SPDX-License-Identifier: Apache-2.0
"""Minimisers that need no gradient: over a box, by moves between neighbours, over tours.

Points are NumPy arrays. Every function returns a `SearchResult` and draws from a seed, or from the
library's generator (`gradsmith.manual_seed`), so that it can be repeated.
"""

from gradsmith.optim.search.colony import ant_colony as ant_colony
from gradsmith.optim.search.common import SearchResult as SearchResult
from gradsmith.optim.search.local import iterated_local_search as iterated_local_search
from gradsmith.optim.search.local import simulated_annealing as simulated_annealing
from gradsmith.optim.search.local import tabu_search as tabu_search
from gradsmith.optim.search.population import differential_evolution as differential_evolution
from gradsmith.optim.search.population import genetic_algorithm as genetic_algorithm
from gradsmith.optim.search.population import particle_swarm as particle_swarm
from gradsmith.optim.search.population import random_search as random_search
