# SPDX-License-Identifier: Apache-2.0
"""Single neurons, and networks of them that learn without back-propagation."""
