// FIR filtering of images: upsample, pad or crop, filter, downsample, and finish what comes out.
//
// An image is [height, width, lanes] in memory: NCHW is N * C images of one lane, channels-last is
// N images of C lanes. There are three kernels: `filter_lanes` for channels-last, `filter_planes`
// for NCHW, both for short separable filters, and `filter_any` for everything.
//
// `Finish` is called on the results before they are stored: see `BiasAct`, or `Nothing`.
#pragma once

#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>

#include <climits>

#include "vec.cuh"

namespace gan_versus::cuda {

constexpr int max_taps = 4;  // of a short filter

constexpr bool is_inside(int i, int size) {
  return static_cast<unsigned>(i) < static_cast<unsigned>(size);
}

// The results as they are.
struct Nothing {
  static constexpr const float* noise = nullptr;
  __device__ float bias_of(int64_t) const { return 0.0f; }
  __device__ const float* noise_of(int64_t) const { return nullptr; }
  __device__ float noise_strength() const { return 0.0f; }
  template <int N>
  __device__ void operator()(float (&)[N], const float (&)[N]) const {}
};

// A tap and the input pixel that it meets.
struct Meeting {
  int tap, pixel;
};

// One axis. Output pixel o is the sum over t of taps[t] * stuffed[o * down - before + t], where
// stuffed[up * i] is input pixel i and the rest is zeros.
//
// Polyphase, for up = 1 or down = 1: group q is the output pixels up * q + base - r, 0 <= r < up.
// All of them see the input pixels from q * down + first on, the j-th with tap r + up * j.
struct Axis {
  int in, out, taps, up, down, before;
  int first, base, groups;

  Axis(int64_t in, int64_t out, int64_t taps, int64_t up, int64_t down, int64_t before)
      : in(in), out(out), taps(taps), up(up), down(down), before(before) {
    constexpr int64_t limit = 1 << 29;  // so that no sum of two overflows
    for (const int64_t length : {in * up, out * down, before, -before, taps}) {
      TORCH_CHECK(length < limit, "expected axes of less than ", limit, " pixels, got ", length);
    }
    base = (this->before % this->up + this->up) % this->up;
    first = (base - this->before) / this->up;
    groups = (this->out + 2 * (this->up - 1) - base) / this->up;
  }

  // The first tap of output o that meets a pixel, and that pixel.
  __device__ Meeting meeting(int o) const {
    const int start = o * down - before;
    const int tap = (up - start % up) % up;
    return {tap, (start + tap) / up};
  }
};

struct Fir {
  const float* f;  // contiguous [taps] or [rows.taps, columns.taps]
  bool separable, flip;
  float gain;
  Axis rows, columns;
  int images, lanes, channels;

  // x and y are dense in `format`, which their strides do not tell if they have one pixel each.
  static Fir plan(const at::Tensor& x, const at::Tensor& y, at::MemoryFormat format,
                  const at::Tensor& f, at::IntArrayRef up, at::IntArrayRef down,
                  at::IntArrayRef padding, bool flip, double gain) {
    const bool channels_last = format == at::MemoryFormat::ChannelsLast;
    const int64_t images = channels_last ? x.size(0) : x.size(0) * x.size(1);
    TORCH_CHECK(std::max(images, x.size(1)) <= INT_MAX, "expected at most ", INT_MAX,
                " planes, got ", x.sizes());
    return {.f = f.const_data_ptr<float>(),
            .separable = f.dim() == 1,
            .flip = flip,
            .gain = static_cast<float>(gain),
            .rows = Axis(x.size(2), y.size(2), f.size(0), up[0], down[0], padding[0]),
            .columns = Axis(x.size(3), y.size(3), f.size(-1), up[1], down[1], padding[2]),
            .images = static_cast<int>(images),
            .lanes = static_cast<int>(channels_last ? x.size(1) : 1),
            .channels = static_cast<int>(x.size(1))};
  }

