# SPDX-License-Identifier: Apache-2.0
"""Energy models: Boltzmann machines, restricted and deep."""
