// SPDX-License-Identifier: Apache-2.0
#include "bindings/spatial.h"

#include "core/error.h"

namespace gradsmith::bindings {

std::int64_t unpack_int(const char* op, const char* option, py::handle value) {
  GS_CHECK_TYPE(PyIndex_Check(value.ptr()) && !PyBool_Check(value.ptr()), op, ": ", option,
                " holds a ", Py_TYPE(value.ptr())->tp_name, ", expected ints");
  const py::object number = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
  if (!number) throw py::error_already_set();
  int overflow = 0;
  const std::int64_t result = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
  GS_CHECK(overflow == 0, op, ": ", option, " is ", py::str(value).cast<std::string>(),
           ", which does not fit in 64 bits");
  return result;
}

int checked_spatial_ndim(const char* op, int ndim) {
  GS_CHECK(ndim >= 1 && ndim <= kSpatialDims, op, ": ", ndim, " spatial dimensions, expected 1 to ",
           kSpatialDims);
  return ndim;
}

void unpack_spatial(const char* op, const char* option, py::handle value, int ndim,
                    std::int64_t missing, std::int64_t* result) {
  const int first = first_spatial(checked_spatial_ndim(op, ndim));
  for (int d = 0; d < first; ++d) result[d] = missing;
  if (!PySequence_Check(value.ptr()) || PyUnicode_Check(value.ptr())) {
    const std::int64_t size = unpack_int(op, option, value);
    for (int d = first; d < kSpatialDims; ++d) result[d] = size;
    return;
  }
  const py::tuple values = py::tuple(py::reinterpret_borrow<py::object>(value));
  const int count = static_cast<int>(values.size());
  GS_CHECK(count == 1 || count == ndim, op, ": ", option, " has ", count,
           " values, expected an int or ", ndim, " of them");
  for (int d = first; d < kSpatialDims; ++d) {
    const int i = count == 1 ? 0 : d - first;
    result[d] = unpack_int(op, option, values[static_cast<std::size_t>(i)]);
  }
}

}  // namespace gradsmith::bindings
