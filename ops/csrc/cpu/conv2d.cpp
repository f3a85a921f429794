// Convolutions by minimal filtering (Winograd 1980; Lavin & Gray 2016, arXiv 1509.09308). Patches of
// the input are transformed to (TILE + TAPS - 1)^2 points, at each point a matrix product runs over
// the channels, and its results are transformed to tiles of the output: as many products a tile
// instead of TILE^2 TAPS^2.
//
// A kernel of stride 2 is the sum of four of half its size, one for each phase of the input: even
// or odd rows, even or odd columns.
#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/baddbmm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "../common.h"

namespace gan_versus::cpu {
namespace {

// --- The algorithm, along one axis --------------------------------------------------------------

template <int ROWS, int COLUMNS>
struct Matrix {
  static constexpr int rows = ROWS, columns = COLUMNS;
  float at[ROWS][COLUMNS];

  constexpr Matrix<COLUMNS, ROWS> transposed() const {
    Matrix<COLUMNS, ROWS> t{};
    for (int i = 0; i < ROWS; ++i) {
      for (int j = 0; j < COLUMNS; ++j) t.at[j][i] = at[i][j];
    }
    return t;
  }
};

// TILE correlations of the inputs d with the taps g: output ((kernel g) (input d)), the inner
// product elementwise. It is Cook's and Toom's product of two polynomials, transposed: both are
// evaluated at some points and at infinity, and interpolated.
template <int TILE, int TAPS>
struct Algorithm {
  static constexpr int points = TILE + TAPS - 1, infinity = points - 1;
  Matrix<points, points> input{};
  Matrix<points, TAPS> kernel{};
  Matrix<TILE, points> output{};

  constexpr explicit Algorithm(const std::array<double, 5>& at) {
    for (int i = 0; i < points; ++i) {
      // Coefficients of the product of (t - at[j]) over the other points j, and its value at at[i].
      double product[points] = {1.0}, value = 1.0;
      for (int j = 0, degree = 1; j < infinity; ++j) {
        if (j == i) continue;
        for (int k = degree; k > 0; --k) product[k] = product[k - 1] - at[j] * product[k];
        product[0] *= -at[j];
        value *= i == infinity ? 1.0 : at[i] - at[j];
        ++degree;
      }
      for (int k = 0; k < points; ++k) input.at[i][k] = static_cast<float>(product[k]);
      double power = 1.0;
      for (int k = 0; i < infinity && k < infinity; ++k, power *= at[i]) {
        if (k < TAPS) kernel.at[i][k] = static_cast<float>(power / value);
        if (k < TILE) output.at[k][i] = static_cast<float>(power);
      }
    }
    kernel.at[infinity][TAPS - 1] = output.at[TILE - 1][infinity] = 1.0f;
  }
};

template <int TILE, int TAPS>
constexpr Algorithm<TILE, TAPS> algorithm({0.0, 1.0, -1.0, 2.0, -2.0});

// --- Its transforms, along both axes ------------------------------------------------------------

template <int COUNT, typename F>
void unroll(const F& f) {
  [&]<int... I>(std::integer_sequence<int, I...>) {
    (f(std::integral_constant<int, I>{}), ...);
  }(std::make_integer_sequence<int, COUNT>{});
}

// A row of a matrix times x; its zeros cost nothing.
template <const auto& MATRIX, int ROW, typename Vec>
Vec row_times(const Vec* x) {
  Vec sum{};
  unroll<MATRIX.columns>([&](auto j) {
    constexpr float weight = MATRIX.at[ROW][j];
    if constexpr (weight != 0.0f) sum += weight * x[j];
  });
  return sum;
}

template <int SIZE>
using Pointers = float* [SIZE][SIZE];  // to the channels of a square's pixels or points

// out = MATRIX in MATRIX^T for the LANES channels from c on.
template <const auto& MATRIX, int LANES>
void transform_lanes(const Pointers<MATRIX.columns>& in, const Pointers<MATRIX.rows>& out,
                     int64_t c) {
  typedef float Vec __attribute__((vector_size(LANES * sizeof(float))));
  constexpr int rows = MATRIX.rows, columns = MATRIX.columns;
  Vec half[rows][columns];
  for (int j = 0; j < columns; ++j) {
    Vec column[columns];
    for (int i = 0; i < columns; ++i) std::memcpy(&column[i], in[i][j] + c, sizeof(Vec));
    unroll<rows>([&](auto i) { half[i][j] = row_times<MATRIX, i>(column); });
  }
  for (int i = 0; i < rows; ++i) {
    unroll<rows>([&](auto j) {
      const Vec value = row_times<MATRIX, j>(half[i]);
      std::memcpy(out[i][j] + c, &value, sizeof(Vec));
    });
  }
}

// Of all channels, which are a multiple of 8.
template <const auto& MATRIX>
void transform(const Pointers<MATRIX.columns>& in, const Pointers<MATRIX.rows>& out,
               int64_t channels) {
  int64_t c = 0;
  for (; c + 16 <= channels; c += 16) transform_lanes<MATRIX, 16>(in, out, c);
  if (c < channels) transform_lanes<MATRIX, 8>(in, out, c);
}

// --- Where the pixels are -----------------------------------------------------------------------

float* data_of(const at::Tensor& t) { return static_cast<float*>(t.data_ptr()); }

// A tensor [count, channels, height, width] whose channels are contiguous.
struct Maps {
  float* data;
  int64_t count, channels, height, width, image_stride, row_stride, column_stride;