  // Whether the kernels for short filters can be used.
  bool is_short() const {
    constexpr int limit = 1 << 17;  // keeps CUDA's grid in its bounds
    const bool same = rows.up == columns.up && rows.down == columns.down;
    return separable && rows.taps <= max_taps && same && rows.up * rows.down <= 2 &&
           std::max(rows.out, columns.out) < limit && std::max(in_size(), out_size()) <= INT_MAX;
  }

  // Elements of an image.
  __host__ __device__ int64_t in_size() const {
    return static_cast<int64_t>(rows.in) * columns.in * lanes;
  }
  __host__ __device__ int64_t out_size() const {
    return static_cast<int64_t>(rows.out) * columns.out * lanes;
  }

  // Tap number t in the order of correlation.
  __device__ int tap(const Axis& axis, int t) const { return flip ? t : axis.taps - 1 - t; }

  __device__ const float* weights_of_row(int t) const {
    return separable ? f : f + static_cast<int64_t>(tap(rows, t)) * columns.taps;
  }

  __device__ int64_t sample(int64_t image) const { return lanes == 1 ? image / channels : image; }
  __device__ int64_t channel(int64_t image, int lane) const {
    return lanes == 1 ? image % channels : lane;
  }
};

// --- Short filters ------------------------------------------------------------------------------

// The taps of one phase. Those past the filter's end are not multiplied by zero but left out: what
// they would meet may be infinite.
template <int UP>
struct Phase {
  static constexpr int size = max_taps / UP;
  float weights[size];
  bool used[size];

  __device__ Phase(const Fir& fir, const Axis& axis, int r, float gain) {
#pragma unroll
    for (int j = 0; j < size; ++j) {
      const int t = r + UP * j;
      used[j] = t < axis.taps;
      weights[j] = used[j] ? gain * fir.f[fir.tap(axis, t)] : 0.0f;
    }
  }

