// upfirdn2d on the CPU: upsample, pad or crop, filter, downsample.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <type_traits>

#include "fir.h"

namespace gan_versus::cpu {
namespace {

template <typename T>
void filter_images(const T* x, T* y, const Fir& fir) {
  const Images& output = fir.output;
  const int64_t rows = output.count * output.height;
  at::parallel_for(0, rows, grain / output.row_size() + 1, [&](int64_t begin, int64_t end) {
    TileFilter<T> filter(fir);
    std::vector<float> filtered(fir.tile_size() * output.lanes);
    for_tiles(fir, begin, end, [&](int64_t image, int64_t pixel, int64_t start, int64_t n) {
      const T* source = x + image * fir.input.image_size();
      if constexpr (std::is_same_v<T, float>) {
        filter(source, pixel, n, y + start * output.lanes);
      } else {
        filter(source, pixel, n, filtered.data());
        std::copy_n(filtered.data(), n * output.lanes, y + start * output.lanes);
      }
    });
  });
}

at::Tensor upfirdn2d(const at::Tensor& x, const at::Tensor& f, at::IntArrayRef up,
                     at::IntArrayRef down, at::IntArrayRef padding, bool flip, double gain) {
  check_image(x);
  check_dtype("x", x, {at::kFloat, at::kBFloat16});
  check_filter(f, x);
  const auto [height, width] = fir_sizes(x, f, up, down, padding);
  const auto format = x.suggest_memory_format();
  const at::Tensor dense = x.contiguous(format);
  at::Tensor y = at::empty({x.size(0), x.size(1), height, width}, x.options(), format);
  if (y.numel() == 0) return y;
  const Fir fir(Images(x, format), Images(y, format), f, up, down, padding, flip, gain);
  for_dtype(x.scalar_type(), [&]<typename T>() {
    filter_images(dense.const_data_ptr<T>(), y.mutable_data_ptr<T>(), fir);
  });
  return y;
}

}  // namespace

TORCH_LIBRARY_IMPL(gan_versus, CPU, m) { m.impl("upfirdn2d", &upfirdn2d); }

}  // namespace gan_versus::cpu
