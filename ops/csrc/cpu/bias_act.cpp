// Bias, activation, gain and clamp on the CPU, and their gradient.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <numeric>
#include <tuple>

#include "span.h"

namespace gan_versus::cpu {
namespace {

constexpr int64_t row_size = 256;  // enough elements to make a loop worth it

template <Act A, typename T>
void forward(const T* x, T* y, Layout layout, const std::vector<float>& bias, ActParams p) {
  const int64_t channels = layout.channels, inner = layout.inner;
  const int64_t period = inner == 1 ? static_cast<int64_t>(bias.size()) : inner;
  at::parallel_for(0, layout.numel(), grain, [&](int64_t begin, int64_t end) {
    for_spans(begin, end, period, period, [&](int64_t which, int64_t offset, int64_t i, int64_t n) {
      if (inner == 1) {
        activate_span<A>(x + i, y + i, n, bias.data() + offset, 1.0f, 0.0f, p);
      } else {
        activate_span<A>(x + i, y + i, n, nullptr, 0.0f, bias[which % channels], p);
      }
    });
  });
}

at::Tensor bias_act(const at::Tensor& x, const std::optional<at::Tensor>& b, std::string_view act,
                    double alpha, double gain, std::optional<double> clamp) {
  check_dtype("x", x, {at::kFloat, at::kBFloat16});
  check_bias(b, x);
  const ActParams p(alpha, gain, clamp);
  const Act parsed = parse_act(act);
  const auto format = x.suggest_memory_format();
  const at::Tensor dense = x.contiguous(format);
  at::Tensor y = at::empty(x.sizes(), x.options(), format);
  if (y.numel() == 0) return y;
  const Layout layout(x, format);
  const auto bias = repeat_bias(b, layout.channels, layout.inner == 1 ? row_size : 1);
  for_dtype(x.scalar_type(), [&]<typename T>() {
    with_act(parsed, [&]<Act A>() {
      forward<A>(dense.const_data_ptr<T>(), y.mutable_data_ptr<T>(), layout, bias, p);
    });
  });
  return y;
}

// One element's gradient, stored and returned.
template <Act A, typename T>
float backward_one(T dy, T saved, T* dx, float bias, ActParams p) {
  float v = static_cast<float>(saved);
  if constexpr (A == Act::swish) v += bias;
  const float d = static_cast<float>(dy) * act_slope<A>(v, p);
  *dx = static_cast<T>(d);
  return d;
}

// One row's gradient, also added to the sums.
template <Act A, typename T>
void backward_row(const T* __restrict dy, const T* __restrict saved, T* __restrict dx, int64_t n,
                  const float* __restrict bias, float* __restrict sums, ActParams p) {
  for (int64_t i = 0; i < n; ++i) {
    sums[i] += backward_one<A>(dy[i], saved[i], dx + i, bias[i], p);
  }
}

// The gradient of n elements in rows as long as `bias`. Adds the columns' sums to `sums`: in float
// over a few rows, then in double.
template <Act A, typename T>
void backward_rows(const T* dy, const T* saved, T* dx, int64_t n, const std::vector<float>& bias,
                   std::vector<double>& sums, ActParams p) {
  const auto columns = static_cast<int64_t>(bias.size());
  const int64_t block = 64 * columns;
  std::vector<float> few(columns);
  for (int64_t start = 0; start < n; start += block) {
    std::fill(few.begin(), few.end(), 0.0f);
    for (int64_t i = start; i < std::min(n, start + block); i += columns) {
      const int64_t size = std::min(columns, n - i);
      backward_row<A>(dy + i, saved + i, dx + i, size, bias.data(), few.data(), p);
    }
    for (int64_t i = 0; i < columns; ++i) sums[i] += few[i];
  }
}

// Channels-last: rows of all channels, in slabs whose number does not depend on that of threads.
template <Act A, typename T>
std::vector<double> backward_slabs(const T* dy, const T* saved, T* dx, Layout layout,
                                   const std::vector<float>& bias, ActParams p) {
  const auto columns = static_cast<int64_t>(bias.size());
  const int64_t rows = layout.numel() / columns + 1;
  const int64_t slab = std::max<int64_t>(rows / 64 + 1, grain / columns) * columns;
  const int64_t slabs = (layout.numel() + slab - 1) / slab;
  std::vector<std::vector<double>> sums(slabs, std::vector<double>(columns));
  at::parallel_for(0, slabs, 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      const int64_t i = s * slab;
      const int64_t n = std::min(slab, layout.numel() - i);
      backward_rows<A>(dy + i, saved + i, dx + i, n, bias, sums[s], p);
    }
  });
  std::vector<double> db(layout.channels);
  for (const auto& columns_sums : sums) {
    for (int64_t i = 0; i < columns; ++i) db[i % layout.channels] += columns_sums[i];
  }
  return db;
}

