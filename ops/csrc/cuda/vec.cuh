// Tensors on the device: their types, and vectors of their elements.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>
#include <type_traits>

#include "../common.h"

namespace gan_versus::cuda {

constexpr int block_size = 256;
constexpr int vector_bytes = 16;  // the longest load or store of a thread
constexpr int line_bytes = 128;   // of the cache

// Elements of a longest load.
template <typename T>
constexpr int longest = vector_bytes / sizeof(T);

template <typename T, int N>
struct alignas(sizeof(T) * N) Elements {
  T at[N];
};

// N elements as they are in memory. They are kept as a word: the compiler gives each half-precision
// number a register of its own, and would wait for a load to fill them.
template <typename T, int N>
struct Vec {
  static constexpr size_t bytes = sizeof(T) * N;
  std::conditional_t<bytes == 16, uint4,
                     std::conditional_t<bytes == 8, uint2,
                                        std::conditional_t<bytes == 4, uint32_t, uint16_t>>>
      bits;

  __device__ T operator[](int i) const { return std::bit_cast<Elements<T, N>>(bits).at[i]; }
};

template <typename T, int N>
__device__ Vec<T, N> load_vector(const T* p) {
  return {*reinterpret_cast<const decltype(Vec<T, N>::bits)*>(p)};
}

// N elements, aligned to all of them or to a longest load.
template <int N, typename T>
__device__ void load(const T* p, float (&v)[N]) {
  constexpr int PART = std::min(N, longest<T>);
#pragma unroll
  for (int i = 0; i < N; i += PART) {
    const auto part = load_vector<T, PART>(p + i);
#pragma unroll
    for (int k = 0; k < PART; ++k) v[i + k] = static_cast<float>(part[k]);
  }
}

template <int N, typename T>
__device__ void store(T* p, const float (&v)[N]) {
  constexpr int PART = std::min(N, longest<T>);
#pragma unroll
  for (int i = 0; i < N; i += PART) {
    Elements<T, PART> part;
#pragma unroll
    for (int k = 0; k < PART; ++k) part.at[k] = static_cast<T>(v[i + k]);
    using Bits = decltype(Vec<T, PART>::bits);
    *reinterpret_cast<Bits*>(p + i) = std::bit_cast<Bits>(part);
  }
}

template <typename I>
constexpr I ceil_div(I a, I b) {
  return (a + b - 1) / b;
}

inline bool is_aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % vector_bytes == 0; }

inline void check_image_dtype(const char* name, const at::Tensor& x) {
  check_dtype(name, x, {at::kFloat, at::kHalf, at::kBFloat16});
}

inline std::optional<at::Tensor> dense(const std::optional<at::Tensor>& t) {
  return t ? std::optional(t->contiguous()) : std::nullopt;
}

// Null for no tensor.
inline const float* pointer(const std::optional<at::Tensor>& t) {
  return t ? t->const_data_ptr<float>() : nullptr;
}

// Calls f.operator()<T>() with the C++ type of an image.
template <typename F>
void for_dtype(at::ScalarType dtype, const F& f) {
  if (dtype == at::kFloat) {
    f.template operator()<float>();
  } else if (dtype == at::kHalf) {
    f.template operator()<at::Half>();
  } else {
    f.template operator()<at::BFloat16>();
  }
}

}  // namespace gan_versus::cuda
