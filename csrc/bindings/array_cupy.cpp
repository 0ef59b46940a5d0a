// SPDX-License-Identifier: Apache-2.0
// The array layer for GPU memory: cupy.ndarray, whose dtypes are NumPy's and, since CuPy 14, that
// of ml_dtypes.bfloat16. New arrays come from CuPy's memory pool. Each view makes CuPy's current
// stream that of the launches to come.
#include "bindings/array.h"
#include "core/error.h"
#include "cuda/nvidia/launch.h"

namespace gradsmith::bindings {
namespace {

// Tells apart views that kernels must not write; CuPy itself has no read-only arrays.
constexpr char kReadOnly[] = "gradsmith.read_only";

// What we need of CuPy, held for the life of the process.
struct CuPy {
  PyObject* array_type;       // cupy.ndarray(shape, dtype, memory, strides)
  PyObject* allocate;         // cupy.cuda.alloc(bytes)
  PyObject* memory_pointer;   // cupy.cuda.MemoryPointer(memory, offset)
  PyObject* unowned_memory;   // cupy.cuda.UnownedMemory(pointer, size, owner, device_id)
  PyObject* get_stream;       // cupy.cuda.get_current_stream()
  PyObject* free_all_blocks;  // of the default memory pool
  PyObject *data, *ptr, *shape, *strides, *dtype, *base, *device_id, *mem, *owner;
  std::intptr_t (*stream_pointer)() = nullptr;
  bool has_many_devices;

  CuPy() {
    const py::module_ cupy = py::module_::import("cupy");
    const py::object cuda = cupy.attr("cuda");
    array_type = py::object(cupy.attr("ndarray")).release().ptr();
    allocate = py::object(cuda.attr("alloc")).release().ptr();
    memory_pointer = py::object(cuda.attr("MemoryPointer")).release().ptr();
    unowned_memory = py::object(cuda.attr("UnownedMemory")).release().ptr();
    get_stream = py::object(cuda.attr("get_current_stream")).release().ptr();
    free_all_blocks =
        py::object(cupy.attr("get_default_memory_pool")().attr("free_all_blocks")).release().ptr();
    data = PyUnicode_InternFromString("data");
    ptr = PyUnicode_InternFromString("ptr");
    shape = PyUnicode_InternFromString("shape");
    strides = PyUnicode_InternFromString("strides");
    dtype = PyUnicode_InternFromString("dtype");
    base = PyUnicode_InternFromString("base");
    device_id = PyUnicode_InternFromString("device_id");
    mem = PyUnicode_InternFromString("mem");
    owner = PyUnicode_InternFromString("_owner");
    int count = 0;
    has_many_devices = cudaGetDeviceCount(&count) == cudaSuccess && count > 1;
    cudaGetLastError();
    find_stream_function();
  }

