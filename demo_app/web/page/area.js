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
  if (width === toWidth && height === toHeight) return pixels;
  // Rounds to the nearest, halves to even, as OpenCV does.
  return Uint8ClampedArray.from(stretched(pixels, width, height, channels, toWidth, toHeight));
}

/**
 * As resizeArea, for numbers of any kind and in one step: not rounded.
 *
 * @param {ArrayLike<number>} values height x width x channels.
 * @returns {Float32Array} toHeight x toWidth x channels.
 */
export function stretched(values, width, height, channels, toWidth, toHeight) {
  const columns = taps(width, toWidth);
  const rows = taps(height, toHeight);
  return inRows(inColumns(values, width, height, channels, columns), toWidth, height, channels, rows);
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
 * Which inputs make up each output along one axis, and with which weights of sum 1.
 *
 * @returns {{first: Int32Array, weights: Float32Array[]}} for each output its first input and its weights.
 */
function taps(size, toSize) {
  const scale = size / toSize;
  const first = new Int32Array(toSize);
  const weights = [];
  for (let to = 0; to < toSize; to++) {
    if (scale > 1) {
      const [begin, end] = [to * scale, (to + 1) * scale];
      // What rounding leaves of a pixel is none of it.
      first[to] = Math.floor(begin + 1e-6);
      const last = Math.min(size, Math.ceil(end - 1e-6));
      const share = new Float32Array(last - first[to]);
      share.forEach((_, i) => {
        share[i] = (Math.min(end, first[to] + i + 1) - Math.max(begin, first[to] + i)) / scale;
      });
      weights.push(share);
    } else {
      const centre = Math.min(Math.max((to + 0.5) * scale - 0.5, 0), size - 1);
      first[to] = Math.min(Math.floor(centre), Math.max(size - 2, 0));
      const part = centre - first[to];
      weights.push(size === 1 ? Float32Array.of(1) : Float32Array.of(1 - part, part));
    }
  }
  return { first, weights };
}

/** Each row stretched. */
function inColumns(values, width, height, channels, { first, weights }) {
  const out = new Float32Array(first.length * height * channels);
  let to = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < first.length; x++) {
      const shares = weights[x];
      const from = (y * width + first[x]) * channels;
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let i = 0; i < shares.length; i++) sum += shares[i] * values[from + i * channels + c];
        out[to++] = sum;
      }
    }
  }
  return out;
}

/** Each column stretched. */
function inRows(values, width, height, channels, { first, weights }) {
  const row = width * channels;
  const out = new Float32Array(row * first.length);
  for (let y = 0; y < first.length; y++) {
    const shares = weights[y];
    const from = first[y] * row;
    for (let x = 0; x < row; x++) {
      let sum = 0;
      for (let i = 0; i < shares.length; i++) sum += shares[i] * values[from + i * row + x];
      out[y * row + x] = sum;
    }
  }
  return out;
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