  explicit Maps(const at::Tensor& x)
      : data(data_of(x)),
        count(x.size(0)),
        channels(x.size(1)),
        height(x.size(2)),
        width(x.size(3)),
        image_stride(x.stride(0)),
        row_stride(x.stride(2)),
        column_stride(x.stride(3)) {}

  // A square of pixels, the first one at (y, x) and from one to the next `step`. Those outside of
  // the image are at `outside`.
  template <int SIZE>
  void square(Pointers<SIZE>& pixels, int64_t image, int64_t y, int64_t x, int64_t step,
              float* outside) const {
    for (int i = 0; i < SIZE; ++i) {
      const int64_t row = y + i * step;
      for (int j = 0; j < SIZE; ++j) {
        const int64_t column = x + j * step;
        const bool inside = row >= 0 && row < height && column >= 0 && column < width;
        const int64_t offset = image * image_stride + row * row_stride + column * column_stride;
        pixels[i][j] = inside ? data + offset : outside;
      }
    }
  }
};

// The points of one row of [points, rows, channels].
template <int SIZE>
void points_of(Pointers<SIZE>& points, const at::Tensor& values, int64_t row) {
  float* first = data_of(values) + row * values.stride(1);
  for (int i = 0; i < SIZE; ++i) {
    for (int j = 0; j < SIZE; ++j) points[i][j] = first + (i * SIZE + j) * values.stride(0);
  }
}

// Tiles of the images of a tensor: `rows` x `columns` in each, the first one's first pixel at
// (y, x), and from a pixel to the next `step`.
struct Tiles {
  int64_t images, rows, columns, y, x, step;

  int64_t count() const { return images * rows * columns; }

  Tiles moved(int64_t to_y, int64_t to_x, int64_t new_step) const {
    return {images, rows, columns, to_y, to_x, new_step};
  }
};

// --- Convolutions -------------------------------------------------------------------------------

at::Tensor channels_last(const at::Tensor& x) {
  return x.contiguous(at::MemoryFormat::ChannelsLast);
}

// [outputs, inputs, k, k] as [inputs, outputs, k, k], outputs contiguous.
at::Tensor exchanged(const at::Tensor& w) {
  const at::Tensor rows = w.permute({0, 2, 3, 1}).reshape({w.size(0), -1});
  return rows.t().contiguous().view({w.size(2), w.size(3), w.size(1), w.size(0)})
      .permute({2, 3, 0, 1});
}

// Calls f(begin, end) on shares of tiles, in parallel.
template <typename F>
void for_shares(int64_t tiles, int64_t block, const F& f) {
  at::parallel_for(0, (tiles + block - 1) / block, 1, [&](int64_t begin, int64_t end) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    f(begin * block, std::min(end * block, tiles));
  });
}

template <int TILE, int TAPS>
struct Winograd {
  static constexpr int side = TILE + TAPS - 1, points = side * side;
  static constexpr auto input = algorithm<TILE, TAPS>.input;
  static constexpr auto kernel = algorithm<TILE, TAPS>.kernel;
  static constexpr auto output = algorithm<TILE, TAPS>.output;
  static constexpr auto kernel_adjoint = kernel.transposed();
  static constexpr auto output_adjoint = output.transposed();

