// FIR, noise, bias and activation on the CPU in one pass over memory: a few rows of the
// FIR's result are used while they are in the cache.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "fir.h"

namespace gan_versus::cpu {
namespace {

// What follows the FIR.
struct Finish {
  Images images;
  std::vector<float> bias;
  const float* noise;  // null for none
  int64_t noise_step;  // from the noise of one of the N to the next's
  float strength;
  ActParams params;
};

// n pixels of an image from `pixel` on, contiguous in x and y.
template <Act A, typename X, typename Y>
void finish_pixels(const X* x, Y* y, const Finish& finish, int64_t image, int64_t pixel,
                   int64_t n) {
  const int64_t lanes = finish.images.lanes, channels = static_cast<int64_t>(finish.bias.size());
  const float* noise = finish.noise;
  if (noise) noise += image * lanes / channels * finish.noise_step + pixel;
  if (lanes == 1) {
    const float bias = finish.bias[image % channels];
    activate_span<A>(x, y, n, noise, finish.strength, bias, finish.params);
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    const float offset = noise ? noise[i] * finish.strength : 0.0f;
    activate_span<A>(x + i * lanes, y + i * lanes, lanes, finish.bias.data(), 1.0f, offset,
                     finish.params);
  }
}

template <Act A, typename T>
void filter_and_finish(const T* x, const Fir& fir, T* y, const Finish& finish) {
  const Images& output = fir.output;
  const int64_t rows = output.count * output.height;
  at::parallel_for(0, rows, grain / output.row_size() + 1, [&](int64_t begin, int64_t end) {
    TileFilter<T> filter(fir);
    std::vector<float> filtered(fir.tile_size() * output.lanes);
    for_tiles(fir, begin, end, [&](int64_t image, int64_t pixel, int64_t start, int64_t n) {
      filter(x + image * fir.input.image_size(), pixel, n, filtered.data());
      finish_pixels<A>(filtered.data(), y + start * output.lanes, finish, image, pixel, n);
    });
  });
}

template <Act A, typename T>
void finish_images(const T* x, T* y, const Finish& finish) {
  const int64_t lanes = finish.images.lanes, pixels = finish.images.pixels();
  const int64_t all = finish.images.count * pixels;
  at::parallel_for(0, all, grain / lanes + 1, [&](int64_t begin, int64_t end) {
    for_spans(begin, end, pixels, pixels, [&](int64_t image, int64_t pixel, int64_t i, int64_t n) {
      finish_pixels<A>(x + i * lanes, y + i * lanes, finish, image, pixel, n);
    });
  });
}

at::Tensor epilogue(const at::Tensor& x, const std::optional<at::Tensor>& f,
                    at::IntArrayRef padding, double fir_gain,
                    const std::optional<at::Tensor>& noise,
                    const std::optional<at::Tensor>& strength, const std::optional<at::Tensor>& b,
                    std::string_view act, double alpha, double gain, std::optional<double> clamp) {
  constexpr int64_t one[] = {1, 1};
  check_image(x);
  check_dtype("x", x, {at::kFloat, at::kBFloat16});
  if (f) check_filter(*f, x);
  auto [height, width] =
      f ? fir_sizes(x, *f, one, one, padding) : std::pair(x.size(2), x.size(3));
  check_noise(noise, strength, x, height, width);
  check_bias(b, x);
  const ActParams params(alpha, gain, clamp);
  const Act parsed = parse_act(act);
  const auto format = x.suggest_memory_format();
  const at::Tensor dense = x.contiguous(format);
  at::Tensor y = at::empty({x.size(0), x.size(1), height, width}, x.options(), format);
  if (y.numel() == 0) return y;

  const Images output(y, format);
  std::optional<Fir> fir;
  if (f) fir.emplace(Images(x, format), output, *f, one, one, padding, false, fir_gain);
  const bool shared_noise = noise && noise->size(0) == 1;
  const Finish finish{output,
                      repeat_bias(b, x.size(1)),
                      noise ? noise->const_data_ptr<float>() : nullptr,
                      shared_noise ? 0 : height * width,
                      strength ? strength->item<float>() : 0.0f,
                      params};
  for_dtype(x.scalar_type(), [&]<typename T>() {
    with_act(parsed, [&]<Act A>() {
      const T* source = dense.const_data_ptr<T>();
      if (fir) {
        filter_and_finish<A>(source, *fir, y.mutable_data_ptr<T>(), finish);
      } else {
        finish_images<A>(source, y.mutable_data_ptr<T>(), finish);
      }
    });
  });
  return y;
}

}  // namespace

TORCH_LIBRARY_IMPL(gan_versus, CPU, m) { m.impl("epilogue", &epilogue); }

}  // namespace gan_versus::cpu
