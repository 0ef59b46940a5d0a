# SPDX-License-Identifier: Apache-2.0
# The extension _cuda: the CUDA kernels compiled by nvcc, for Ampere and Hopper, with PTX for what
# comes after. AUTO builds it where nvcc is found and works.
set(GRADSMITH_CUDA AUTO CACHE STRING "build the CUDA extension: AUTO, ON or OFF")
set_property(CACHE GRADSMITH_CUDA PROPERTY STRINGS AUTO ON OFF)
# One of them is enough to try kernels on one's own GPU; 80 comes with PTX for later GPUs.
set(GRADSMITH_CUDA_ARCHITECTURES 80 90a CACHE STRING "what the CUDA extension is compiled for")
if(NOT GRADSMITH_CUDA STREQUAL "AUTO" AND NOT GRADSMITH_CUDA)
  return()
endif()

function(cuda_is_missing what)
  if(GRADSMITH_CUDA STREQUAL "AUTO")
    message(STATUS "No extension _cuda: ${what}.")
  else()
    message(FATAL_ERROR "GRADSMITH_CUDA=ON, but ${what}.")
  endif()
endfunction()

# Architectures are set by hand: "90a" (wgmma and setmaxnreg) is no number to every CMake.
set(CMAKE_CUDA_ARCHITECTURES OFF)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  cuda_is_missing("no nvcc was found that compiles a program: install the CUDA toolkit, or name its \
nvcc in the variable CUDACXX")
  return()
endif()
enable_language(CUDA)
find_package(CUDAToolkit QUIET)
if(NOT TARGET CUDA::cudart_static)
  cuda_is_missing("the headers of the CUDA runtime or libcudart_static.a were not found beside \
${CMAKE_CUDA_COMPILER}: install the whole CUDA toolkit")
  return()
endif()
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.5)
  cuda_is_missing("nvcc is ${CMAKE_CUDA_COMPILER_VERSION}, and 12.5 or later is needed")
  return()
endif()

file(GLOB cuda_kernels CONFIGURE_DEPENDS csrc/cuda/*.cu)
add_library(gradsmith_cuda_kernels OBJECT ${cuda_kernels})
set_target_properties(gradsmith_cuda_kernels PROPERTIES CUDA_STANDARD 17 CUDA_STANDARD_REQUIRED ON
                                                        CUDA_EXTENSIONS OFF)
target_include_directories(gradsmith_cuda_kernels PRIVATE csrc)
# 186: an unsigned number is compared with 0 in code that is the same for signed ones.
target_compile_options(gradsmith_cuda_kernels PRIVATE
  -O3 --expt-relaxed-constexpr -diag-suppress=186 -Xcompiler=-Wall,-Wextra,-fvisibility=hidden)

# Kernels whose code asks for the architecture, or that have instructions of one alone, are compiled
# for each; tests/test_cuda_compile.py finds those that belong here. Of the others one compilation to
# PTX serves all: ptxas makes the same code of it, byte by byte, in half the time.
set(kernels_by_architecture attention_wgmma attention_wgmma_backward conv_mma_weight
                            conv_simt_gather conv_simt_weight conv_wgmma_gather conv_wgmma_weight
                            gemm_mma_double gemm_wgmma gemm_wgmma_narrow norm_rows_resident)
set(numbers ${GRADSMITH_CUDA_ARCHITECTURES})
list(TRANSFORM numbers REPLACE "[a-z]+$" "")
list(SORT numbers COMPARE NATURAL)
list(GET numbers 0 lowest)
set(common_codes ${numbers})
list(TRANSFORM common_codes PREPEND "sm_")
foreach(architecture ${GRADSMITH_CUDA_ARCHITECTURES})
  set(codes sm_${architecture})
  if(architecture EQUAL 80)
    set(codes "[sm_80,compute_80]")
    list(APPEND common_codes compute_80)
  endif()
  list(APPEND own_options "-gencode=arch=compute_${architecture},code=${codes}")
endforeach()
list(JOIN common_codes "," common_codes)
foreach(kernel ${cuda_kernels})
  get_filename_component(name ${kernel} NAME_WE)
  if(name IN_LIST kernels_by_architecture)
    set(options ${own_options})
  else()
    set(options "-gencode=arch=compute_${lowest},code=[${common_codes}]")
  endif()
  set_source_files_properties(${kernel} PROPERTIES COMPILE_OPTIONS "${options}")
endforeach()
if(GRADSMITH_WERROR)
  target_compile_options(gradsmith_cuda_kernels PRIVATE "SHELL:-Werror all-warnings")
endif()
# What ptxas says about each kernel goes into a file beside its object, for
# tests/test_cuda_compile.py to read.
target_compile_options(gradsmith_cuda_kernels PRIVATE -Xptxas=-v)
set_target_properties(gradsmith_cuda_kernels PROPERTIES CUDA_COMPILER_LAUNCHER
  "sh;${CMAKE_CURRENT_SOURCE_DIR}/cmake/nvcc_report.sh;${CMAKE_CUDA_COMPILER_LAUNCHER}")

file(GLOB cuda_sources CONFIGURE_DEPENDS csrc/cuda/*.cpp csrc/cuda/nvidia/*.cpp)
add_library(gradsmith_cuda OBJECT ${cuda_sources})
target_link_libraries(gradsmith_cuda PRIVATE gradsmith_options CUDA::cudart_static)
if("90a" IN_LIST GRADSMITH_CUDA_ARCHITECTURES)
  target_compile_definitions(gradsmith_cuda PRIVATE GRADSMITH_HAS_SM90A)
endif()

set(cuda_objects $<TARGET_OBJECTS:gradsmith_core> $<TARGET_OBJECTS:gradsmith_cuda>
                 $<TARGET_OBJECTS:gradsmith_cuda_kernels>)
add_executable(cuda_slot_check csrc/cpu/check/slot_check.cpp ${cuda_objects})
target_link_libraries(cuda_slot_check PRIVATE gradsmith_options CUDA::cudart_static Threads::Threads)

pybind11_add_module(_cuda MODULE NO_EXTRAS csrc/bindings/array_cupy.cpp csrc/bindings/module_cuda.cpp
                    $<TARGET_OBJECTS:gradsmith_bindings> ${cuda_objects})
target_link_libraries(_cuda PRIVATE gradsmith_options CUDA::cudart_static Threads::Threads)
target_compile_options(_cuda PRIVATE -O2)
if(NOT GRADSMITH_SANITIZE)
  target_link_options(_cuda PRIVATE -s)
endif()
install(TARGETS _cuda LIBRARY DESTINATION gradsmith)