  static Tiles tiles_of(int64_t images, int64_t height, int64_t width) {
    return {images, (height + TILE - 1) / TILE, (width + TILE - 1) / TILE, 0, 0, 1};
  }

  // Tiles to transform before each matrix product: few enough to stay in the cache, and enough not
  // to spend the time on reading kernels.
  static int64_t block_of(const Tiles& tiles, int64_t channels) {
    constexpr int64_t cache = 1 << 21, least = 64;
    const int64_t fit = cache / (points * channels * static_cast<int64_t>(sizeof(float)));
    const int64_t share = tiles.count() / at::get_num_threads() + 1;
    return std::min(std::max(fit, least), share);
  }

  // Calls f(row, image, y, x) for tiles [begin, end): y and x are a tile's first pixel.
  template <typename F>
  static void for_tiles(const Tiles& tiles, int64_t begin, int64_t end, const F& f) {
    const int64_t pitch = TILE * tiles.step;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = i / tiles.columns % tiles.rows, column = i % tiles.columns;
      f(i - begin, i / (tiles.rows * tiles.columns), tiles.y + row * pitch,
        tiles.x + column * pitch);
    }
  }

  // What tiles [begin, end) see of x, at the points: to `values` [points, tiles, channels].
  template <const auto& MATRIX>
  static void to_points(const Maps& x, const Tiles& tiles, int64_t begin, int64_t end,
                        const at::Tensor& values) {
    std::vector<float> zeros(x.channels);
    Pointers<MATRIX.columns> in;
    Pointers<side> out;
    for_tiles(tiles, begin, end, [&](int64_t row, int64_t image, int64_t y0, int64_t x0) {
      x.square<MATRIX.columns>(in, image, y0, x0, tiles.step, zeros.data());
      points_of<side>(out, values, row);
      transform<MATRIX>(in, out, x.channels);
    });
  }

  // The four phases of x, for tiles of an output that starts at -padding; channels side by side.
  static void phases_to_points(const Maps& x, const Tiles& tiles, int64_t stride, int64_t padding,
                               int64_t begin, int64_t end, const at::Tensor& values) {
    for (int64_t phase = 0; phase < stride * stride; ++phase) {
      const Tiles in = tiles.moved(phase / stride - padding, phase % stride - padding, stride);
      to_points<input>(x, in, begin, end, values.narrow(2, phase * x.channels, x.channels));
    }
  }

  // From the points to the pixels of tiles [begin, end) that are inside of y.
  static void from_points(const at::Tensor& values, const Maps& y, const Tiles& tiles,
                          int64_t begin, int64_t end) {
    std::vector<float> outside(y.channels);
    Pointers<side> in;
    Pointers<TILE> out;
    for_tiles(tiles, begin, end, [&](int64_t row, int64_t image, int64_t y0, int64_t x0) {
      y.square<TILE>(out, image, y0, x0, tiles.step, outside.data());
      points_of<side>(in, values, row);
      transform<output>(in, out, y.channels);
    });
  }

  // Kernels [rows, columns, k, k] at the points, [points, phases, rows, columns]; or from there.
  template <typename F>
  static void for_kernels(const Maps& w, int64_t stride, bool flip, const at::Tensor& u,
                          const F& f) {
    const int64_t last = flip ? (TAPS - 1) * stride : 0, step = flip ? -stride : stride;
    at::parallel_for(0, w.count, 8, [&](int64_t begin, int64_t end) {
      std::vector<float> outside(w.channels);
      Pointers<TAPS> taps;
      Pointers<side> at_points;
      for (int64_t phase = 0; phase < stride * stride; ++phase) {
        const at::Tensor values = u.select(1, phase);
        for (int64_t row = begin; row < end; ++row) {
          w.square<TAPS>(taps, row, last + phase / stride, last + phase % stride, step,
                         outside.data());
          points_of<side>(at_points, values, row);
          f(taps, at_points);
        }
      }
    });
  }

