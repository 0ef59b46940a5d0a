# SPDX-License-Identifier: Apache-2.0
"""Networks that find objects in images."""
