# SPDX-License-Identifier: Apache-2.0
"""Declares methods that reduce, scan, sort and count, and of `statistics` and `distance`."""

import builtins
from typing import Any

from gradsmith.ops.reduce import Dim, MinAndMax, ValuesAndIndices
from gradsmith.ops.sorting_counts import Histogram
from gradsmith.tensor import Tensor

class ReduceMethods:
    # ops.reduce
    def sum(
        self, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None
    ) -> Tensor: ...
    def mean(
        self, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None
    ) -> Tensor: ...
    def prod(
        self, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None
    ) -> Tensor: ...
    def amax(self, dim: Dim = None, keepdim: builtins.bool = False) -> Tensor: ...
    def amin(self, dim: Dim = None, keepdim: builtins.bool = False) -> Tensor: ...
    def max(self, dim: Any = None, keepdim: builtins.bool = False) -> Any: ...
    def min(self, dim: Any = None, keepdim: builtins.bool = False) -> Any: ...
    def argmax(self, dim: builtins.int | None = None, keepdim: builtins.bool = False) -> Tensor: ...
    def argmin(self, dim: builtins.int | None = None, keepdim: builtins.bool = False) -> Tensor: ...
    def any(self, dim: Dim = None, keepdim: builtins.bool = False) -> Tensor: ...
    def all(self, dim: Dim = None, keepdim: builtins.bool = False) -> Tensor: ...
    def cumsum(self, dim: builtins.int, *, dtype: Any = None) -> Tensor: ...
    def cumprod(self, dim: builtins.int, *, dtype: Any = None) -> Tensor: ...
    def count_nonzero(self, dim: Dim = None) -> Tensor: ...
    def aminmax(
        self, *, dim: builtins.int | None = None, keepdim: builtins.bool = False
    ) -> MinAndMax: ...
    def nansum(
        self, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None
    ) -> Tensor: ...
    def nanmean(
        self, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None
    ) -> Tensor: ...

    # ops.reduce_moments
    def var(
        self,
        dim: Any = None,
        unbiased: builtins.bool | None = None,
        keepdim: builtins.bool = False,
        *,
        correction: builtins.float | None = None,
    ) -> Tensor: ...
    def std(
        self,
        dim: Any = None,
        unbiased: builtins.bool | None = None,
        keepdim: builtins.bool = False,
        *,
        correction: builtins.float | None = None,
    ) -> Tensor: ...

    # ops.reduce_scan
    def cummax(self, dim: builtins.int) -> ValuesAndIndices: ...
    def cummin(self, dim: builtins.int) -> ValuesAndIndices: ...
    def logcumsumexp(self, dim: builtins.int) -> Tensor: ...
    def diff(
        self,
        n: builtins.int = 1,
        dim: builtins.int = -1,
        prepend: Tensor | None = None,
        append: Tensor | None = None,
    ) -> Tensor: ...

    # ops.sorting
    def sort(
        self,
        dim: builtins.int = -1,
        descending: builtins.bool = False,
        stable: builtins.bool = True,
    ) -> ValuesAndIndices: ...
    def argsort(
        self,
        dim: builtins.int = -1,
        descending: builtins.bool = False,
        stable: builtins.bool = True,
    ) -> Tensor: ...
    def msort(self) -> Tensor: ...
    def topk(
        self,
        k: builtins.int,
        dim: builtins.int = -1,
        largest: builtins.bool = True,
        sorted: builtins.bool = True,
    ) -> ValuesAndIndices: ...
    def median(self, dim: builtins.int | None = None, keepdim: builtins.bool = False) -> Any: ...
    def nanmedian(self, dim: builtins.int | None = None, keepdim: builtins.bool = False) -> Any: ...
    def kthvalue(
        self, k: builtins.int, dim: builtins.int = -1, keepdim: builtins.bool = False
    ) -> ValuesAndIndices: ...
    def mode(self, dim: builtins.int = -1, keepdim: builtins.bool = False) -> ValuesAndIndices: ...

    # ops.sorting_quantile
    def quantile(
        self,
        q: builtins.float | Tensor,
        dim: builtins.int | None = None,
        keepdim: builtins.bool = False,
        *,
        interpolation: str = "linear",
    ) -> Tensor: ...
    def nanquantile(
        self,
        q: builtins.float | Tensor,
        dim: builtins.int | None = None,
        keepdim: builtins.bool = False,
        *,
        interpolation: str = "linear",
    ) -> Tensor: ...

    # ops.sorting_search
    def unique(
        self,
        sorted: builtins.bool = True,
        return_inverse: builtins.bool = False,
        return_counts: builtins.bool = False,
        dim: builtins.int | None = None,
    ) -> Any: ...
    def unique_consecutive(
        self,
        return_inverse: builtins.bool = False,
        return_counts: builtins.bool = False,
        dim: builtins.int | None = None,
    ) -> Any: ...
    def nonzero(self, *, as_tuple: builtins.bool = False) -> Any: ...
    def argwhere(self) -> Tensor: ...

    # ops.sorting_counts
    def bincount(self, weights: Tensor | None = None, minlength: builtins.int = 0) -> Tensor: ...
    def histc(
        self, bins: builtins.int = 100, min: builtins.float = 0, max: builtins.float = 0
    ) -> Tensor: ...
    def histogram(
        self,
        bins: builtins.int | Tensor,
        *,
        range: tuple[builtins.float, builtins.float] | None = None,
        weight: Tensor | None = None,
        density: builtins.bool = False,
    ) -> Histogram: ...

    # ops.statistics
    def cov(
        self,
        *,
        correction: builtins.float = 1,
        fweights: Tensor | None = None,
        aweights: Tensor | None = None,
    ) -> Tensor: ...
    def corrcoef(self) -> Tensor: ...
    def renorm(self, p: builtins.float, dim: builtins.int, maxnorm: builtins.float) -> Tensor: ...

    # ops.distance
    def dist(self, other: Tensor, p: builtins.float = 2) -> Tensor: ...
