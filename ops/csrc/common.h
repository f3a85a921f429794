// What the CPU and the CUDA kernels share: argument checks, sizes and the activations' formulas.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/macros/Macros.h>
#include <c10/util/Exception.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

namespace gan_versus {

// --- Activations --------------------------------------------------------------------------------

enum class Act { linear, relu, lrelu, tanh, sigmoid, swish };

inline Act parse_act(std::string_view name) {
  if (name == "linear") return Act::linear;
  if (name == "relu") return Act::relu;
  if (name == "lrelu") return Act::lrelu;
  if (name == "tanh") return Act::tanh;
  if (name == "sigmoid") return Act::sigmoid;
  if (name == "swish") return Act::swish;
  TORCH_CHECK(false, "act: expected linear, relu, lrelu, tanh, sigmoid or swish, got ", name);
}

// Calls f.operator()<act>(), so that loops are compiled for each activation.
template <typename F>
decltype(auto) with_act(Act act, F&& f) {
  switch (act) {
    case Act::relu: return f.template operator()<Act::relu>();
    case Act::lrelu: return f.template operator()<Act::lrelu>();
    case Act::tanh: return f.template operator()<Act::tanh>();
    case Act::sigmoid: return f.template operator()<Act::sigmoid>();
    case Act::swish: return f.template operator()<Act::swish>();
    default: return f.template operator()<Act::linear>();
  }
}

// `clamp` is NaN where there is none: every comparison with it is false, so nothing is clamped.
struct ActParams {
  float alpha, gain, clamp;

  ActParams(double alpha, double gain, std::optional<double> clamp)
      : alpha(static_cast<float>(alpha)),
        gain(static_cast<float>(gain)),
        clamp(static_cast<float>(clamp.value_or(std::numeric_limits<double>::quiet_NaN()))) {}

  // With the clamp as an output of type T holds it, to tell which were clamped: half precision has
  // no 0.7.
  template <typename T>
  ActParams as_stored() const {
    ActParams p = *this;
    p.clamp = static_cast<float>(static_cast<T>(clamp));
    return p;
  }
};

// exp(x) = scale * (1 + rest), with scale a power of two. Written out because a call of libm would
// keep the compiler from vectorising the loop around it. x is clamped to +-87.
struct SplitExp {
  float scale, rest;

