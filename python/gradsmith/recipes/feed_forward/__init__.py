# SPDX-License-Identifier: Apache-2.0
"""Feed-forward networks and the linear models they grew from."""
