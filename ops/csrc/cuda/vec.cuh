// Tensors on the device: their types, and vectors of their elements.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <cstdint>
#include <optional>

#include "../common.h"

namespace gan_versus::cuda {

constexpr int block_size = 256;
constexpr int vector_bytes = 16;  // the longest load or store of a thread
constexpr int line_bytes = 128;   // of the cache

// Elements of a longest load.
template <typename T>
constexpr int longest = vector_bytes / sizeof(T);

template <typename T, int N>
struct alignas(sizeof(T) * N) Vec {
  T at[N];
};

template <typename T, int N>
__device__ Vec<T, N> load_vector(const T* p) {
  return *reinterpret_cast<const Vec<T, N>*>(p);
}

// N elements, aligned to all of them or to a longest load.
template <int N, typename T>
__device__ void load(const T* p, float (&v)[N]) {
  constexpr int PART = std::min(N, longest<T>);
#pragma unroll
  for (int i = 0; i < N; i += PART) {
    const auto part = load_vector<T, PART>(p + i);
#pragma unroll
    for (int k = 0; k < PART; ++k) v[i + k] = static_cast<float>(part.at[k]);
  }
}

template <int N, typename T>
__device__ void store(T* p, const float (&v)[N]) {
  constexpr int PART = std::min(N, longest<T>);
#pragma unroll
  for (int i = 0; i < N; i += PART) {
    Vec<T, PART> part;
#pragma unroll
    for (int k = 0; k < PART; ++k) part.at[k] = static_cast<T>(v[i + k]);
    *reinterpret_cast<Vec<T, PART>*>(p + i) = part;
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
