// Tensors as spans of elements, and the loop that activates a span.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <vector>

#include "../common.h"

namespace gan_versus::cpu {

// Elements below which another thread does not pay.
constexpr int64_t grain = 1 << 15;

// Calls f.operator()<T>() with the C++ type of an image.
template <typename F>
void for_dtype(at::ScalarType dtype, const F& f) {
  if (dtype == at::kFloat) {
    f.template operator()<float>();
  } else {
    f.template operator()<at::BFloat16>();
  }
}

// A dense tensor in memory: [outer, channels, inner], where inner is 1 for channels-last.
struct Layout {
  int64_t outer, channels, inner;

  Layout(const at::Tensor& x, at::MemoryFormat format) : channels(x.size(1)) {
    inner = format == at::MemoryFormat::Contiguous ? x.numel() / (x.size(0) * channels) : 1;
    outer = x.numel() / (channels * inner);
  }

  int64_t numel() const { return outer * channels * inner; }
};

// A dense [N, C, H, W] in memory: images of [height, width, lanes]. NCHW is N * C images of one
// lane, channels-last N images of C lanes.
struct Images {
  int64_t count, height, width, lanes;

  Images(const at::Tensor& x, at::MemoryFormat format)
      : height(x.size(2)), width(x.size(3)), lanes(1) {
    if (format == at::MemoryFormat::ChannelsLast) lanes = x.size(1);
    count = x.size(0) * x.size(1) / lanes;
  }

  int64_t pixels() const { return height * width; }  // of one image
  int64_t row_size() const { return width * lanes; }
  int64_t image_size() const { return pixels() * lanes; }
};

// Cuts [begin, end) at the multiples of period and into spans no longer than `longest`. Calls
// f(which period, offset in it, start, n).
template <typename F>
void for_spans(int64_t begin, int64_t end, int64_t period, int64_t longest, const F& f) {
  while (begin < end) {
    const int64_t offset = begin % period;
    const int64_t n = std::min({period - offset, end - begin, longest});
    f(begin / period, offset, begin, n);
    begin += n;
  }
}

// The bias, zeros if there is none, as often as it takes to have at least `size` elements.
inline std::vector<float> repeat_bias(const std::optional<at::Tensor>& b, int64_t channels,
                                      int64_t size = 1) {
  const int64_t repeats = (size + channels - 1) / channels;
  std::vector<float> values(repeats * channels, 0.0f);
  if (!b) return values;
  const at::Tensor dense = b->contiguous();
  for (int64_t r = 0; r < repeats; ++r) {
    std::copy_n(dense.const_data_ptr<float>(), channels, values.data() + r * channels);
  }
  return values;
}

// y = activate(x + scale * add + offset), with add one number an element, or null for zeros.
template <Act A, typename X, typename Y>
void activate_span(const X* __restrict x, Y* __restrict y, int64_t n, const float* __restrict add,
                   float scale, float offset, ActParams p) {
  if (add) {
    for (int64_t i = 0; i < n; ++i) {
      y[i] = static_cast<Y>(activate<A>(static_cast<float>(x[i]) + (scale * add[i] + offset), p));
    }
  } else {
    for (int64_t i = 0; i < n; ++i) {
      y[i] = static_cast<Y>(activate<A>(static_cast<float>(x[i]) + offset, p));
    }
  }
}

}  // namespace gan_versus::cpu
