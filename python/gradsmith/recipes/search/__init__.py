# SPDX-License-Identifier: Apache-2.0
"""Minimisers at work: along gradients, without them, over tours, over options of a training."""
