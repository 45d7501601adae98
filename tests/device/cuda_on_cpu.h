// What CUDA text needs in order to be compiled as C++ and run on the processor. Threads of a group are coroutines
// that take turns between barriers.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define __global__
#define __device__
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ static

struct alignas(16) float4 {
  float x, y, z, w;
};
static inline float4 make_float4(float x, float y, float z, float w) {
  float4 all = {x, y, z, w};
  return all;
}

template <typename T> static inline T __ldg(const T *at) { return *at; }

struct Index {
  unsigned x, y, z;
};
static Index threadIdx, blockIdx, gridDim;

static inline float __uint_as_float(unsigned x) {
  float y;
  memcpy(&y, &x, 4);
  return y;
}
static inline unsigned __float_as_uint(float x) {
  unsigned y;
  memcpy(&y, &x, 4);
  return y;
}

struct Begins;
typedef void (*Entry)(float *, float *, const Begins);

static ucontext_t turn;
static struct Coroutine {
  ucontext_t context;
  char *stack;
  bool done;
} coroutines[256];
static unsigned current;

static void __syncthreads() { swapcontext(&coroutines[current].context, &turn); }

static const size_t STACK = 65536;
