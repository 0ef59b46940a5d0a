// SPDX-License-Identifier: Apache-2.0
// On x86-64 a switch saves the six registers that a function has to preserve, about 2 ns; elsewhere
// it is ucontext's, which also asks the system for the signal mask.
#include "cudasim/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <new>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifndef __x86_64__
#include <ucontext.h>
#endif

namespace gradsmith::cudasim {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t kStackBytes = 512 * 1024;  // its redzones widen every frame
#else
constexpr std::size_t kStackBytes = 128 * 1024;
#endif

std::size_t page_bytes() {
  static const std::size_t value = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return value;
}

}  // namespace

Stack::Stack() {
  void* const memory = mmap(nullptr, kStackBytes + page_bytes(), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  memory_ = static_cast<char*>(memory);
  mprotect(memory_, page_bytes(), PROT_NONE);
}

Stack::~Stack() { munmap(memory_, kStackBytes + page_bytes()); }

namespace {
// The frames of a thread that was given up are still marked on its stack.
void forget_frames(char* stack) {
#ifdef __SANITIZE_ADDRESS__
  __asan_unpoison_memory_region(stack, kStackBytes);
#else
  (void)stack;
#endif
}
}  // namespace

StackPool::~StackPool() {
  for (Stack* stack : free_) delete stack;
}

Stack* StackPool::take() {
  if (free_.empty()) return new Stack;
  Stack* const stack = free_.back();
  free_.pop_back();
  return stack;
}

#ifdef __x86_64__

extern "C" void gradsmith_cudasim_switch(void** save, void* load);
asm(R"(
.text
.globl gradsmith_cudasim_switch
.hidden gradsmith_cudasim_switch
.type gradsmith_cudasim_switch,@function
gradsmith_cudasim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size gradsmith_cudasim_switch, .-gradsmith_cudasim_switch
)");

void Stack::prepare(Flow* flow, void (*entry)()) const {
  forget_frames(memory_ + page_bytes());
  constexpr int kSavedRegisters = 6;
  void** top = reinterpret_cast<void**>(memory_ + page_bytes() + kStackBytes);
  *--top = nullptr;  // keeps the stack aligned as if the entry had been called, and ends backtraces
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < kSavedRegisters; ++i) *--top = nullptr;
  flow->stack_pointer = top;
  flow->stack_bottom = memory_ + page_bytes();
  flow->stack_bytes = kStackBytes;
}

namespace {
void switch_machine(Flow* from, Flow* to) {
  gradsmith_cudasim_switch(&from->stack_pointer, to->stack_pointer);
}
}  // namespace

#else

void Stack::prepare(Flow* flow, void (*entry)()) const {
  forget_frames(memory_ + page_bytes());
  static_assert(sizeof(ucontext_t) < kStackBytes / 4);
  // The context lives at the bottom of its own stack.
  auto* const context = new (memory_ + page_bytes()) ucontext_t;
  getcontext(context);
  context->uc_stack.ss_sp = memory_ + page_bytes() + sizeof(ucontext_t);
  context->uc_stack.ss_size = kStackBytes - sizeof(ucontext_t);
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
  flow->stack_pointer = context;
  flow->stack_bottom = memory_ + page_bytes();
  flow->stack_bytes = kStackBytes;
}

namespace {
void switch_machine(Flow* from, Flow* to) {
  static thread_local ucontext_t scheduler;
  if (from->stack_pointer == nullptr) from->stack_pointer = &scheduler;
  swapcontext(static_cast<ucontext_t*>(from->stack_pointer),
              static_cast<ucontext_t*>(to->stack_pointer));
}
}  // namespace

#endif

#ifdef __SANITIZE_ADDRESS__

namespace {
// Of the switch that is under way: who has to learn where its stack lies.
thread_local Flow* leaving = nullptr;
}  // namespace

void switch_flow(Flow* from, Flow* to, bool ends) {
  leaving = from;
  __sanitizer_start_switch_fiber(ends ? nullptr : &from->sanitizer_state, to->stack_bottom,
                                 to->stack_bytes);
  switch_machine(from, to);
  __sanitizer_finish_switch_fiber(from->sanitizer_state, &leaving->stack_bottom,
                                  &leaving->stack_bytes);
}

void arrive_on_stack() {
  __sanitizer_finish_switch_fiber(nullptr, &leaving->stack_bottom, &leaving->stack_bytes);
}

#else

void switch_flow(Flow* from, Flow* to, bool /*ends*/) { switch_machine(from, to); }
void arrive_on_stack() {}

#endif

}  // namespace gradsmith::cudasim