// The gradient of n elements of one channel, and its sum: in float over a few rows of lanes, then
// in double.
template <Act A, typename T>
double backward_plane(const T* __restrict dy, const T* __restrict saved, T* __restrict dx,
                      int64_t n, float bias, ActParams p) {
  constexpr int64_t lanes = 64, block = 64 * lanes;
  double sum = 0.0;
  for (int64_t start = 0; start < n; start += block) {
    const int64_t end = std::min(n, start + block);
    float few[lanes] = {};
    int64_t i = start;
    for (; i + lanes <= end; i += lanes) {
      for (int64_t lane = 0; lane < lanes; ++lane) {
        few[lane] += backward_one<A>(dy[i + lane], saved[i + lane], dx + i + lane, bias, p);
      }
    }
    for (int64_t lane = 0; i < end; ++i, ++lane) {
      few[lane] += backward_one<A>(dy[i], saved[i], dx + i, bias, p);
    }
    sum += std::accumulate(few, few + lanes, 0.0);
  }
  return sum;
}

// NCHW: plane by plane.
template <Act A, typename T>
std::vector<double> backward_planes(const T* dy, const T* saved, T* dx, Layout layout,
                                    const std::vector<float>& bias, ActParams p) {
  const int64_t planes = layout.outer * layout.channels, inner = layout.inner;
  std::vector<double> sums(planes);
  at::parallel_for(0, planes, grain / inner + 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t start = i * inner;
      sums[i] = backward_plane<A>(dy + start, saved + start, dx + start, inner,
                                  bias[i % layout.channels], p);
    }
  });
  std::vector<double> db(layout.channels);
  for (int64_t i = 0; i < planes; ++i) db[i % layout.channels] += sums[i];
  return db;
}

std::tuple<at::Tensor, at::Tensor> bias_act_backward(
    const at::Tensor& dy, const at::Tensor& saved, const std::optional<at::Tensor>& b,
    std::string_view act, double alpha, double gain, std::optional<double> clamp) {
  check_dtype("saved", saved, {at::kFloat, at::kBFloat16});
  check_gradient(dy, saved);
  check_bias(b, saved);
  const ActParams p(alpha, gain, clamp);
  const Act parsed = parse_act(act);
  const auto format = saved.suggest_memory_format();
  const at::Tensor dense_dy = dy.contiguous(format), dense_saved = saved.contiguous(format);
  at::Tensor dx = at::empty(saved.sizes(), saved.options(), format);
  at::Tensor db = at::zeros({saved.size(1)}, saved.options().dtype(at::kFloat));
  if (dx.numel() == 0) return {dx, db};
  const Layout layout(saved, format);
  const auto bias = repeat_bias(b, layout.channels, layout.inner == 1 ? row_size : 1);
  for_dtype(saved.scalar_type(), [&]<typename T>() {
    with_act(parsed, [&]<Act A>() {
      const auto backward = layout.inner == 1 ? backward_slabs<A, T> : backward_planes<A, T>;
      const auto sums = backward(dense_dy.const_data_ptr<T>(), dense_saved.const_data_ptr<T>(),
                                 dx.mutable_data_ptr<T>(), layout, bias, p.as_stored<T>());
      std::copy(sums.begin(), sums.end(), db.mutable_data_ptr<float>());
    });
  });
  return {dx, db};
}

}  // namespace

TORCH_LIBRARY_IMPL(gan_versus, CPU, m) {
  m.impl("bias_act", &bias_act);
  m.impl("bias_act_backward", &bias_act_backward);
}

}  // namespace gan_versus::cpu
