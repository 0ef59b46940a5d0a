// SPDX-License-Identifier: Apache-2.0
// Linking this program proves that every slot of the op list has its reference.
#include "ops/run.h"

int main() { return gradsmith::table().gemm.count > 0 ? 0 : 1; }
