# SPDX-License-Identifier: Apache-2.0
# The extension _cudasim: the CUDA kernels compiled as host C++ on the simulator. A .cu file has one
# language per directory, so each is compiled through a file that includes it.
file(GLOB kernel_files CONFIGURE_DEPENDS csrc/cuda/*.cu)
file(GLOB simulator_sources CONFIGURE_DEPENDS csrc/cudasim/*.cpp)
set(simulated_sources csrc/cuda/cuda_table.cpp csrc/cudasim/check/faults.cpp csrc/cudasim/check/reads.cpp
                      ${simulator_sources})
foreach(kernel_file ${kernel_files})
  get_filename_component(name ${kernel_file} NAME_WE)
  set(wrapper ${CMAKE_CURRENT_BINARY_DIR}/cudasim/${name}.cpp)
  file(CONFIGURE OUTPUT ${wrapper} CONTENT "#include \"cuda/${name}.cu\"\n")
  list(APPEND simulated_sources ${wrapper})
endforeach()
add_library(gradsmith_cudasim OBJECT ${simulated_sources})
target_link_libraries(gradsmith_cudasim PRIVATE gradsmith_options)
target_compile_definitions(gradsmith_cudasim PRIVATE GRADSMITH_CUDASIM GRADSMITH_HAS_SM90A)
# Tests run small problems: what counts is the time to compile. At -O1 GCC does not see that two
# branches on one condition go together. nvcc's pragmas mean nothing here.
target_compile_options(gradsmith_cudasim PRIVATE -O1 -Wno-maybe-uninitialized
                       -Wno-unknown-pragmas -Wno-psabi)
set_source_files_properties(${simulator_sources} PROPERTIES COMPILE_OPTIONS -O3)

pybind11_add_module(_cudasim MODULE NO_EXTRAS csrc/bindings/array_numpy.cpp
                    csrc/bindings/module_cudasim.cpp $<TARGET_OBJECTS:gradsmith_bindings>
                    $<TARGET_OBJECTS:gradsmith_core> $<TARGET_OBJECTS:gradsmith_cudasim>)
target_link_libraries(_cudasim PRIVATE gradsmith_options Threads::Threads)
target_compile_options(_cudasim PRIVATE -O2)
if(NOT GRADSMITH_SANITIZE)
  target_link_options(_cudasim PRIVATE -s)
endif()
install(TARGETS _cudasim LIBRARY DESTINATION gradsmith)
