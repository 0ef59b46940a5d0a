// SPDX-License-Identifier: Apache-2.0
// NumPy's dtype objects, which the arrays of every device have.
#include "bindings/array.h"
#include "core/error.h"

namespace gradsmith::bindings {
namespace {

const py::detail::npy_api& numpy() {
  static const py::detail::npy_api& api = py::detail::npy_api::get();
  return api;
}

// NumPy's descriptor objects of our dtypes, held for the life of the process.
struct Descriptors {
  PyObject* of[kDTypeCount];
  int type_number[kDTypeCount];

  Descriptors() {
    set(DType::boolean, py::dtype("bool"));
    set(DType::uint8, py::dtype("uint8"));
    set(DType::int32, py::dtype("int32"));
    set(DType::int64, py::dtype("int64"));
    set(DType::float16, py::dtype("float16"));
    set(DType::float32, py::dtype("float32"));
    set(DType::float64, py::dtype("float64"));
    set(DType::bfloat16, py::dtype::from_args(py::module_::import("ml_dtypes").attr("bfloat16")));
  }

  void set(DType dtype, py::dtype descriptor) {
    type_number[static_cast<int>(dtype)] = descriptor.num();
    of[static_cast<int>(dtype)] = descriptor.release().ptr();
  }

  // -1 where gradsmith lacks the dtype.
  int find(PyObject* descriptor) const {
    for (int i = 0; i < kDTypeCount; ++i) {
      if (of[i] == descriptor) return i;
    }
    const auto* proxy = reinterpret_cast<py::detail::PyArrayDescr_Proxy*>(descriptor);
    if (proxy->byteorder != '=' && proxy->byteorder != '|') return -1;
    for (int i = 0; i < kDTypeCount; ++i) {
      if (type_number[i] == proxy->type_num) return i;
    }
    // long long has a number of its own though it is int64.
    constexpr int kLongLong = 9;
    return proxy->type_num == kLongLong ? static_cast<int>(DType::int64) : -1;
  }
};

const Descriptors& descriptors() {
  static const Descriptors* instance = new Descriptors;
  return *instance;
}

}  // namespace

std::string text_of(py::handle object) { return py::str(object).cast<std::string>(); }

void load_dtypes() {
  numpy();
  descriptors();
}

DType dtype_from(py::handle dtype, const char* op) {
  const bool is_descriptor = PyObject_TypeCheck(dtype.ptr(), numpy().PyArrayDescr_Type_);
  const int found = is_descriptor ? descriptors().find(dtype.ptr()) : -1;
  GS_CHECK_TYPE(found >= 0, op, ": dtype ", text_of(dtype),
                " is not one of bool, uint8, int32, int64, bfloat16, float16, float32, float64 "
                "(native byte order)");
  return static_cast<DType>(found);
}

py::handle numpy_dtype(DType dtype) { return descriptors().of[static_cast<int>(dtype)]; }

}  // namespace gradsmith::bindings
