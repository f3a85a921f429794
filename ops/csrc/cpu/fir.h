// FIR filtering of images, [height, width, lanes], a tile at a time: some output rows of one lane,
// or part of a row of many.
//
// There are two passes. The first is vertical: it adds up weighted input rows, in float, into lines
// that stay in the cache and have zeros on either side for the padding. The second is horizontal,
// from those lines. Both are polyphase: output pixels that see the same taps between the stuffed
// zeros form a phase, and only those taps are multiplied. A filter that is not separable is the sum
// over its rows of such pairs of passes.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <vector>

#include "span.h"

namespace gan_versus::cpu {

// Output pixel `o` of phase o % up is the sum over t of taps[t] * input[first + o / up * down + t].
struct Phase {
  int64_t first;       // may lie outside of the input, as may the other pixels
  int64_t filter_tap;  // which tap of the filter taps[0] is; taps[t] is `up * t` further on
  std::vector<float> taps;
};

// Upsampling, filtering and downsampling along one axis.
struct Axis {
  int64_t up, down, size;  // size is the output's
  std::vector<Phase> phases;

  // `taps` are in the order of correlation.
  Axis(const std::vector<float>& taps, int64_t up, int64_t down, int64_t before, int64_t size)
      : up(up), down(down), size(size) {
    const auto count = static_cast<int64_t>(taps.size());
    for (int64_t o = 0; o < up; ++o) {
      const int64_t start = o * down - before;  // the output's first pixel among stuffed zeros
      const int64_t skip = ((-start) % up + up) % up;
      Phase phase{(start + skip) / up, skip, {}};
      for (int64_t k = skip; k < count; k += up) phase.taps.push_back(taps[k]);
      phases.push_back(std::move(phase));
    }
  }

  const Phase& phase(int64_t o) const { return phases[o % up]; }
  int64_t first(int64_t o) const { return phase(o).first + o / up * down; }

