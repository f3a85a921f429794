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

// sum = a row of a matrix times x; its zeros cost nothing.
template <const auto& MATRIX, int ROW, typename Vec>
void row_times(const Vec* x, Vec& sum) {
  sum = Vec{};
  unroll<MATRIX.columns>([&](auto j) {
    constexpr float weight = MATRIX.at[ROW][j];
    if constexpr (weight != 0.0f) sum += weight * x[j];
  });
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
    unroll<rows>([&](auto i) { row_times<MATRIX, i>(column, half[i][j]); });
  }
  for (int i = 0; i < rows; ++i) {
    unroll<rows>([&](auto j) {
      Vec value;
      row_times<MATRIX, j>(half[i], value);
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

// A tensor [count, channels, height, width] whose channels are contiguous.
struct Maps {
  float* data;
  int64_t count, channels, height, width, image_stride, row_stride, column_stride;

  explicit Maps(const at::Tensor& x)
      : data(x.mutable_data_ptr<float>()),
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
  float* first = values.mutable_data_ptr<float>() + row * values.stride(1);
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

// [outputs, inputs, k, k] as [inputs, outputs, k, k], outputs contiguous: a matrix's transposition,
// which torch does in blocks, as it does none of four axes.
at::Tensor exchanged(const at::Tensor& w) {
  const at::Tensor rows = w.permute({0, 2, 3, 1}).reshape({w.size(0), -1});
  return rows.t().contiguous().view({w.size(2), w.size(3), w.size(1), w.size(0)})
      .permute({2, 3, 0, 1});
}

int64_t divided_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Calls f(share, begin, end) on shares of tiles, whole blocks, in parallel.
template <typename F>
void for_shares(int64_t tiles, int64_t block, const F& f) {
  at::parallel_for(0, divided_up(tiles, block), 1, [&](int64_t begin, int64_t end) {
    const at::AutoDispatchBelowADInplaceOrView guard;  // which kernels have, and their threads not
    f(begin, begin * block, std::min(end * block, tiles));
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
    return {images, divided_up(height, TILE), divided_up(width, TILE), 0, 0, 1};
  }

  // Tiles to transform before each matrix product: few enough to stay in the cache, enough not to
  // spend the time on reading kernels, and the same number of blocks for each thread.
  static int64_t block_of(const Tiles& tiles, int64_t channels) {
    constexpr int64_t cache = 1 << 21, least = 64;
    const int64_t fit = cache / (points * channels * static_cast<int64_t>(sizeof(float)));
    const int64_t at_once = std::max(fit, least) * at::get_num_threads();
    const int64_t rounds = std::max<int64_t>(divided_up(tiles.count(), at_once), 1);
    return std::max<int64_t>(divided_up(tiles.count(), rounds * at::get_num_threads()), 1);
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

  // The phases of x, four at a stride of 2, for tiles of an output that starts at -padding; channels side by side.
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

  // y = what `read` leaves at the points, times u [points, depth, outputs]. Calls read(begin, end,
  // values) for blocks of tiles, with room for values [points, end - begin, depth].
  template <typename F>
  static void multiply(const at::Tensor& u, const Maps& y, const Tiles& tiles, const F& read) {
    const int64_t depth = u.size(1), block = block_of(tiles, depth + y.channels);
    for_shares(tiles.count(), block, [&](int64_t, int64_t begin, int64_t end) {
      const at::Tensor v = at::empty({points, block, depth}, u.options());
      const at::Tensor m = at::empty({points, block, y.channels}, u.options());
      for (; begin < end; begin += block) {
        const int64_t n = std::min(block, end - begin);
        read(begin, begin + n, v);
        at::Tensor product = m.narrow(1, 0, n);
        at::bmm_out(product, v.narrow(1, 0, n), u);
        from_points(m, y, tiles, begin, begin + n);
      }
    });
  }

  // y = x convolved with w.
  static void convolve(const Maps& x, const at::Tensor& w, const Maps& y, int64_t stride,
                       int64_t padding) {
    const at::Tensor u = kernels_at_points(exchanged(w), stride, false).flatten(1, 2);
    const Tiles tiles = tiles_of(y.count, y.height, y.width);
    multiply(u, y, tiles, [&](int64_t begin, int64_t end, const at::Tensor& values) {
      phases_to_points(x, tiles, stride, padding, begin, end, values);
    });
  }

  // The transpose of that, x from y: for each phase of x a convolution with flipped kernels.
  static void convolve_transposed(const Maps& y, const at::Tensor& w, const Maps& x,
                                  int64_t stride, int64_t padding) {
    const at::Tensor u = kernels_at_points(w, stride, true);
    for (int64_t phase = 0; phase < stride * stride; ++phase) {
      const int64_t fy = phase / stride, fx = phase % stride;
      // Its pixels are at stride * i + f - padding, and `first` is the least i inside of x.
      const auto first = [&](int64_t f) { return divided_up(padding - f, stride); };
      const auto count = [&](int64_t size, int64_t f) {
        return (size - 1 - f + padding) / stride + 1 - first(f);
      };
      const Tiles tiles = tiles_of(x.count, count(x.height, fy), count(x.width, fx));
      const Tiles in = tiles.moved(first(fy) - TAPS + 1, first(fx) - TAPS + 1, 1);
      const Tiles out = tiles.moved(stride * first(fy) + fy - padding,
                                    stride * first(fx) + fx - padding, stride);
      multiply(u.select(1, phase), x, out,
               [&](int64_t begin, int64_t end, const at::Tensor& values) {
                 to_points<input>(y, in, begin, end, values);
               });
    }
  }

  // The gradient of w: the sum over all places of y times what is under the kernel there.
  static void correlate(const Maps& x, const Maps& y, const at::Tensor& w, int64_t stride,
                        int64_t padding) {
    const int64_t phases = stride * stride, depth = phases * x.channels;
    const Tiles tiles = tiles_of(y.count, y.height, y.width);
    const int64_t block = block_of(tiles, depth + y.channels);
    // One for each share, at the number of its first block, so that they are added up in order.
    std::vector<at::Tensor> sums(divided_up(tiles.count(), block));
    for_shares(tiles.count(), block, [&](int64_t share, int64_t begin, int64_t end) {
      const at::Tensor v = at::empty({points, block, depth}, w.options());
      const at::Tensor m = at::empty({points, block, y.channels}, w.options());
      at::Tensor sum = at::empty({points, y.channels, depth}, w.options());
      for (double beta = 0.0; begin < end; begin += block, beta = 1.0) {  // at first it is empty
        const int64_t n = std::min(block, end - begin);
        phases_to_points(x, tiles, stride, padding, begin, begin + n, v);
        to_points<output_adjoint>(y, tiles, begin, begin + n, m);
        at::baddbmm_out(sum, sum, m.narrow(1, 0, n).mT(), v.narrow(1, 0, n), beta);
      }
      sums[share] = sum;
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

void check_maps(const char* name, const at::Tensor& maps) {
  TORCH_CHECK(maps.dim() == 4, name, ": expected [N, C, H, W], got ", maps.sizes());
  check_dtype(name, maps, {at::kFloat});
}

void check_weights(const at::Tensor& w) {
  check_maps("w", w);
  TORCH_CHECK(w.numel() > 0 && w.size(2) == w.size(3) && w.size(0) % 8 == 0 && w.size(1) % 8 == 0,
              "w: expected [outputs, inputs, k, k], channels in multiples of 8, got ", w.sizes());
}

// The size of y for that of x, and a check that each has the channels of w.
std::vector<int64_t> output_size(at::IntArrayRef x, at::IntArrayRef w, int64_t stride,
                                 int64_t padding) {
  TORCH_CHECK(stride >= 1 && padding >= 0, "stride, padding: expected at least 1 and 0, got ",
              stride, " and ", padding);
  TORCH_CHECK(x[1] == w[1], "x: expected ", w[1], " channels, got ", x);
  const auto size = [&](int64_t n) {
    TORCH_CHECK(n + 2 * padding >= w[2], "x: expected at least the kernel's size, got ", x);
    return (n + 2 * padding - w[2]) / stride + 1;
  };
  return {x[0], w[0], size(x[2]), size(x[3])};
}

void check_output(const at::Tensor& y, at::IntArrayRef size) {
  TORCH_CHECK(y.sizes() == size, "y: expected ", size, ", got ", y.sizes());
}

at::Tensor conv2d(const at::Tensor& x, const at::Tensor& w, int64_t stride, int64_t padding) {
  check_maps("x", x);
  check_weights(w);
  const auto size = output_size(x.sizes(), w.sizes(), stride, padding);
  const at::Tensor y = at::empty(size, x.options(), at::MemoryFormat::ChannelsLast);
  const at::Tensor dense = channels_last(x);
  with_winograd(w, stride, [&]<typename W>() {
    W::convolve(Maps(dense), w, Maps(y), stride, padding);
  });
  return y;
}

at::Tensor conv2d_input(const at::Tensor& y, const at::Tensor& w, int64_t stride, int64_t padding,
                        at::IntArrayRef size) {
  check_maps("y", y);
  check_weights(w);
  TORCH_CHECK(size.size() == 2, "size: expected [H, W], got ", size);
  const std::array<int64_t, 4> sizes{y.size(0), w.size(1), size[0], size[1]};
  check_output(y, output_size(sizes, w.sizes(), stride, padding));
  const at::Tensor x = at::empty(sizes, y.options(), at::MemoryFormat::ChannelsLast);
  const at::Tensor dense = channels_last(y), weights = channels_last(w);
  with_winograd(w, stride, [&]<typename W>() {
    W::convolve_transposed(Maps(dense), weights, Maps(x), stride, padding);
  });
  return x;
}

at::Tensor conv2d_weight(const at::Tensor& x, const at::Tensor& y, int64_t stride, int64_t padding,
                         int64_t kernel) {
  check_maps("x", x);
  check_maps("y", y);
  const at::Tensor w = at::empty({y.size(1), x.size(1), kernel, kernel}, x.options(),
                                 at::MemoryFormat::ChannelsLast);
  check_weights(w);
  check_output(y, output_size(x.sizes(), w.sizes(), stride, padding));
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
