// The one resize on the way into the network: edge_deeplab.image.resize_area, in the browser.
//
// A canvas's own drawImage scales as each browser likes, and mostly bilinearly: at 5:1 it looks at a fifth of the
// pixels, and the network would see another picture here than where it was tested.

/**
 * Stretch a picture to a size: area average where it shrinks, bilinear with half-pixel centres where it grows.
 *
 * @param {Uint8Array | Uint8ClampedArray} pixels height x width x channels, row by row.
 * @param {number} width
 * @param {number} height
 * @param {number} channels
 * @param {number} toWidth
 * @param {number} toHeight
 * @returns {Uint8Array | Uint8ClampedArray} toHeight x toWidth x channels; the input where it has that size already.
 */
export function resizeArea(pixels, width, height, channels, toWidth, toHeight) {
  while (width >= 2 * toWidth && height >= 2 * toHeight && width % 2 === 0 && height % 2 === 0) {
    pixels = halved(pixels, width, height, channels);
    width /= 2;
    height /= 2;
  }
  const [shrunkWidth, shrunkHeight] = [Math.min(width, toWidth), Math.min(height, toHeight)];
  if (shrunkWidth !== width || shrunkHeight !== height) {
    // Rounds to the nearest, halves to even, as OpenCV does.
    pixels = new Uint8ClampedArray(shrunk(pixels, width, height, channels, shrunkWidth, shrunkHeight));
  }
  if (shrunkWidth === toWidth && shrunkHeight === toHeight) return pixels;
  return enlarged(pixels, shrunkWidth, shrunkHeight, channels, toWidth, toHeight);
}

/** Means of 2x2 pixels, rounded as OpenCV does. */
function halved(pixels, width, height, channels) {
  const row = width * channels;
  const out = new Uint8Array((row / 2) * (height / 2));
  let to = 0;
  for (let y = 0; y < height; y += 2) {
    for (let x = 0; x < width; x += 2) {
      let from = y * row + x * channels;
      for (let c = 0; c < channels; c++, from++) {
        out[to++] = (pixels[from] + pixels[from + channels] + pixels[from + row] + pixels[from + row + channels] + 2) >> 2;
      }
    }
  }
  return out;
}

/**
 * The area average, for numbers of any kind and not rounded; in float32 and in OpenCV's order, to give the same to the
 * bit.
 *
 * @param {ArrayLike<number>} values height x width x channels.
 * @param {number} width
 * @param {number} height
 * @param {number} channels
 * @param {number} toWidth at most width.
 * @param {number} toHeight at most height.
 * @returns {Float32Array} toHeight x toWidth x channels.
 */
export function shrunk(values, width, height, channels, toWidth, toHeight) {
  const [columns, rows] = [shares(width, toWidth), shares(height, toHeight)];
  const size = toWidth * channels;
  const row = new Float32Array(size);
  const out = new Float32Array(size * toHeight);
  for (let y = 0; y < toHeight; y++) {
    rows[y].weights.forEach((weight, i) => {
      shrunkRow(values, (rows[y].first + i) * width, channels, columns, row);
      for (let x = 0; x < size; x++) out[y * size + x] += Math.fround(weight * row[x]);
    });
  }
  return out;
}

function shrunkRow(values, start, channels, columns, out) {
  let to = 0;
  for (const { first, weights } of columns) {
    for (let c = 0; c < channels; c++) {
      let sum = 0;
      let from = (start + first) * channels + c;
      for (let i = 0; i < weights.length; i++, from += channels) {
        sum = Math.fround(sum + Math.fround(values[from] * weights[i]));
      }
      out[to++] = sum;
    }
  }
}

// Parts of a pixel below this are left out (OpenCV's computeResizeAreaTab).
const SLIVER = 1e-3;

/** Which inputs make up each output along one axis: the first one, and all their weights, of sum 1 but for slivers. */
function shares(size, toSize) {
  const scale = size / toSize;
  return Array.from({ length: toSize }, (_, to) => {
    const [begin, end] = [to * scale, (to + 1) * scale];
    const covered = Math.min(scale, size - begin);
    const last = Math.min(Math.floor(end), size - 1);
    let first = Math.min(Math.ceil(begin), last);
    const weights = Array(last - first).fill(1 / covered);
    if (end - last > SLIVER) weights.push(Math.min(end - last, 1, covered) / covered);
    if (first - begin > SLIVER) {
      weights.unshift((first - begin) / covered);
      first -= 1;
    }
    return { first, weights: Float32Array.from(weights) };
  });
}

// OpenCV enlarges bytes with weights of this many bits.
const ONE = 2 ** 11;

/** Bilinear with half-pixel centres, rounded as OpenCV does. */
function enlarged(pixels, width, height, channels, toWidth, toHeight) {
  const [columns, rows] = [neighbours(width, toWidth), neighbours(height, toHeight)];
  const out = new Uint8Array(toWidth * toHeight * channels);
  let to = 0;
  for (const down of rows) {
    for (const across of columns) {
      for (let c = 0; c < channels; c++) {
        const mixed = (y) =>
          pixels[(y * width + across.first) * channels + c] * across.weights[0] +
          pixels[(y * width + across.second) * channels + c] * across.weights[1];
        const [upper, lower] = [mixed(down.first), mixed(down.second)];
        out[to++] = ((((upper >> 4) * down.weights[0]) >> 16) + (((lower >> 4) * down.weights[1]) >> 16) + 2) >> 2;
      }
    }
  }
  return out;
}

/** The two inputs around each output along one axis (at its ends the last one twice), and their weights, of sum ONE. */
function neighbours(size, toSize) {
  const inside = (index) => Math.min(Math.max(index, 0), size - 1);
  return Array.from({ length: toSize }, (_, to) => {
    const centre = Math.fround((to + 0.5) * (size / toSize) - 0.5);
    const first = Math.floor(centre);
    const part = Math.fround(centre - first);
    const weights = [roundedToEven(Math.fround(1 - part) * ONE), roundedToEven(part * ONE)];
    return { first: inside(first), second: inside(first + 1), weights };
  });
}

function roundedToEven(value) {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value);
}

/**
 * The colours of a canvas's pixels.
 *
 * @param {Uint8Array | Uint8ClampedArray} rgba height x width x 4.
 * @returns {Uint8Array} RGB, height x width x 3.
 */
export function withoutAlpha(rgba) {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    rgb[to++] = rgba[from];
    rgb[to++] = rgba[from + 1];
    rgb[to++] = rgba[from + 2];
  }
  return rgb;
}
