// upfirdn2d on CUDA: upsample, pad or crop, filter, downsample.
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

#include "fir.cuh"

namespace gan_versus::cuda {
namespace {

at::Tensor upfirdn2d(const at::Tensor& x, const at::Tensor& f, at::IntArrayRef up,
                     at::IntArrayRef down, at::IntArrayRef padding, bool flip, double gain) {
  check_image(x);
  check_image_dtype("x", x);
  check_filter(f, x);
  const auto [height, width] = fir_sizes(x, f, up, down, padding);
  const c10::cuda::CUDAGuard guard(x.device());
  const auto format = x.suggest_memory_format();
  const at::Tensor y = at::empty({x.size(0), x.size(1), height, width}, x.options(), format);
  if (y.numel() == 0) return y;
  const at::Tensor dense = x.contiguous(format), filter = f.contiguous();
  const Fir fir = Fir::plan(dense, y, format, filter, up, down, padding, flip, gain);
  for_dtype(x.scalar_type(), [&]<typename T>() {
    const auto launch = !fir.is_short() ? launch_any<T, Nothing>
                        : up[0] == 2    ? launch_short<2, 1, T, Nothing>
                        : down[0] == 2  ? launch_short<1, 2, T, Nothing>
                                        : launch_short<1, 1, T, Nothing>;
    launch(dense, y, fir, Nothing());
  });
  return y;
}

}  // namespace

TORCH_LIBRARY_IMPL(gan_versus, CUDA, m) { m.impl("upfirdn2d", &upfirdn2d); }

}  // namespace gan_versus::cuda