  static at::Tensor kernels_at_points(const at::Tensor& w, int64_t stride, bool flip) {
    at::Tensor u = at::empty({points, stride * stride, w.size(0), w.size(1)}, w.options());
    for_kernels(Maps(w), stride, flip, u, [&](const auto& taps, const auto& at_points) {
      transform<kernel>(taps, at_points, w.size(1));
    });
    return u;
  }

  // y = x convolved with w.
  static void convolve(const Maps& x, const at::Tensor& w, const Maps& y, int64_t stride,
                       int64_t padding) {
    const at::Tensor u = kernels_at_points(exchanged(w), stride, false).flatten(1, 2);
    const Tiles tiles = tiles_of(y.count, y.height, y.width);
    const int64_t depth = u.size(1), block = block_of(tiles, depth + y.channels);
    for_shares(tiles.count(), block, [&](int64_t begin, int64_t end) {
      const at::Tensor v = at::empty({points, block, depth}, w.options());
      const at::Tensor m = at::empty({points, block, y.channels}, w.options());
      for (; begin < end; begin += block) {
        const int64_t n = std::min(block, end - begin);
        phases_to_points(x, tiles, stride, padding, begin, begin + n, v);
        at::Tensor product = m.narrow(1, 0, n);
        at::bmm_out(product, v.narrow(1, 0, n), u);
        from_points(m, y, tiles, begin, begin + n);
      }
    });
  }

  // The transpose of that, x from y: for each phase of x a convolution with flipped kernels.
  static void convolve_transposed(const Maps& y, const at::Tensor& w, const Maps& x,
                                  int64_t stride, int64_t padding) {
    const at::Tensor u = kernels_at_points(w, stride, true);
    for (int64_t phase = 0; phase < stride * stride; ++phase) {
      const int64_t fy = phase / stride, fx = phase % stride;
      // Its pixels are at stride * i + f - padding, and `first` is the least i inside of x.
      const auto first = [&](int64_t f) { return (padding - f + stride - 1) / stride; };
      const auto count = [&](int64_t size, int64_t f) {
        return (size - 1 - f + padding) / stride + 1 - first(f);
      };
      const Tiles tiles = tiles_of(x.count, count(x.height, fy), count(x.width, fx));
      const Tiles in = tiles.moved(first(fy) - TAPS + 1, first(fx) - TAPS + 1, 1);
      const Tiles out = tiles.moved(stride * first(fy) + fy - padding,
                                    stride * first(fx) + fx - padding, stride);
      const int64_t block = block_of(tiles, x.channels + y.channels);
      for_shares(tiles.count(), block, [&](int64_t begin, int64_t end) {
        const at::Tensor v = at::empty({points, block, y.channels}, w.options());
        const at::Tensor m = at::empty({points, block, x.channels}, w.options());
        for (; begin < end; begin += block) {
          const int64_t n = std::min(block, end - begin);
          to_points<input>(y, in, begin, begin + n, v);
          at::Tensor product = m.narrow(1, 0, n);
          at::bmm_out(product, v.narrow(1, 0, n), u.select(1, phase));
          from_points(m, x, out, begin, begin + n);
        }
      });
    }
  }

  // The gradient of w: the sum over all places of y times what is under the kernel there.
  static void correlate(const Maps& x, const Maps& y, const at::Tensor& w, int64_t stride,
                        int64_t padding) {
    const int64_t phases = stride * stride, depth = phases * x.channels;
    const Tiles tiles = tiles_of(y.count, y.height, y.width);
    const int64_t block = block_of(tiles, depth + y.channels);
    std::vector<at::Tensor> sums(at::get_num_threads());
    for_shares(tiles.count(), block, [&](int64_t begin, int64_t end) {
      const at::Tensor v = at::empty({points, block, depth}, w.options());
      const at::Tensor m = at::empty({points, block, y.channels}, w.options());
      at::Tensor sum = at::empty({points, y.channels, depth}, w.options());
      for (int64_t at = begin; at < end; at += block) {
        const int64_t n = std::min(block, end - at);
        phases_to_points(x, tiles, stride, padding, at, at + n, v);
        to_points<output_adjoint>(y, tiles, at, at + n, m);
        const double beta = at == begin ? 0.0 : 1.0;  // the first time, nothing is there
        at::baddbmm_out(sum, sum, m.narrow(1, 0, n).mT(), v.narrow(1, 0, n), beta);
      }
      sums[at::get_thread_num()] = sum;
    });
    std::erase_if(sums, [](const at::Tensor& sum) { return !sum.defined(); });
    if (sums.empty()) return static_cast<void>(w.zero_());
    for (size_t i = 1; i < sums.size(); ++i) sums[0].add_(sums[i]);
    const at::Tensor u = sums[0].unflatten(2, {phases, x.channels}).transpose(1, 2);
    for_kernels(Maps(w), stride, false, u, [&](const auto& taps, const auto& at_points) {
      transform<kernel_adjoint>(at_points, taps, x.channels);
    });
  }
};

