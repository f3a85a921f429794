// FIR, noise, bias and activation on CUDA, in one pass over memory.
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

#include "bias_act.cuh"
#include "fir.cuh"

namespace gan_versus::cuda {
namespace {

void filtered(const at::Tensor& x, const at::Tensor& y, at::MemoryFormat format,
              const at::Tensor& f, at::IntArrayRef padding, double gain, const BiasAct& bias_act) {
  const at::Tensor filter = f.contiguous();
  const Fir fir = Fir::plan(x, y, format, filter, {1, 1}, {1, 1}, padding, false, gain);
  for_dtype(x.scalar_type(), [&]<typename T>() {
    const auto launch = fir.is_short() ? launch_short<1, 1, T, BiasAct> : launch_any<T, BiasAct>;
    launch(x, y, fir, bias_act);
  });
}

at::Tensor epilogue(const at::Tensor& x, const std::optional<at::Tensor>& f,
                    at::IntArrayRef padding, double fir_gain,
                    const std::optional<at::Tensor>& noise,
                    const std::optional<at::Tensor>& strength, const std::optional<at::Tensor>& b,
                    std::string_view act, double alpha, double gain, std::optional<double> clamp) {
  check_image(x);
  check_image_dtype("x", x);
  check_bias(b, x);
  int64_t height = x.size(2), width = x.size(3);
  if (f) {
    check_filter(*f, x);
    std::tie(height, width) = fir_sizes(x, *f, {1, 1}, {1, 1}, padding);
  }
  check_noise(noise, strength, x, height, width);
  const auto bias = dense(b);
  const BiasAct bias_act{.bias = pointer(bias),
                         .noise = pointer(noise),
                         .strength = pointer(strength),
                         .noise_step = noise && noise->size(0) > 1 ? height * width : 0,
                         .act = parse_act(act),
                         .params = ActParams(alpha, gain, clamp)};
  const c10::cuda::CUDAGuard guard(x.device());
  const auto format = x.suggest_memory_format();
  const at::Tensor y = at::empty({x.size(0), x.size(1), height, width}, x.options(), format);
  if (y.numel() == 0) return y;
  if (f) {
    filtered(x.contiguous(format), y, format, *f, padding, fir_gain, bias_act);
  } else {
    bias_act_pointwise(x.contiguous(format), y, bias_act);
  }
  return y;
}

}  // namespace

TORCH_LIBRARY_IMPL(gan_versus, CUDA, m) { m.impl("epilogue", &epilogue); }

}  // namespace gan_versus::cuda