  // CuPy offers its own modules a C function, ten times as fast as get_current_stream().
  void find_stream_function() {
    constexpr char kSignature[] = "intptr_t (void)";
    try {
      const py::dict functions =
          py::module_::import("cupy_backends.cuda.stream").attr("__pyx_capi__");
      const py::object capsule = functions["get_current_stream_ptr"];
      if (PyCapsule_IsValid(capsule.ptr(), kSignature) == 0) return;
      stream_pointer =
          reinterpret_cast<std::intptr_t (*)()>(PyCapsule_GetPointer(capsule.ptr(), kSignature));
    } catch (const py::error_already_set&) {
    }
  }
};

const CuPy& cupy() {
  static const CuPy* instance = new CuPy;
  return *instance;
}

py::object attribute(py::handle object, PyObject* name) {
  PyObject* value = PyObject_GetAttr(object.ptr(), name);
  if (value == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(value);
}

std::int64_t integer(py::handle object) {
  const long long value = PyLong_AsLongLong(object.ptr());
  if (value == -1 && PyErr_Occurred()) throw py::error_already_set();
  return value;
}

template <class... Arguments>
py::object call(PyObject* function, const Arguments&... arguments) {
  PyObject* given[] = {nullptr, arguments.ptr()...};
  PyObject* result = PyObject_Vectorcall(
      function, given + 1, sizeof...(arguments) | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr);
  if (result == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(result);
}

void use_current_stream() {
  std::intptr_t stream;
  if (cupy().stream_pointer != nullptr) {
    stream = cupy().stream_pointer();
    if (stream == -1 && PyErr_Occurred()) throw py::error_already_set();
  } else {
    stream = static_cast<std::intptr_t>(integer(attribute(call(cupy().get_stream), cupy().ptr)));
  }
  cuda::set_current_stream(reinterpret_cast<void*>(stream));
}

void check_device(py::handle memory, const char* op, const char* argument) {
  if (GS_LIKELY(!cupy().has_many_devices)) return;
  int current = 0;
  cuda::check(cudaGetDevice(&current), "cudaGetDevice");
  const std::int64_t device = integer(attribute(memory, cupy().device_id));
  GS_CHECK(device == current, op, ": ", argument, " is on cuda:", device,
           ", the current device is ", "cuda:", current);
}

py::tuple tuple_of(int count, const std::int64_t* values, std::int64_t factor = 1) {
  py::tuple result(static_cast<std::size_t>(count));
  for (int d = 0; d < count; ++d) {
    PyTuple_SET_ITEM(result.ptr(), d, PyLong_FromLongLong(values[d] * factor));
  }
  return result;
}

// A call that allocates. Where memory lacks, CuPy frees its own blocks; what our pool keeps of
// workspaces is freed here. CuPy's OutOfMemoryError is a MemoryError.
template <class... Arguments>
py::object call_to_allocate(PyObject* function, const Arguments&... arguments) {
  try {
    return call(function, arguments...);
  } catch (const py::error_already_set& error) {
    if (!error.matches(PyExc_MemoryError)) throw;
  }
  cuda::wait_for_stream();
  cuda::free_cached_workspaces();
  return call(function, arguments...);
}

py::object array_of(const Shape& shape, DType dtype, py::handle memory,
                    const std::int64_t* stride) {
  const py::tuple sizes = tuple_of(shape.ndim, shape.dims);
  const py::tuple steps = tuple_of(shape.ndim, stride, size_of(dtype));
  return call(cupy().array_type, sizes, numpy_dtype(dtype), memory, steps);
}

bool is_read_only(py::handle memory) {
  const py::object block = attribute(memory, cupy().mem);
  if (Py_TYPE(block.ptr()) != reinterpret_cast<PyTypeObject*>(cupy().unowned_memory)) return false;
  const py::object owner = attribute(block, cupy().owner);
  return PyCapsule_IsValid(owner.ptr(), kReadOnly) != 0;
}

// ---- what csrc/cuda needs of the interpreter

void* before_wait() { return PyGILState_Check() ? PyEval_SaveThread() : nullptr; }

void after_wait(void* state) {
  if (state != nullptr) PyEval_RestoreThread(static_cast<PyThreadState*>(state));
}

void free_cached_memory() {
  const PyGILState_STATE state = PyGILState_Ensure();
  Py_XDECREF(PyObject_CallNoArgs(cupy().free_all_blocks));
  PyErr_Clear();
  PyGILState_Release(state);
}

}  // namespace

void load_arrays() {
  load_dtypes();
  cupy();
  cuda::set_host_hooks({&before_wait, &after_wait, &free_cached_memory});
}

bool is_array(py::handle object) {
  return Py_TYPE(object.ptr()) == reinterpret_cast<PyTypeObject*>(cupy().array_type);
}

Array view(py::handle array, const char* op, const char* argument) {
  if (GS_UNLIKELY(!is_array(array))) refuse_array(array, op, argument);
  const py::object memory = attribute(array, cupy().data);
  const py::object shape = attribute(array, cupy().shape);
  const py::object strides = attribute(array, cupy().strides);
  check_device(memory, op, argument);
  use_current_stream();
  Array result;
  result.data = reinterpret_cast<void*>(integer(attribute(memory, cupy().ptr)));
  result.dtype = dtype_from(attribute(array, cupy().dtype), op);
  const auto ndim = PyTuple_GET_SIZE(shape.ptr());
  GS_CHECK(ndim <= kMaxDims, op, ": ", argument, " has ", ndim, " dimensions, at most ", kMaxDims,
           " are supported");
  const std::int64_t item = size_of(result.dtype);
  result.shape.ndim = static_cast<int>(ndim);
  for (int d = 0; d < result.ndim(); ++d) {
    const std::int64_t step = integer(PyTuple_GET_ITEM(strides.ptr(), d));
    result.shape[d] = integer(PyTuple_GET_ITEM(shape.ptr(), d));
    result.stride[d] = step / item;
    GS_CHECK(step % item == 0 || result.size(d) <= 1, op, ": ", argument,
             " has strides that are no multiple of its item size (copy it first)");
  }
  GS_CHECK(reinterpret_cast<std::uintptr_t>(result.data) % static_cast<std::uintptr_t>(item) == 0,
           op, ": ", argument, " is not aligned to its item size (copy it first)");
  return result;
}

Array writable_view(py::handle array, const char* op, const char* argument) {
  Array result = view(array, op, argument);
  GS_CHECK(!is_read_only(attribute(array, cupy().data)), op, ": ", argument, " is read-only");
  const bool is_empty = checked_count(result.shape) == 0;
  for (int d = 0; d < result.ndim(); ++d) {
    GS_CHECK(is_empty || result.stride[d] != 0 || result.size(d) == 1, op, ": ", argument,
             " repeats its elements along dimension ", d, ", expected memory of its own for each");
  }
  return result;
}

py::object empty(const Shape& shape, DType dtype, Layout layout) {
  const std::int64_t item = size_of(dtype);
  const std::int64_t bytes = checked_count(shape, item) * item;
  if (layout == Layout::channels_first) {
    return call_to_allocate(cupy().array_type, tuple_of(shape.ndim, shape.dims),
                            numpy_dtype(dtype));
  }
  std::int64_t stride[kMaxDims];
  dense_strides(shape, layout, stride);
  const py::object memory = call_to_allocate(cupy().allocate, py::int_(bytes));
  return array_of(shape, dtype, memory, stride);
}

py::object zeros(const Shape& shape, DType dtype, Layout layout) {
  py::object result = empty(shape, dtype, layout);
  const Array target = view(result, "zeros", "out");
  cuda::fill_bytes(target.data, 0, static_cast<std::size_t>(checked_count(shape) * size_of(dtype)));
  return result;
}

py::object read_only_view(py::handle owner, const Array& as) {
  // The capsule keeps the owner alive and marks the memory.
  PyObject* mark = PyCapsule_New(owner.inc_ref().ptr(), kReadOnly, [](PyObject* capsule) {
    Py_DECREF(static_cast<PyObject*>(PyCapsule_GetPointer(capsule, kReadOnly)));
  });
  if (mark == nullptr) throw py::error_already_set();
  const py::object capsule = py::reinterpret_steal<py::object>(mark);
  std::int64_t reach = checked_count(as.shape) == 0 ? 0 : 1;
  for (int d = 0; d < as.ndim() && reach > 0; ++d) reach += (as.size(d) - 1) * as.stride[d];
  const py::int_ address(reinterpret_cast<std::intptr_t>(as.data));
  const py::object device = attribute(attribute(owner, cupy().data), cupy().device_id);
  const py::object block =
      call(cupy().unowned_memory, address, py::int_(reach * size_of(as.dtype)), capsule, device);
  const py::object memory = call(cupy().memory_pointer, block, py::int_(0));
  return array_of(as.shape, as.dtype, memory, as.stride);
}

// A view of another CuPy array has that as its base; one of foreign memory has memory that CuPy
// does not own.
bool owns_memory(py::handle array) {
  if (!is_array(array)) refuse_array(array, "owns_memory", "x");
  if (!attribute(array, cupy().base).is_none()) return false;
  const py::object block = attribute(attribute(array, cupy().data), cupy().mem);
  if (Py_TYPE(block.ptr()) == reinterpret_cast<PyTypeObject*>(cupy().unowned_memory)) return false;
  const Array here = view(array, "owns_memory", "array");
  return here.is_contiguous() || is_channels_last(here);
}

}  // namespace gradsmith::bindings
