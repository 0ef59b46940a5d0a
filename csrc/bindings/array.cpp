// SPDX-License-Identifier: Apache-2.0
#include "bindings/array.h"

#include <cstring>

#include "core/allocator.h"
#include "core/error.h"

namespace gradsmith::bindings {
namespace {

// Outputs below this size come from NumPy's own small-block cache, which needs no capsule.
constexpr std::int64_t kSmallBytes = 16384;

// Name of the capsules that hold our blocks.
constexpr char kOwner[] = "gradsmith";

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

py::detail::PyArray_Proxy* proxy(py::handle array) { return py::detail::array_proxy(array.ptr()); }

std::string text_of(py::handle object) { return py::str(object).cast<std::string>(); }

}  // namespace

void load_numpy() {
  numpy();
  descriptors();
}

bool is_array(py::handle object) { return numpy().PyArray_Check_(object.ptr()); }

DType dtype_from(py::handle dtype, const char* op) {
  const bool is_descriptor = PyObject_TypeCheck(dtype.ptr(), numpy().PyArrayDescr_Type_);
  const int found = is_descriptor ? descriptors().find(dtype.ptr()) : -1;
  GS_CHECK_TYPE(found >= 0, op, ": dtype ", text_of(dtype),
                " is not one of bool, uint8, int32, int64, bfloat16, float32, float64 (native byte "
                "order)");
  return static_cast<DType>(found);
}

py::object numpy_dtype(DType dtype) {
  return py::reinterpret_borrow<py::object>(descriptors().of[static_cast<int>(dtype)]);
}

Array view(py::handle array, const char* op, const char* argument) {
  GS_CHECK_TYPE(is_array(array), op, ": ", argument, " is a ", Py_TYPE(array.ptr())->tp_name,
                ", expected an array on the CPU");
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

Shape shape_from(const py::tuple& sizes, const char* op) {
  Shape shape;
  for (const py::handle size : sizes) {
    GS_CHECK_TYPE(PyLong_Check(size.ptr()), op, ": size ", text_of(size), " is a ",
                  Py_TYPE(size.ptr())->tp_name, ", expected an int");
    int overflow = 0;
    const std::int64_t value = PyLong_AsLongLongAndOverflow(size.ptr(), &overflow);
    GS_CHECK_AS(MemoryError, overflow == 0, op, ": size ", text_of(size), " is too large");
    GS_CHECK(value >= 0, op, ": size ", value, " is negative");
    shape.append(value);
  }
  return shape;
}

py::object empty(const Shape& shape, DType dtype, Layout layout) {
  const std::int64_t item = size_of(dtype);
  const std::int64_t bytes = checked_count(shape, item) * item;
  PyObject* descriptor = descriptors().of[static_cast<int>(dtype)];
  Py_INCREF(descriptor);  // NewFromDescr steals it
  std::int64_t stride[kMaxDims];
  dense_strides(shape, layout, stride);
  Py_intptr_t dims[kMaxDims], steps[kMaxDims];
  for (int d = 0; d < shape.ndim; ++d) {
    dims[d] = shape[d];
    steps[d] = stride[d] * item;
  }
  void* block = bytes < kSmallBytes ? nullptr : allocate(static_cast<std::size_t>(bytes));
  PyObject* array =
      numpy().PyArray_NewFromDescr_(numpy().PyArray_Type_, descriptor, shape.ndim, dims,
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

py::object zeros(const Shape& shape, DType dtype) {
  py::object result = empty(shape, dtype);
  std::memset(proxy(result)->data, 0,
              static_cast<std::size_t>(checked_count(shape) * size_of(dtype)));
  return result;
}

py::object spread(py::handle x, const py::tuple& shape, const py::tuple& axes) {
  const Array source = view(x, "spread", "input");
  const Shape wanted = shape_from(shape, "spread");
  bool repeats[kMaxDims] = {};
  for (const py::handle axis : axes) {
    repeats[checked_axis("spread", axis.cast<std::int64_t>(), wanted.ndim)] = true;
  }
  const bool keeps = source.ndim() == wanted.ndim;
  Py_intptr_t dims[kMaxDims], steps[kMaxDims];
  int from = 0;
  for (int d = 0; d < wanted.ndim; ++d) {
    dims[d] = wanted[d];
    steps[d] = 0;
    if (repeats[d]) {
      from += keeps ? 1 : 0;
      continue;
    }
    GS_CHECK(from < source.ndim() && source.size(from) == wanted[d], "spread: input of shape ",
             to_string(source.shape), " does not fit into ", to_string(wanted));
    steps[d] = source.stride[from++] * size_of(source.dtype);
  }
  GS_CHECK(from == source.ndim(), "spread: input of shape ", to_string(source.shape),
           " does not fit into ", to_string(wanted));
  PyObject* descriptor = descriptors().of[static_cast<int>(source.dtype)];
  Py_INCREF(descriptor);
  PyObject* array =
      numpy().PyArray_NewFromDescr_(numpy().PyArray_Type_, descriptor, wanted.ndim, dims, steps,
                                    source.data, py::detail::npy_api::NPY_ARRAY_ALIGNED_, nullptr);
  if (array == nullptr) throw py::error_already_set();
  py::object result = py::reinterpret_steal<py::object>(array);
  numpy().PyArray_SetBaseObject_(array, x.inc_ref().ptr());
  return result;
}

bool owns_memory(py::handle array) {
  const py::detail::PyArray_Proxy* source = proxy(array);
  if ((source->flags & py::detail::npy_api::NPY_ARRAY_WRITEABLE_) == 0) return false;
  if (source->base != nullptr) return PyCapsule_IsValid(source->base, kOwner) != 0;
  return (source->flags & py::detail::npy_api::NPY_ARRAY_OWNDATA_) != 0 &&
         (source->flags & py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_) != 0;
}

namespace {

// A copy of `source` with that dtype in that layout.
py::object converted(const Array& source, DType dtype, Layout layout, const char* op) {
  py::object result = empty(source.shape, dtype, layout);
  const Array* inputs[] = {&source};
  ElementwiseParams p{};
  p.dtype = source.dtype;
  p.out_dtype = dtype;
  set_layout(p, view(result, op, "out"), inputs, 1);
  run_released(table().convert, p, p.count);
  return result;
}

}  // namespace

py::object as_dtype(py::object array, DType dtype, const char* op, const char* argument) {
  const Array source = view(array, op, argument);
  if (source.dtype == dtype) return array;
  return converted(source, dtype, layout_of(source), op);
}

py::object as_contiguous(py::object array, const char* op, const char* argument) {
  const Array source = view(array, op, argument);
  if (source.is_contiguous()) return array;
  return converted(source, source.dtype, Layout::channels_first, op);
}

Input layout_input(py::handle array, Layout layout, const char* op, const char* argument) {
  Input input{py::reinterpret_borrow<py::object>(array), view(array, op, argument)};
  if (lies_in(input.view, layout)) return input;
  input.object = converted(input.view, input.view.dtype, layout, op);
  input.view = view(input.object, op, argument);
  return input;
}

Input contiguous_input(py::handle array, const char* op, const char* argument) {
  return layout_input(array, Layout::channels_first, op, argument);
}

Input dense_input(py::handle array, const char* op, const char* argument) {
  return layout_input(array, layout_of(view(array, op, argument)), op, argument);
}

}  // namespace gradsmith::bindings
