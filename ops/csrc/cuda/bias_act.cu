// Bias, activation, gain and clamp on CUDA, and their gradient.
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <bit>
#include <tuple>

#include "bias_act.cuh"

namespace gan_versus::cuda {
namespace {

// How threads go over a dense tensor. A thread keeps to one channel or, channels-last, to V of them
// side by side: number blockIdx.x * blockDim.x + threadIdx.x. Along y, the threads of all blocks
// take turns with the vectors of that channel, which are numbered by image and, within an image, by
// step. Threads that are neighbours in x (channels-last) or y (NCHW) are neighbours in memory.
struct Walk {
  int64_t images, channels, pixels;
  bool channels_last;
  int64_t steps;                      // vectors of a channel in one image
  int64_t image_stride, step_stride;  // from a thread's vector to its next one
  dim3 grid, block;

  template <int V>
  __device__ int64_t channel() const {
    const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    return channels_last ? i * V : i;
  }

  // Calls f(offset in the tensor, image, pixel) for each of the thread's vectors.
  template <int V, typename F>
  __device__ void for_vectors(const F& f) const {
    if (channel<V>() >= channels) return;
    const int64_t first = channels_last ? channel<V>() : channel<V>() * pixels;
    const int64_t step_pixels = channels_last ? 1 : V, step_size = channels_last ? channels : V;
    // 32 bits: a 64-bit division costs as much as several vectors' work.
    const uint32_t turn = blockIdx.y * blockDim.y + threadIdx.y;
    const auto divisor = static_cast<uint32_t>(std::min<int64_t>(steps, UINT32_MAX));
    int64_t image = turn / divisor, step = turn % divisor;
    while (image < images) {
      f(image * channels * pixels + first + step * step_size, image, step * step_pixels);
      image += image_stride;
      step += step_stride;
      if (step >= steps) {
        step -= steps;
        ++image;
      }
    }
  }
};

// Blocks are cut by sizes alone, and so is the order in which `backward` sums.
Walk plan_walk(const at::Tensor& x, int vector_size) {
  constexpr int64_t turns = 4, max_blocks = 65535;
  Walk walk{};
  walk.images = x.size(0);
  walk.channels = x.size(1);
  walk.pixels = x.numel() / (walk.images * walk.channels);
  walk.channels_last = walk.pixels == 1 || !x.is_contiguous();
  const int64_t columns = walk.channels_last ? walk.channels / vector_size : walk.channels;
  walk.steps = walk.channels_last ? walk.pixels : walk.pixels / vector_size;
  const int64_t line = line_bytes / (vector_size * static_cast<int64_t>(x.element_size()));
  const int64_t across = walk.channels_last ? std::min(columns, line) : 1;
  const int64_t vectors = walk.images * walk.steps;  // of a channel
  // A power of two, for the sums' tree.
  const int64_t along = std::bit_floor<uint64_t>(std::min(block_size / across, vectors));
  const int64_t blocks = std::min(ceil_div(vectors, along * turns), max_blocks);
  walk.image_stride = along * blocks / walk.steps;
  walk.step_stride = along * blocks % walk.steps;
  walk.block = dim3(across, along);
  walk.grid = dim3(ceil_div(columns, across), blocks);
  return walk;
}

// Elements of a vector: as many as fit a longest load, or 1 where tensors do not divide into those.
int vector_size(const at::Tensor& x, std::initializer_list<const void*> pointers) {
  const int size = vector_bytes / static_cast<int>(x.element_size());
  const int64_t run = x.is_contiguous() ? x.numel() / (x.size(0) * x.size(1)) : 1;
  const int64_t row = run == 1 ? x.size(1) : run;
  return row % size == 0 && std::all_of(pointers.begin(), pointers.end(), is_aligned) ? size : 1;
}

// One pass; each thread has its channels' bias in registers.
template <typename T, int V>
__global__ void __launch_bounds__(block_size)
    forward(const T* __restrict__ x, T* __restrict__ y, Walk walk, BiasAct bias_act) {
  const int64_t channel = walk.channel<V>();
  float bias[V];
#pragma unroll
  for (int k = 0; k < V; ++k) {
    const int64_t c = channel + (walk.channels_last ? k : 0);
    bias[k] = c < walk.channels ? bias_act.bias_of(c) : 0.0f;
  }
  const float strength = bias_act.noise_strength();
  walk.for_vectors<V>([&](int64_t offset, int64_t image, int64_t pixel) {
    float v[V], noise[V] = {};
    load(x + offset, v);
    if (const float* map = bias_act.noise_of(image)) {
      if (walk.channels_last) {
#pragma unroll
        for (int k = 0; k < V; ++k) noise[k] = map[pixel];
      } else {
        load(map + pixel, noise);
      }
    }
#pragma unroll
    for (int k = 0; k < V; ++k) noise[k] = strength * noise[k] + bias[k];
    bias_act(v, noise);
    store(y + offset, v);
  });
}

// dx, and in the same pass db: each thread sums the dx of its channels, the block's threads add
// theirs up in a tree, and blockIdx.y is the row of `partial_db` [rows, channels] that takes the
// result. No order depends on chance.
template <typename T, int V>
__global__ void __launch_bounds__(block_size)
    backward(const T* __restrict__ dy, const T* __restrict__ saved, T* __restrict__ dx,
             float* __restrict__ partial_db, Walk walk, const float* __restrict__ bias, Act act,
             ActParams params) {
  __shared__ float sums[V * block_size];
  const int64_t channel = walk.channel<V>();
  float shift[V], sum[V] = {};
#pragma unroll
  for (int k = 0; k < V; ++k) {
    const int64_t c = channel + (walk.channels_last ? k : 0);
    shift[k] = bias && c < walk.channels ? bias[c] : 0.0f;
  }
  walk.for_vectors<V>([&](int64_t offset, int64_t, int64_t) {
    float d[V], at[V];
    load(dy + offset, d);
    load(saved + offset, at);
    with_act_on_device(act, [&]<Act A>() {
#pragma unroll
      for (int k = 0; k < V; ++k) {
        d[k] *= act_slope<A>(A == Act::swish ? at[k] + shift[k] : at[k], params);
      }
    });
#pragma unroll
    for (int k = 0; k < V; ++k) sum[k] += d[k];
    store(dx + offset, d);
  });
  const int count = walk.channels_last ? V : 1;  // of channels
  const int thread = threadIdx.y * blockDim.x + threadIdx.x;
#pragma unroll
  for (int k = 1; k < V; ++k) {
    if (count == 1) sum[0] += sum[k];
  }
#pragma unroll
  for (int k = 0; k < V; ++k) {
    if (k < count) sums[k * block_size + thread] = sum[k];
  }
  for (int half = blockDim.y / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y >= half) continue;
    for (int k = 0; k < count; ++k) {
      float* const at = sums + k * block_size + thread;
      *at += at[half * blockDim.x];
    }
  }
  if (threadIdx.y != 0 || channel >= walk.channels) return;
  float* const row = partial_db + blockIdx.y * walk.channels + channel;
  for (int k = 0; k < count; ++k) row[k] = sums[k * block_size + thread];
}

template <typename T, int V>
void launch_forward(const at::Tensor& x, const at::Tensor& y, const BiasAct& bias_act) {
  const Walk walk = plan_walk(x, V);
  forward<T, V><<<walk.grid, walk.block, 0, c10::cuda::getCurrentCUDAStream()>>>(
      x.const_data_ptr<T>(), y.mutable_data_ptr<T>(), walk, bias_act);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

// Returns db.
template <typename T, int V>
at::Tensor launch_backward(const at::Tensor& dy, const at::Tensor& saved, const at::Tensor& dx,
                           const float* bias, Act act, ActParams params) {
  const Walk walk = plan_walk(saved, V);
  const int64_t rows = walk.grid.y;
  const at::Tensor partial_db =
      at::empty({rows, walk.channels}, saved.options().dtype(at::kFloat),
                at::MemoryFormat::Contiguous);
  backward<T, V><<<walk.grid, walk.block, 0, c10::cuda::getCurrentCUDAStream()>>>(
      dy.const_data_ptr<T>(), saved.const_data_ptr<T>(), dx.mutable_data_ptr<T>(),
      partial_db.mutable_data_ptr<float>(), walk, bias, act, params);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return rows == 1 ? partial_db.squeeze(0) : partial_db.sum(0);
}

at::Tensor bias_act(const at::Tensor& x, const std::optional<at::Tensor>& b, std::string_view act,
                    double alpha, double gain, std::optional<double> clamp) {
  check_image_dtype("x", x);
  check_bias(b, x);
  const auto bias = dense(b);
  const BiasAct bias_act{.bias = pointer(bias),
                         .act = parse_act(act),
                         .params = ActParams(alpha, gain, clamp)};
  const c10::cuda::CUDAGuard guard(x.device());
  const auto format = x.suggest_memory_format();
  const at::Tensor y = at::empty(x.sizes(), x.options(), format);
  if (y.numel() > 0) bias_act_pointwise(x.contiguous(format), y, bias_act);
  return y;
}

std::tuple<at::Tensor, at::Tensor> bias_act_backward(
    const at::Tensor& dy, const at::Tensor& saved, const std::optional<at::Tensor>& b,
    std::string_view act, double alpha, double gain, std::optional<double> clamp) {
  check_image_dtype("saved", saved);
  check_gradient(dy, saved);
  check_bias(b, saved);
  const ActParams params(alpha, gain, clamp);
  const Act parsed = parse_act(act);
  const c10::cuda::CUDAGuard guard(saved.device());
  const auto format = saved.suggest_memory_format();
  const at::Tensor dense_dy = dy.contiguous(format), dense_saved = saved.contiguous(format);
  const at::Tensor dx = at::empty(saved.sizes(), saved.options(), format);
  if (dx.numel() == 0) return {dx, at::zeros({saved.size(1)}, saved.options().dtype(at::kFloat))};
  const auto bias = dense(b);
  const int size = vector_size(
      dense_saved, {dense_dy.const_data_ptr(), dense_saved.const_data_ptr(), dx.const_data_ptr()});
  at::Tensor db;
  for_dtype(saved.scalar_type(), [&]<typename T>() {
    const auto launch = size == 1 ? launch_backward<T, 1> : launch_backward<T, longest<T>>;
    db = launch(dense_dy, dense_saved, dx, pointer(bias), parsed, params.as_stored<T>());
  });
  return {dx, db};
}

}  // namespace

void bias_act_pointwise(const at::Tensor& x, const at::Tensor& y, const BiasAct& bias_act) {
  const int size = vector_size(x, {x.const_data_ptr(), y.const_data_ptr(), bias_act.noise});
  for_dtype(x.scalar_type(), [&]<typename T>() {
    const auto launch = size == 1 ? launch_forward<T, 1> : launch_forward<T, longest<T>>;
    launch(x, y, bias_act);
  });
}

TORCH_LIBRARY_IMPL(gan_versus, CUDA, m) {
  m.impl("bias_act", &bias_act);
  m.impl("bias_act_backward", &bias_act_backward);
}

}  // namespace gan_versus::cuda
