// SPDX-License-Identifier: Apache-2.0
// Stacks and switches between them: what a simulated CUDA thread needs in order to stop inside a
// function and go on later. A stack ends in a guard page, so that an overflow is a fault at its own
// place and not a change of a neighbour's data.
#pragma once

#include <cstddef>
#include <vector>

namespace gradsmith::cudasim {

// Machine state of a stopped flow of control.
struct Flow {
  void* stack_pointer = nullptr;
  // What AddressSanitizer keeps of a stack that is not running, and where it lies.
  void* sanitizer_state = nullptr;
  const void* stack_bottom = nullptr;
  std::size_t stack_bytes = 0;
};

class Stack {
 public:
  Stack();
  ~Stack();
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  // Makes `flow` start at the entry, which never returns, when it is switched to.
  void prepare(Flow* flow, void (*entry)()) const;

 private:
  char* memory_;
};

// Stacks of the calling OS thread that no fiber uses.
class StackPool {
 public:
  ~StackPool();
  Stack* take();
  void give_back(Stack* stack) { free_.push_back(stack); }

 private:
  std::vector<Stack*> free_;
};

// Stops here, saved in `from`, and goes on in `to`; `ends` says that `from` is never gone on with.
void switch_flow(Flow* from, Flow* to, bool ends = false);

// The first thing on a new stack: tells AddressSanitizer that the switch has happened.
void arrive_on_stack();

}  // namespace gradsmith::cudasim