  // Sums size values, given by their number.
  template <typename F>
  __device__ float operator()(const F& value) const {
    float sum = 0.0f;
#pragma unroll
    for (int j = 0; j < size; ++j) {
      if ((UP == 1 && j == 0) || used[j]) sum += weights[j] * value(j);
    }
    return sum;
  }
};

// Calls f(k) for the first `count` of N numbers k.
template <int N, typename F>
__device__ void for_few(int count, const F& f) {
#pragma unroll
  for (int k = 0; k < N; ++k) {
    if (k < count) f(k);
  }
}

// The vertical half of the work, along a strip of N columns. `fetch(row)` gives the pixels of an
// input row, `horizontal(pixels, values)` filters them, `emit(row, values)` takes an output row.
// Rows that the next group needs again stay in registers; the next row is fetched early.
template <int UP, int DOWN, int N, typename Fetch, typename Horizontal, typename Emit>
__device__ void filter_strip(const Fir& fir, int begin, int end, const Fetch& fetch,
                             const Horizontal& horizontal, const Emit& emit) {
  constexpr int WINDOW = max_taps / UP, KEPT = WINDOW - DOWN;
  const Axis& rows = fir.rows;
  const Phase<UP> even(fir, rows, 0, fir.gain), odd(fir, rows, UP - 1, fir.gain);
  const int last = (end - 1) * DOWN + rows.first + WINDOW - 1;
  int next_row = begin * DOWN + rows.first;
  auto next = fetch(next_row);
  const auto take_row = [&](float(&values)[N]) {
    horizontal(next, values);
    if (++next_row <= last) next = fetch(next_row);
  };
  float window[WINDOW][N];
#pragma unroll
  for (int j = 0; j < KEPT; ++j) take_row(window[DOWN + j]);
#pragma unroll WINDOW / DOWN  // else the rows are copied from register to register
  for (int q = begin; q < end; ++q) {
#pragma unroll
    for (int j = 0; j < KEPT; ++j) {
#pragma unroll
      for (int k = 0; k < N; ++k) window[j][k] = window[DOWN + j][k];
    }
#pragma unroll
    for (int j = KEPT; j < WINDOW; ++j) take_row(window[j]);
#pragma unroll
    for (int r = UP - 1; r >= 0; --r) {
      const int row = UP * q + rows.base - r;
      float sums[N];
#pragma unroll
      for (int k = 0; k < N; ++k) {
        sums[k] = (r == 0 ? even : odd)([&](int j) { return window[j][k]; });
      }
      if (UP == 1 || is_inside(row, rows.out)) emit(row, sums);
    }
  }
}

template <typename T, int V, int SIZE>
struct Window {
  Vec<T, V> at[SIZE];
};

// Channels-last. A thread has V neighbouring lanes of one output column, for `groups` groups of
// rows. Its block has a cache line of lanes of as many columns as there are threads for, so that a
// pixel comes from the L1 cache for all of the block's columns that see it but the first.
template <typename T, int V, int UP, int DOWN, typename Finish>
__global__ void __launch_bounds__(block_size)
    filter_lanes(const T* __restrict__ x, T* __restrict__ y, Fir fir, Finish finish, int groups) {
  constexpr int WINDOW = max_taps / UP;
  const Axis& columns = fir.columns;
  const int tiles = ceil_div<int>(fir.lanes, V * blockDim.x);
  const int lane = (blockIdx.x % tiles * blockDim.x + threadIdx.x) * V;
  const int column = blockIdx.x / tiles * blockDim.y + threadIdx.y;
  if (lane >= fir.lanes || column >= columns.out) return;

  const int r = (columns.base + column) % UP;  // the column's phase
  const int left = (column - columns.base + r) / UP * DOWN + columns.first;
  const Phase<UP> phase(fir, columns, r, 1.0f);
  bool seen[WINDOW];
  float bias[V];
#pragma unroll
  for (int j = 0; j < WINDOW; ++j) {
    seen[j] = phase.used[j] && is_inside(left + j, columns.in);
  }
#pragma unroll
  for (int k = 0; k < V; ++k) bias[k] = finish.bias_of(lane + k);
  const float strength = finish.noise_strength();

  const int begin = blockIdx.y * groups, end = std::min(begin + groups, fir.rows.groups);
  for (int64_t image = blockIdx.z; image < fir.images; image += gridDim.z) {
    const T* const in = x + image * fir.in_size() + lane;
    T* const out = y + image * fir.out_size() + lane;
    const float* const noise = finish.noise_of(image);
    filter_strip<UP, DOWN, V>(
        fir, begin, end,
        [&](int row) {
          const bool inside = is_inside(row, fir.rows.in);
          const int first = (row * columns.in + left) * fir.lanes;
          Window<T, V, WINDOW> window{};
#pragma unroll
          for (int j = 0; j < WINDOW; ++j) {
            if (inside && seen[j]) window.at[j] = load_vector<T, V>(in + (first + j * fir.lanes));
          }
          return window;
        },
        [&](const Window<T, V, WINDOW>& window, float(&values)[V]) {
#pragma unroll
          for (int k = 0; k < V; ++k) {
            values[k] = 0.0f;
#pragma unroll
            for (int j = 0; j < WINDOW; ++j) {
              values[k] += phase.weights[j] * static_cast<float>(window.at[j][k]);
            }
          }
        },
        [&](int row, float(&values)[V]) {
          const int pixel = row * columns.out + column;
          const float noise_here = noise ? strength * noise[pixel] : 0.0f;
          float shift[V];
#pragma unroll
          for (int k = 0; k < V; ++k) shift[k] = noise_here + bias[k];
          finish(values, shift);
          // In 64 bits, with which the compiler does not split the store.
          store(out + static_cast<int64_t>(pixel) * fir.lanes, values);
        });
  }
}

// NCHW. The threads of one threadIdx.z filter a tile of one plane: each takes `step` input columns
// and the row groups of a strip, and makes the outputs that belong to them. The tile's input comes
// into shared memory first, shifted so that all windows begin at multiples of `step` there.
template <int UP, int DOWN>
struct PlaneTile {
  static constexpr int step = 4, outputs = step * UP / DOWN;
  static constexpr int groups = 8 / std::max(UP, DOWN);

