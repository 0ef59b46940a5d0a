// SPDX-License-Identifier: Apache-2.0
// Kernels with a fault that can be put in, for the tests of the simulator.
#pragma once

#include <string>
#include <vector>

namespace gradsmith::cudasim {

std::vector<std::string> fault_names();

// What the kernel computes with the fault or without. ValueError for an unknown name; DeviceError
// where the simulator catches it.
std::vector<float> run_fault(const std::string& name, bool is_faulty);

// One warp reads `count` floats per lane from global or shared memory, its lanes `stride` apart.
void run_strided_reads(bool from_shared, int stride, int count);

// One warp loads four matrices whose rows lie `row_bytes` apart.
void run_matrix_load(int row_bytes);

// 16 pixels of four floats from an image of 5 x 8 that counts from 1 on, each moved by a column and
// a row: those of a window over columns -1, 1 and 3 of every row, from a position on.
std::vector<float> run_gathered_pixels(int column, int row);

}  // namespace gradsmith::cudasim