  bool is(int64_t other_up, int64_t other_down, size_t count) const {
    return up == other_up && down == other_down &&
           std::all_of(phases.begin(), phases.end(),
                       [&](const Phase& phase) { return phase.taps.size() == count; });
  }
};

// out = the sum over t of weights[t] * x[t * stride + ...], n elements.
template <int COUNT, typename T>
void sum_few(const T* x, int64_t stride, const float* weights, float* __restrict out, int64_t n) {
  float w[COUNT];
  std::copy_n(weights, COUNT, w);
  for (int64_t i = 0; i < n; ++i) {
    float sum = w[0] * static_cast<float>(x[i]);
    for (int t = 1; t < COUNT; ++t) sum += w[t] * static_cast<float>(x[t * stride + i]);
    out[i] = sum;
  }
}

template <typename T>
void sum_any(const T* x, int64_t stride, const float* weights, int64_t count,
             float* __restrict out, int64_t n) {
  std::fill_n(out, n, 0.0f);
  for (int64_t t = 0; t < count; ++t) {
    for (int64_t i = 0; i < n; ++i) out[i] += weights[t] * static_cast<float>(x[t * stride + i]);
  }
}

template <typename T>
void sum(const T* x, int64_t stride, const float* weights, int64_t count, float* out, int64_t n) {
  switch (count) {
    case 1: return sum_few<1>(x, stride, weights, out, n);
    case 2: return sum_few<2>(x, stride, weights, out, n);
    case 3: return sum_few<3>(x, stride, weights, out, n);
    case 4: return sum_few<4>(x, stride, weights, out, n);
    default: return sum_any(x, stride, weights, count, out, n);
  }
}

// Output rows [row, row + rows) and columns [column, column + columns).
struct Tile {
  int64_t row, rows, column, columns;
};

// What lies between the passes: a line for each row of a tile.
struct Lines {
  const float* pixels;          // the first that the tile's first column sees
  int64_t count, pitch, lanes;  // pitch is in elements
};

using HorizontalPass = void (*)(const Lines&, const Axis&, const Tile&, float* out);

// One lane, whole rows, in the cases that matter most: every phase has TAPS taps.
template <int UP, int DOWN, int TAPS>
void filter_lines(const Lines& lines, const Axis& axis, const Tile&, float* out) {
  float taps[UP][TAPS];
  for (int p = 0; p < UP; ++p) std::copy_n(axis.phases[p].taps.data(), TAPS, taps[p]);
  const auto pixel = [](const float* x, const float* w) {
    float sum = w[0] * x[0];
    for (int t = 1; t < TAPS; ++t) sum += w[t] * x[t];
    return sum;
  };
  const int64_t groups = axis.size / UP;
  for (int64_t line = 0; line < lines.count; ++line) {
    float* __restrict row = out + line * axis.size;
    const float* starts[UP];
    for (int p = 0; p < UP; ++p) {
      starts[p] = lines.pixels + line * lines.pitch + axis.phases[p].first - axis.phases[0].first;
    }
    for (int64_t j = 0; j < groups; ++j) {
      for (int p = 0; p < UP; ++p) row[j * UP + p] = pixel(starts[p] + j * DOWN, taps[p]);
    }
    for (int p = 0; p < axis.size % UP; ++p) {
      row[groups * UP + p] = pixel(starts[p] + groups * DOWN, taps[p]);
    }
  }
}

// One lane, whole rows, in general.
inline void filter_lines_any(const Lines& lines, const Axis& axis, const Tile&,
                             float* __restrict out) {
  std::fill_n(out, lines.count * axis.size, 0.0f);
  for (int64_t line = 0; line < lines.count; ++line) {
    for (int64_t p = 0; p < std::min(axis.up, axis.size); ++p) {
      const Phase& phase = axis.phases[p];
      const float* x = lines.pixels + line * lines.pitch + phase.first - axis.phases[0].first;
      float* y = out + line * axis.size + p;
      const int64_t count = (axis.size - p + axis.up - 1) / axis.up;
      for (const float tap : phase.taps) {
        for (int64_t j = 0; j < count; ++j) y[j * axis.up] += tap * x[j * axis.down];
        ++x;
      }
    }
  }
}

// Many lanes.
inline void filter_pixels(const Lines& lines, const Axis& axis, const Tile& tile, float* out) {
  const int64_t together = axis.up == 1 && axis.down == 1 ? tile.columns : 1;
  for (int64_t o = tile.column; o < tile.column + tile.columns; o += together) {
    const auto& taps = axis.phase(o).taps;
    const float* pixels = lines.pixels + (axis.first(o) - axis.first(tile.column)) * lines.lanes;
    sum(pixels, lines.lanes, taps.data(), static_cast<int64_t>(taps.size()), out,
        together * lines.lanes);
    out += together * lines.lanes;
  }
}

inline HorizontalPass choose_pass(const Axis& axis, int64_t lanes) {
  if (lanes > 1) return filter_pixels;
  if (axis.is(1, 1, 4)) return filter_lines<1, 1, 4>;
  if (axis.is(2, 1, 2)) return filter_lines<2, 1, 2>;
  if (axis.is(1, 2, 4)) return filter_lines<1, 2, 4>;
  return filter_lines_any;
}

// The filter and the geometry of one call.
struct Fir {
  Images input, output;
  Axis vertical;
  std::vector<Axis> horizontal;  // one, or one for each row of a filter that is not separable

  // `f` is [taps] or [rows, columns]; padding is {top, bottom, left, right}.
  Fir(const Images& input, const Images& output, const at::Tensor& f, at::IntArrayRef up,
      at::IntArrayRef down, at::IntArrayRef padding, bool flip, double gain)
      : input(input),
        output(output),
        vertical(f.dim() == 1 ? taps_of(f, flip, gain) : std::vector<float>(f.size(0), 1.0f),
                 up[0], down[0], padding[0], output.height) {
    const at::Tensor rows = f.dim() == 1 ? f.unsqueeze(0) : flip ? f : f.flip(0);
    for (const at::Tensor& row : rows.unbind()) {
      const auto taps = taps_of(row, flip, f.dim() == 1 ? 1.0 : gain);
      horizontal.emplace_back(taps, up[1], down[1], padding[2], output.width);
    }
  }

  // Output pixels in a tile: its lines stay in the cache, yet are not read right after a write.
  int64_t tile_size() const {
    constexpr int64_t elements = 4096;
    if (input.lanes > 1) return std::max<int64_t>(elements / input.lanes, 8);
    return std::max<int64_t>(elements / std::max(input.width, output.width), 1) * output.width;
  }

