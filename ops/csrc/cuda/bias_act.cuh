// Noise, bias and activation of values in registers.
#pragma once

#include <optional>
#include <string_view>

#include "../common.h"
#include "vec.cuh"

namespace gan_versus::cuda {

// Calls f.operator()<act>(), as `with_act` does on the host. `act` is the same for all threads.
template <typename F>
__device__ void with_act_on_device(Act act, const F& f) {
  switch (act) {
    case Act::relu: return f.template operator()<Act::relu>();
    case Act::lrelu: return f.template operator()<Act::lrelu>();
    case Act::tanh: return f.template operator()<Act::tanh>();
    case Act::sigmoid: return f.template operator()<Act::sigmoid>();
    case Act::swish: return f.template operator()<Act::swish>();
    default: return f.template operator()<Act::linear>();
  }
}

// y = activate(x + strength * noise + bias). A null pointer stands for zeros.
struct BiasAct {
  const float* bias;      // [C]
  const float* noise;     // [N or 1, H, W]
  const float* strength;  // one number
  int64_t noise_step;     // elements from one image's noise to the next's
  Act act;
  ActParams params;

  __device__ float bias_of(int64_t channel) const { return bias ? bias[channel] : 0.0f; }
  __device__ const float* noise_of(int64_t image) const {
    return noise ? noise + image * noise_step : nullptr;
  }
  __device__ float noise_strength() const { return strength ? *strength : 0.0f; }

  // `shift` is strength * noise + bias.
  template <int N>
  __device__ void operator()(float (&v)[N], const float (&shift)[N]) const {
    with_act_on_device(act, [&]<Act A>() {
#pragma unroll
      for (int k = 0; k < N; ++k) v[k] = activate<A>(v[k] + shift[k], params);
    });
  }
};

// y = bias_act(x) for dense tensors of one layout, not empty.
void bias_act_pointwise(const at::Tensor& x, const at::Tensor& y, const BiasAct& bias_act);

}  // namespace gan_versus::cuda
