// SPDX-License-Identifier: Apache-2.0
// The array layer for host memory: numpy.ndarray on the CPU, a subclass of it in the simulator.
#include "bindings/array_numpy.h"

#include <cstring>

#include "bindings/array.h"
#include "core/allocator.h"
#include "core/error.h"

namespace gradsmith::bindings {
namespace {

// The exact type of our arrays: instances of other types, subclasses too, lie on other devices.
PyTypeObject* array_type = nullptr;

// Outputs below this size come from NumPy's own small-block cache, which needs no capsule.
std::int64_t small_bytes = 16384;

// Name of the capsules that hold our blocks.
constexpr char kOwner[] = "gradsmith";

const py::detail::npy_api& numpy() {
  static const py::detail::npy_api& api = py::detail::npy_api::get();
  return api;
}

py::detail::PyArray_Proxy* proxy(py::handle array) { return py::detail::array_proxy(array.ptr()); }

}  // namespace

void load_arrays() {
  array_type = numpy().PyArray_Type_;
  load_dtypes();
}

void set_array_type(py::handle type) {
  GS_CHECK_TYPE(PyType_Check(type.ptr()), "set_array_type: got no type");
  array_type = reinterpret_cast<PyTypeObject*>(type.inc_ref().ptr());
}

void own_small_blocks() { small_bytes = 0; }

bool is_array(py::handle object) { return Py_TYPE(object.ptr()) == array_type; }

Array view(py::handle array, const char* op, const char* argument) {
  if (GS_UNLIKELY(!is_array(array))) refuse_array(array, op, argument);
  const py::detail::PyArray_Proxy* source = proxy(array);
  Array result;
  result.data = source->data;
  result.dtype = dtype_from(source->descr, op);
  GS_CHECK(source->nd <= kMaxDims, op, ": ", argument, " has ", source->nd, " dimensions, at most ",
           kMaxDims, " are supported");
  const std::int64_t item = size_of(result.dtype);
  result.shape.ndim = source->nd;
  for (int d = 0; d < source->nd; ++d) {
    result.shape[d] = source->dimensions[d];
    result.stride[d] = source->strides[d] / item;
    GS_CHECK(source->strides[d] % item == 0 || source->dimensions[d] <= 1, op, ": ", argument,
             " has strides that are no multiple of its item size (copy it first)");
  }
  GS_CHECK((source->flags & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0, op, ": ", argument,
           " is not aligned to its item size (copy it first)");
  return result;
}

Array writable_view(py::handle array, const char* op, const char* argument) {
  Array result = view(array, op, argument);
  GS_CHECK((proxy(array)->flags & py::detail::npy_api::NPY_ARRAY_WRITEABLE_) != 0, op, ": ",
           argument, " is read-only");
  const bool is_empty = checked_count(result.shape) == 0;  // NumPy gives those any strides
  for (int d = 0; d < result.ndim(); ++d) {
    GS_CHECK(is_empty || result.stride[d] != 0 || result.size(d) == 1, op, ": ", argument,
             " repeats its elements along dimension ", d, ", expected memory of its own for each");
  }
  return result;
}

py::object empty(const Shape& shape, DType dtype, Layout layout) {
  const std::int64_t item = size_of(dtype);
  const std::int64_t bytes = checked_count(shape, item) * item;
  PyObject* descriptor = numpy_dtype(dtype).inc_ref().ptr();  // NewFromDescr steals it
  std::int64_t stride[kMaxDims];
  dense_strides(shape, layout, stride);
  Py_intptr_t dims[kMaxDims], steps[kMaxDims];
  for (int d = 0; d < shape.ndim; ++d) {
    dims[d] = shape[d];
    steps[d] = stride[d] * item;
  }
  void* block = bytes < small_bytes ? nullptr : allocate(static_cast<std::size_t>(bytes));
  PyObject* array =
      numpy().PyArray_NewFromDescr_(array_type, descriptor, shape.ndim, dims,
                                    layout == Layout::channels_first ? nullptr : steps, block,
                                    block == nullptr ? 0
                                                     : py::detail::npy_api::NPY_ARRAY_WRITEABLE_ |
                                                           py::detail::npy_api::NPY_ARRAY_ALIGNED_,
                                    nullptr);
  if (array == nullptr) {
    if (block != nullptr) deallocate(block);
    throw py::error_already_set();
  }
  py::object result = py::reinterpret_steal<py::object>(array);
  if (block != nullptr) {
    py::capsule owner(block, kOwner,
                      [](PyObject* capsule) { deallocate(PyCapsule_GetPointer(capsule, kOwner)); });
    numpy().PyArray_SetBaseObject_(array, owner.release().ptr());
  }
  return result;
}

py::object zeros(const Shape& shape, DType dtype, Layout layout) {
  py::object result = empty(shape, dtype, layout);
  std::memset(proxy(result)->data, 0,
              static_cast<std::size_t>(checked_count(shape) * size_of(dtype)));
  return result;
}

py::object read_only_view(py::handle owner, const Array& as) {
  PyObject* descriptor = numpy_dtype(as.dtype).inc_ref().ptr();
  Py_intptr_t dims[kMaxDims], steps[kMaxDims];
  for (int d = 0; d < as.ndim(); ++d) {
    dims[d] = as.size(d);
    steps[d] = as.stride[d] * size_of(as.dtype);
  }
  PyObject* array =
      numpy().PyArray_NewFromDescr_(array_type, descriptor, as.ndim(), dims, steps, as.data,
                                    py::detail::npy_api::NPY_ARRAY_ALIGNED_, nullptr);
  if (array == nullptr) throw py::error_already_set();
  py::object result = py::reinterpret_steal<py::object>(array);
  numpy().PyArray_SetBaseObject_(array, owner.inc_ref().ptr());
  return result;
}

bool owns_memory(py::handle array) {
  const py::detail::PyArray_Proxy* source = proxy(array);
  if ((source->flags & py::detail::npy_api::NPY_ARRAY_WRITEABLE_) == 0) return false;
  if (source->base != nullptr) return PyCapsule_IsValid(source->base, kOwner) != 0;
  return (source->flags & py::detail::npy_api::NPY_ARRAY_OWNDATA_) != 0 &&
         (source->flags & py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_) != 0;
}

}  // namespace gradsmith::bindings