 private:
  static std::vector<float> taps_of(const at::Tensor& row, bool flip, double gain) {
    const at::Tensor dense = row.contiguous();
    const float* values = dense.const_data_ptr<float>();
    std::vector<float> taps(values, values + row.numel());
    for (float& tap : taps) tap *= static_cast<float>(gain);
    if (!flip) std::reverse(taps.begin(), taps.end());
    return taps;
  }
};

// Cuts output rows [begin, end), counted over all images, into tiles. Calls f(image, first pixel in
// it, first pixel in all, pixels).
template <typename F>
void for_tiles(const Fir& fir, int64_t begin, int64_t end, const F& f) {
  const int64_t width = fir.output.width, pixels = fir.output.pixels();
  const int64_t period = fir.output.lanes > 1 ? width : pixels;
  for_spans(begin * width, end * width, period, fir.tile_size(),
            [&](int64_t, int64_t, int64_t start, int64_t n) {
              f(start / pixels, start % pixels, start, n);
            });
}

// Makes tiles; one for each thread, as it holds the lines between the passes.
template <typename T>
class TileFilter {
 public:
  explicit TileFilter(const Fir& fir)
      : fir_(fir), pass_(choose_pass(fir.horizontal[0], fir.input.lanes)) {}

  // Output pixels [pixel, pixel + count) of `image`.
  void operator()(const T* image, int64_t pixel, int64_t count, float* out) {
    const int64_t width = fir_.output.width, columns = std::min(count, width);
    const Tile tile{pixel / width, count / columns, pixel % width, columns};
    see_columns(tile);
    if (fir_.horizontal.size() > 1) return filter_2d(image, tile, out);
    for (int64_t r = 0; r < tile.rows; ++r) {
      const auto [first, taps, weights, filter_row] = rows_seen(tile.row + r);
      make_line(r, image, first, weights, taps);
    }
    pass_({lines_.data(), tile.rows, pitch_, fir_.input.lanes}, fir_.horizontal[0], tile, out);
  }

 private:
  // The input rows that an output row sees, without the padding's.
  struct Seen {
    int64_t first, count;
    const float* weights;
    int64_t filter_row;  // the first one's, and `up` further on the next one's
  };

  Seen rows_seen(int64_t row) const {
    const Phase& phase = fir_.vertical.phase(row);
    const int64_t first = fir_.vertical.first(row);
    const int64_t end = first + static_cast<int64_t>(phase.taps.size());
    const int64_t skip = std::max<int64_t>(0, -first);
    const int64_t count = std::min(end, fir_.input.height) - (first + skip);
    if (count <= 0) return {0, 0, nullptr, 0};
    return {first + skip, count, phase.taps.data() + skip,
            phase.filter_tap + skip * fir_.vertical.up};
  }

  // Makes room for the lines of a tile: zeros, of which the input's columns will be overwritten.
  void see_columns(const Tile& tile) {
    const Axis& axis = fir_.horizontal[0];
    const int64_t last = tile.column + tile.columns - 1;
    const int64_t begin = axis.first(tile.column);
    const int64_t end = axis.first(last) + static_cast<int64_t>(axis.phase(last).taps.size());
    if (begin == begin_ && end == end_) return;
    begin_ = begin;
    end_ = end;
    pitch_ = (end - begin) * fir_.input.lanes;
    lines_.assign(fir_.tile_size() / tile.columns * pitch_, 0.0f);
  }

  // The weighted sum of input rows.
  void make_line(int64_t line, const T* image, int64_t first, const float* weights, int64_t count) {
    const int64_t lanes = fir_.input.lanes, row_size = fir_.input.row_size();
    const int64_t low = std::max<int64_t>(begin_, 0), high = std::min(end_, fir_.input.width);
    if (low >= high) return;
    sum(image + first * row_size + low * lanes, row_size, weights, count,
        lines_.data() + line * pitch_ + (low - begin_) * lanes, (high - low) * lanes);
  }

  void filter_2d(const T* image, const Tile& tile, float* out) {
    const int64_t size = tile.columns * fir_.input.lanes;
    part_.resize(size);
    std::fill_n(out, tile.rows * size, 0.0f);
    for (int64_t r = 0; r < tile.rows; ++r, out += size) {
      const auto [first, taps, weights, filter_row] = rows_seen(tile.row + r);
      for (int64_t t = 0; t < taps; ++t) {
        make_line(0, image, first + t, weights + t, 1);
        pass_({lines_.data(), 1, pitch_, fir_.input.lanes},
              fir_.horizontal[filter_row + t * fir_.vertical.up], tile, part_.data());
        for (int64_t i = 0; i < size; ++i) out[i] += part_[i];
      }
    }
  }

  const Fir& fir_;
  HorizontalPass pass_;
  int64_t begin_ = 0, end_ = 0;  // the columns of a line
  int64_t pitch_ = 0;            // from a line to the next
  std::vector<float> lines_, part_;
};

}  // namespace gan_versus::cpu
