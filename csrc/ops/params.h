// SPDX-License-Identifier: Apache-2.0
// The Params of every family: all that a kernel file needs to know of csrc/ops.
#pragma once

#include "ops/elementwise.h"
#include "ops/gemm.h"
#include "ops/reduce.h"