// Calls f.operator()<Winograd<...>>() with what fits weights [outputs, inputs, k, k].
template <typename F>
void with_winograd(const at::Tensor& w, int64_t stride, const F& f) {
  const int64_t kernel = w.size(2);
  if (kernel == 3 && stride == 1) return f.template operator()<Winograd<4, 3>>();
  if (kernel == 5 && stride == 1) return f.template operator()<Winograd<2, 5>>();
  if (kernel == 4 && stride == 2) return f.template operator()<Winograd<4, 2>>();
  TORCH_CHECK(false, "w, stride: expected kernels of 3 or 5 at stride 1 or of 4 at stride 2, got ",
              w.sizes(), " and ", stride);
}

// x [N, inputs, H, W] and w [outputs, inputs, k, k], or y [N, outputs, H', W'] in x's place.
void check(const at::Tensor& images, const at::Tensor& w, int64_t channels_axis) {
  check_image(images);
  check_dtype("x", images, {at::kFloat});
  check_parameter("w", w, images);
  TORCH_CHECK(w.dim() == 4 && w.size(2) == w.size(3), "w: expected [outputs, inputs, k, k], got ",
              w.sizes());
  TORCH_CHECK(w.size(0) % 8 == 0 && w.size(1) % 8 == 0,
              "w: expected multiples of 8 channels, got ", w.sizes());
  TORCH_CHECK(images.size(1) == w.size(channels_axis), "x: expected ", w.size(channels_axis),
              " channels, got ", images.sizes());
}

at::Tensor conv2d(const at::Tensor& x, const at::Tensor& w, int64_t stride, int64_t padding) {
  check(x, w, 1);
  const auto size = [&](int64_t n) { return (n + 2 * padding - w.size(2)) / stride + 1; };
  const at::Tensor y = at::empty({x.size(0), w.size(0), size(x.size(2)), size(x.size(3))},
                                 x.options(), at::MemoryFormat::ChannelsLast);
  const at::Tensor dense = channels_last(x);
  with_winograd(w, stride, [&]<typename W>() {
    W::convolve(Maps(dense), w, Maps(y), stride, padding);
  });
  return y;
}

at::Tensor conv2d_input(const at::Tensor& y, const at::Tensor& w, int64_t stride, int64_t padding,
                        at::IntArrayRef size) {
  check(y, w, 0);
  const at::Tensor x = at::empty({y.size(0), w.size(1), size[0], size[1]}, y.options(),
                                 at::MemoryFormat::ChannelsLast);
  const at::Tensor dense = channels_last(y), weights = channels_last(w);
  with_winograd(w, stride, [&]<typename W>() {
    W::convolve_transposed(Maps(dense), weights, Maps(x), stride, padding);
  });
  return x;
}

at::Tensor conv2d_weight(const at::Tensor& x, const at::Tensor& y, int64_t stride, int64_t padding,
                         int64_t kernel) {
  check_image(y);
  const at::Tensor w = at::empty({y.size(1), x.size(1), kernel, kernel}, x.options(),
                                 at::MemoryFormat::ChannelsLast);
  check(x, w, 1);
  const at::Tensor dense_x = channels_last(x), dense_y = channels_last(y);
  with_winograd(w, stride, [&]<typename W>() {
    W::correlate(Maps(dense_x), Maps(dense_y), w, stride, padding);
  });
  return w;
}

}  // namespace

TORCH_LIBRARY_IMPL(gan_versus, CPU, m) {
  m.impl("conv2d", &conv2d);
  m.impl("conv2d_input", &conv2d_input);
  m.impl("conv2d_weight", &conv2d_weight);
}

}  // namespace gan_versus::cpu