  explicit SplitExp(float x) {
    constexpr float shift = 0x1.8p23f;  // adding it rounds to an integer, kept in the low bits
    x = x > 87.0f ? 87.0f : x;
    x = x < -87.0f ? -87.0f : x;
    const float shifted = x * 1.44269504f + shift;
    const float n = shifted - shift;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    scale = std::bit_cast<float>((std::bit_cast<uint32_t>(shifted) << 23) + 0x3f800000u);
    float p = 1.0f / 5040;
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    rest = p * r * r + r;
  }
};

C10_HOST_DEVICE inline float sigmoid(float v) {
#ifdef __CUDA_ARCH__
  return 1 / (1 + ::expf(-v));
#else
  const SplitExp e(-v);
  return 1 / (1 + (e.scale + e.scale * e.rest));
#endif
}

C10_HOST_DEVICE inline float tanh(float v) {
#ifdef __CUDA_ARCH__
  return ::tanhf(v);
#else
  const SplitExp e(2 * std::abs(v));
  const float expm1 = (e.scale - 1) + e.scale * e.rest;
  return std::copysign(expm1 / (expm1 + 2), v);
#endif
}

template <Act A>
C10_HOST_DEVICE inline float act_value(float v, float alpha) {
  if constexpr (A == Act::relu) return v < 0 ? 0.0f : v;  // in this order a NaN comes through
  if constexpr (A == Act::lrelu) return v > 0 ? v : alpha * v;
  if constexpr (A == Act::tanh) return tanh(v);
  if constexpr (A == Act::sigmoid) return sigmoid(v);
  if constexpr (A == Act::swish) return v * sigmoid(v);
  return v;
}

// y = clamp(gain * act(v))
template <Act A>
C10_HOST_DEVICE inline float activate(float v, ActParams p) {
  const float y = p.gain * act_value<A>(v, p.alpha);
  return y > p.clamp ? p.clamp : (y < -p.clamp ? -p.clamp : y);
}

// dy/dv of `activate`. `saved` is v for swish and the output y for the others.
template <Act A>
C10_HOST_DEVICE inline float act_slope(float saved, ActParams p) {
  float y = saved;
  float slope = p.gain;
  if constexpr (A == Act::relu) slope = y > 0 ? p.gain : 0.0f;
  if constexpr (A == Act::lrelu) slope = y > 0 ? p.gain : p.gain * p.alpha;
  if constexpr (A == Act::tanh) slope = p.gain * (1 - (y / p.gain) * (y / p.gain));
  if constexpr (A == Act::sigmoid) slope = y * (1 - y / p.gain);
  if constexpr (A == Act::swish) {
    const float s = sigmoid(saved);
    y = p.gain * saved * s;
    slope = p.gain * s * (1 + saved * (1 - s));
  }
  return (y >= p.clamp || -y >= p.clamp) ? 0.0f : slope;
}

// --- Sizes --------------------------------------------------------------------------------------

// Length of one axis after upfirdn2d.
inline int64_t fir_size(int64_t size, int64_t up, int64_t down, int64_t before, int64_t after,
                        int64_t taps) {
  TORCH_CHECK(up >= 1 && down >= 1, "up, down: expected at least 1, got ", up, " and ", down);
  const int64_t room = size * up + before + after - taps;
  TORCH_CHECK(room >= 0, "expected at least as many padded pixels as filter taps, got ", size,
              " * ", up, " + ", before, " + ", after, " pixels and ", taps, " taps");
  return room / down + 1;
}

// {height, width} of upfirdn2d's output; padding is {top, bottom, left, right}.
inline std::pair<int64_t, int64_t> fir_sizes(const at::Tensor& x, const at::Tensor& f,
                                             at::IntArrayRef up, at::IntArrayRef down,
                                             at::IntArrayRef padding) {
  TORCH_CHECK(up.size() == 2 && down.size() == 2 && padding.size() == 4,
              "up, down, padding: expected 2, 2 and 4 numbers, got ", up, ", ", down, " and ",
              padding);
  return {fir_size(x.size(2), up[0], down[0], padding[0], padding[1], f.size(0)),
          fir_size(x.size(3), up[1], down[1], padding[2], padding[3], f.size(-1))};
}

// --- Checks -------------------------------------------------------------------------------------

inline void check_dtype(const char* name, const at::Tensor& t, at::ArrayRef<at::ScalarType> known) {
  for (const auto dtype : known) {
    if (t.scalar_type() == dtype) return;
  }
  TORCH_CHECK(false, name, ": expected dtype in ", known, ", got ", t.scalar_type());
}

// float32, on x's device: what all small arguments have to be.
inline void check_parameter(const char* name, const at::Tensor& t, const at::Tensor& x) {
  TORCH_CHECK(t.scalar_type() == at::kFloat, name, ": expected dtype Float, got ",
              t.scalar_type());
  TORCH_CHECK(t.device() == x.device(), name, ": expected device ", x.device(), ", got ",
              t.device());
}

inline void check_image(const at::Tensor& x) {
  TORCH_CHECK(x.dim() == 4, "x: expected [N, C, H, W], got ", x.sizes());
}

inline void check_filter(const at::Tensor& f, const at::Tensor& x) {
  check_parameter("f", f, x);
  TORCH_CHECK((f.dim() == 1 || f.dim() == 2) && f.numel() > 0,
              "f: expected [taps] or [rows, columns], at least one tap, got ", f.sizes());
}

// Channels are dim 1 of x.
inline void check_bias(const std::optional<at::Tensor>& b, const at::Tensor& x) {
  TORCH_CHECK(x.dim() >= 2, "x: expected [N, C, ...], got ", x.sizes());
  if (!b) return;
  check_parameter("b", *b, x);
  TORCH_CHECK(b->dim() == 1 && b->size(0) == x.size(1), "b: expected [", x.size(1), "], got ",
              b->sizes());
}

inline void check_gradient(const at::Tensor& dy, const at::Tensor& saved) {
  TORCH_CHECK(dy.sizes() == saved.sizes(), "dy: expected ", saved.sizes(), ", got ", dy.sizes());
  TORCH_CHECK(dy.scalar_type() == saved.scalar_type(), "dy: expected dtype ",
              saved.scalar_type(), ", got ", dy.scalar_type());
  TORCH_CHECK(dy.device() == saved.device(), "dy: expected device ", saved.device(), ", got ",
              dy.device());
}

// height and width are the output's.
inline void check_noise(const std::optional<at::Tensor>& noise,
                        const std::optional<at::Tensor>& strength, const at::Tensor& x,
                        int64_t height, int64_t width) {
  TORCH_CHECK(noise.has_value() == strength.has_value(),
              "noise, strength: expected both or neither, got only ", noise ? "noise" : "strength");
  if (!noise) return;
  check_parameter("noise", *noise, x);
  check_parameter("strength", *strength, x);
  TORCH_CHECK(strength->dim() == 0, "strength: expected no dimensions, got ", strength->sizes());
  const auto is = [&](int64_t images) {
    return noise->sizes() == at::IntArrayRef({images, 1, height, width});
  };
  TORCH_CHECK((is(1) || is(x.size(0))) && noise->is_contiguous(),
              "noise: expected contiguous [1 or ", x.size(0), ", 1, ", height, ", ", width,
              "], got ", noise->sizes());
}

}  // namespace gan_versus