  // Of the input; a window is twice a step.
  static constexpr int width(int threads) { return step * (threads + 1); }
  static constexpr int height(int strips) { return groups * strips * DOWN + max_taps / UP - DOWN; }
  // Elements from row to row: there is a margin of a step on either side.
  static constexpr int pitch(int threads) { return width(threads) + 2 * step; }
};

// Copies the tile that begins at pixel (top, left) of a plane, with zeros around the plane, in
// vectors of S pixels. The plane's rows are aligned to them, the tile's need not be: what does not
// belong to the tile comes into the margins.
template <int S, typename T>
__device__ void load_tile(const T* plane, const Fir& fir, int top, int left, T* tile, int height,
                          int width, int pitch) {
  constexpr int BATCH = 4;  // loads under way at a time
  const int threads = blockDim.x * blockDim.y;
  const int aligned = left & -S;
  const int vectors = ceil_div(left + width - aligned, S);  // of a row
  const int first = threadIdx.y * blockDim.x + threadIdx.x;
  int y = first / vectors, vector = first % vectors;
  const int y_stride = threads / vectors, vector_stride = threads % vectors;
  tile += aligned - left;
  for (int i = first; i < height * vectors; i += BATCH * threads) {
    Vec<T, S> pixels[BATCH]{};
    int to[BATCH];
#pragma unroll
    for (int b = 0; b < BATCH; ++b) {
      const int row = top + y, column = aligned + vector * S;
      if (y < height && is_inside(row, fir.rows.in) && is_inside(column, fir.columns.in)) {
        pixels[b] = load_vector<T, S>(plane + (row * fir.columns.in + column));
      }
      to[b] = y * pitch + vector * S;
      y += y_stride;
      vector += vector_stride;
      if (vector >= vectors) {
        vector -= vectors;
        ++y;
      }
    }
#pragma unroll
    for (int b = 0; b < BATCH; ++b) {
      if (i + b * threads >= height * vectors) break;
#pragma unroll
      for (int k = 0; k < S; ++k) tile[to[b] + k] = pixels[b][k];
    }
  }
}

template <typename T, int UP, int DOWN, typename Finish>
__global__ void __launch_bounds__(block_size)
    filter_planes(const T* __restrict__ x, T* __restrict__ y, Fir fir, Finish finish,
                  bool vector_loads, bool vector_stores) {
  using Tile = PlaneTile<UP, DOWN>;
  extern __shared__ __align__(vector_bytes) unsigned char shared[];
  const Axis &rows = fir.rows, &columns = fir.columns;
  const int width = Tile::width(blockDim.x), pitch = Tile::pitch(blockDim.x);
  const int height = Tile::height(blockDim.y);
  T* const tile = reinterpret_cast<T*>(shared) + threadIdx.z * height * pitch + Tile::step;
  const int plane = blockIdx.x * blockDim.z + threadIdx.z;
  const int first_group = blockIdx.y * blockDim.y * Tile::groups;
  const int first_column = blockIdx.z * blockDim.x * Tile::step;
  const int top = first_group * DOWN + rows.first, left = first_column + columns.first;
  if (plane < fir.images) {
    const T* const in = x + plane * fir.in_size();
    if (vector_loads) {
      load_tile<8 / sizeof(T)>(in, fir, top, left, tile, height, width, pitch);
    } else {
      load_tile<1>(in, fir, top, left, tile, height, width, pitch);
    }
  }
  __syncthreads();
  const int column = (first_column + threadIdx.x * Tile::step) * UP / DOWN;
  if (plane >= fir.images || column >= columns.out) return;

  const Phase<UP> even(fir, columns, columns.base, 1.0f);
  const Phase<UP> odd(fir, columns, UP - 1 - columns.base, 1.0f);
  const float bias = finish.bias_of(plane % fir.channels), strength = finish.noise_strength();
  const float* const noise = finish.noise_of(plane / fir.channels);
  T* const out = y + plane * fir.out_size();
  const int begin = first_group + threadIdx.y * Tile::groups;
  filter_strip<UP, DOWN, Tile::outputs>(
      fir, begin, std::min(begin + Tile::groups, rows.groups),
      [&](int row) {
        const T* const pixels = tile + (row - top) * pitch + threadIdx.x * Tile::step;
        return Window<T, Tile::step, 2>{load_vector<T, Tile::step>(pixels),
                                        load_vector<T, Tile::step>(pixels + Tile::step)};
      },
      [&](const Window<T, Tile::step, 2>& window, float(&values)[Tile::outputs]) {
        float pixels[2 * Tile::step];
#pragma unroll
        for (int i = 0; i < 2 * Tile::step; ++i) {
          pixels[i] = static_cast<float>(window.at[i / Tile::step][i % Tile::step]);
        }
#pragma unroll
        for (int k = 0; k < Tile::outputs; k += UP) {
          const int i = k * DOWN / UP;
          values[k] = even([&](int j) { return pixels[i + j]; });
          if constexpr (UP == 2) {  // where base is 0, the odd column belongs to the next group
            values[k + 1] =
                odd([&](int j) { return columns.base ? pixels[i + j] : pixels[i + j + 1]; });
          }
        }
      },
      [&](int row, float(&values)[Tile::outputs]) {
        const int first = row * columns.out + column;
        float shift[Tile::outputs] = {};
        if (noise && vector_stores) {
          load(noise + first, shift);
        } else if (noise) {
          for_few<Tile::outputs>(columns.out - column, [&](int k) { shift[k] = noise[first + k]; });
        }
#pragma unroll
        for (int k = 0; k < Tile::outputs; ++k) shift[k] = strength * shift[k] + bias;
        finish(values, shift);
        if (vector_stores) {
          store(out + first, values);
        } else {
          for_few<Tile::outputs>(columns.out - column,
                                 [&](int k) { out[first + k] = static_cast<T>(values[k]); });
        }
      });
}

// Any filter, rate and layout. A thread makes one lane of one column's outputs, each from the taps
// that meet pixels.
template <typename T, typename Finish>
__global__ void __launch_bounds__(block_size)
    filter_any(const T* __restrict__ x, T* __restrict__ y, Fir fir, Finish finish) {
  const Axis &rows = fir.rows, &columns = fir.columns;
  const int tiles = ceil_div<int>(fir.lanes, blockDim.x);
  const int lane = blockIdx.x % tiles * blockDim.x + threadIdx.x;
  const int column = blockIdx.x / tiles * blockDim.y + threadIdx.y;
  if (lane >= fir.lanes || column >= columns.out) return;
  const Meeting across = columns.meeting(column);
  const float strength = finish.noise_strength();
  for (int64_t image = blockIdx.z; image < fir.images; image += gridDim.z) {
    const float bias = finish.bias_of(fir.channel(image, lane));
    const float* const noise = finish.noise_of(fir.sample(image));
    for (int row = blockIdx.y; row < rows.out; row += gridDim.y) {
      float sum[1] = {};
      const Meeting down = rows.meeting(row);
      for (int t = down.tap, i = down.pixel; t < rows.taps; t += rows.up, ++i) {
        if (!is_inside(i, rows.in)) continue;
        const T* const pixels = x + (image * rows.in + i) * columns.in * fir.lanes + lane;
        const float* const weights = fir.weights_of_row(t);
        float row_sum = 0.0f;
        for (int u = across.tap, k = across.pixel; u < columns.taps; u += columns.up, ++k) {
          if (!is_inside(k, columns.in)) continue;
          row_sum += weights[fir.tap(columns, u)] *
                     static_cast<float>(pixels[static_cast<int64_t>(k) * fir.lanes]);
        }
        sum[0] += fir.separable ? fir.f[fir.tap(rows, t)] * row_sum : row_sum;
      }
      sum[0] *= fir.gain;
      const int64_t pixel = static_cast<int64_t>(row) * columns.out + column;
      finish(sum, {(noise ? strength * noise[pixel] : 0.0f) + bias});
      y[(image * rows.out * columns.out + pixel) * fir.lanes + lane] = static_cast<T>(sum[0]);
    }
  }
}

// --- Launches -----------------------------------------------------------------------------------

constexpr int64_t max_grid = 65535;  // along y and z

template <typename T, int V, int UP, int DOWN, typename Finish>
void launch_lanes(const at::Tensor& x, const at::Tensor& y, const Fir& fir, const Finish& finish) {
  constexpr int64_t enough_threads = 1 << 18;  // for any GPU
  const int64_t vectors = fir.lanes / V, columns = fir.columns.out, rows = fir.rows.groups;
  const int64_t across = std::min<int64_t>(vectors, line_bytes / (V * sizeof(T)));
  const int64_t along = std::min(block_size / across, columns);
  int64_t groups = 16;  // few: more threads; many: fewer rows filtered twice
  while (groups > 4 && fir.images * vectors * columns * rows < enough_threads * groups) groups /= 2;
  const dim3 grid(ceil_div(vectors, across) * ceil_div(columns, along), ceil_div(rows, groups),
                  std::min<int64_t>(fir.images, max_grid));
  filter_lanes<T, V, UP, DOWN><<<grid, dim3(across, along), 0, c10::cuda::getCurrentCUDAStream()>>>(
      x.const_data_ptr<T>(), y.mutable_data_ptr<T>(), fir, finish, static_cast<int>(groups));
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

template <typename T, int UP, int DOWN, typename Finish>
void launch_planes(const at::Tensor& x, const at::Tensor& y, const Fir& fir, const Finish& finish) {
  using Tile = PlaneTile<UP, DOWN>;
  constexpr int most_shared = 32 << 10;  // bytes; leaves room for several blocks
  const int steps = ceil_div(fir.columns.out, Tile::outputs);
  const int strips = ceil_div(fir.rows.groups, Tile::groups);
  const auto bytes = [](int threads, int strips) {
    return Tile::pitch(threads) * Tile::height(strips) * static_cast<int>(sizeof(T));
  };
  const int across = std::min(steps, 32);
  int along = std::min(strips, block_size / across);
  while (bytes(across, along) > most_shared) along = ceil_div(along, 2);
  const int planes = std::min({fir.images, block_size / (across * along),
                               most_shared / bytes(across, along), 64});  // CUDA's limit along z
  const dim3 grid(ceil_div(fir.images, planes), ceil_div(strips, along), ceil_div(steps, across));
  const bool vector_loads = is_aligned(x.const_data_ptr()) && fir.columns.in % Tile::step == 0;
  const bool vector_stores = is_aligned(finish.noise) && fir.columns.out % Tile::outputs == 0;
  filter_planes<T, UP, DOWN><<<grid, dim3(across, along, planes), planes * bytes(across, along),
                               c10::cuda::getCurrentCUDAStream()>>>(
      x.const_data_ptr<T>(), y.mutable_data_ptr<T>(), fir, finish, vector_loads, vector_stores);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

// For a short filter: UP and DOWN are its rates, 1 and 1 or one of them 2.
template <int UP, int DOWN, typename T, typename Finish>
void launch_short(const at::Tensor& x, const at::Tensor& y, const Fir& fir, const Finish& finish) {
  const bool whole_vectors = fir.lanes % longest<T> == 0 && is_aligned(x.const_data_ptr());
  const auto launch = fir.lanes == 1  ? launch_planes<T, UP, DOWN, Finish>
                      : whole_vectors ? launch_lanes<T, longest<T>, UP, DOWN, Finish>
                                      : launch_lanes<T, 1, UP, DOWN, Finish>;
  launch(x, y, fir, finish);
}

template <typename T, typename Finish>
void launch_any(const at::Tensor& x, const at::Tensor& y, const Fir& fir, const Finish& finish) {
  constexpr int rows_each = 4;
  const int64_t across = std::min(fir.lanes, line_bytes / static_cast<int>(sizeof(T)));
  const int64_t along = std::min<int64_t>(block_size / across, fir.columns.out);
  const dim3 grid(ceil_div<int64_t>(fir.lanes, across) * ceil_div<int64_t>(fir.columns.out, along),
                  std::min<int64_t>(ceil_div(fir.rows.out, rows_each), max_grid),
                  std::min<int64_t>(fir.images, max_grid));
  filter_any<T><<<grid, dim3(across, along), 0, c10::cuda::getCurrentCUDAStream()>>>(
      x.const_data_ptr<T>(), y.mutable_data_ptr<T>(), fir, finish);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace gan_versus::cuda
