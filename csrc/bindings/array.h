// SPDX-License-Identifier: Apache-2.0
// Arrays in and out of the kernels: views without copies, and new arrays for the outputs.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>

#include "core/shape.h"
#include "ops/run.h"

namespace gradsmith::bindings {

namespace py = pybind11;

// ---- the array layer, one file per kind of memory: array_numpy.cpp, array_cupy.cpp --------------

// To be called at import: statics take and release the GIL while they are made, so that two threads
// that need them first at the same time would wait for each other.
void load_arrays();

bool is_array(py::handle object);  // of this module's device

// A view of an array. TypeError if it is none of this device, has a dtype gradsmith lacks, foreign
// byte order or strides that are no multiple of the item size.
Array view(py::handle array, const char* op, const char* argument);

// A writable view for kernels that write into an array they are given.
Array writable_view(py::handle array, const char* op, const char* argument);

py::object empty(const Shape& shape, DType dtype,
                 Layout layout = Layout::channels_first);  // dense, not initialised
py::object zeros(const Shape& shape, DType dtype, Layout layout = Layout::channels_first);

// Another view of the memory of `owner`, which it keeps alive.
py::object read_only_view(py::handle owner, const Array& as);

// Whether an array is dense, writable and no view of memory that another object owns.
bool owns_memory(py::handle array);

// ---- the same for all of them -------------------------------------------------------------------

void load_dtypes();  // to be called by load_arrays

DType dtype_from(py::handle dtype, const char* op);  // a NumPy dtype object; TypeError otherwise
py::handle numpy_dtype(DType dtype);                 // held for the life of the process

// TypeError that names the device of an array, or the type of another object.
[[noreturn]] void refuse_array(py::handle object, const char* op, const char* argument);

std::string text_of(py::handle object);                    // its str()
Shape shape_from(const py::tuple& sizes, const char* op);  // ValueError for a negative size

py::object as_dtype(py::object array, DType dtype, const char* op, const char* argument);
py::object as_contiguous(py::object array, const char* op, const char* argument);

// A read-only view of x in a larger shape, repeated along `axes`: x has the other dimensions, and
// either none of these or 1 for each.
py::object spread(py::handle x, const py::tuple& shape, const py::tuple& axes);

// An input array in C order with the dtype asked for, kept alive while its view is used.
struct Input {
  py::object object;
  Array view;
};
Input contiguous_input(py::handle array, const char* op, const char* argument);

// The same in a given layout, or in the one it has (anything else becomes C order).
Input layout_input(py::handle array, Layout layout, const char* op, const char* argument);
Input dense_input(py::handle array, const char* op, const char* argument);

// Below this many elements of work, releasing the GIL costs more than it gives others.
constexpr std::int64_t kReleaseWork = 16384;

// pybind11's own class has a destructor that may not throw; a daemon thread that wants the GIL back
// while Python shuts down is ended by a forced unwinding, which would then abort the process.
class GilRelease {
 public:
  GilRelease() : state_(PyEval_SaveThread()) {}
  ~GilRelease() noexcept(false) { PyEval_RestoreThread(state_); }
  GilRelease(const GilRelease&) = delete;
  GilRelease& operator=(const GilRelease&) = delete;

 private:
  PyThreadState* state_;
};

template <class Params>
void run_released(const Slot<Params>& slot, const Params& params, std::int64_t work) {
  if (work < kReleaseWork) return run(slot, params);
  const GilRelease release;
  run(slot, params);
}

}  // namespace gradsmith::bindings
