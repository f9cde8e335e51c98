// The background out of focus, as if the subject were not there: demo_app/backdrops/normalised_blur.py.
//
//   blur(weight * colour) / blur(weight)      in linear light, weight: how much background a pixel is
//
// (Normalised convolution, Knutsson and Westin 1993.) A plain blur would smear the subject's colours around it. Unlike
// the program on the desktop, the page does not brighten highlights.

import { resizeArea, shrunk } from "./area.js";
import { mirrored } from "./border.js";
import { SRGB_TO_LINEAR, codeOf } from "./linear_light.js";

// The network's edge is off by a pixel or two of its 256: the subject is grown by this share of the longer side.
const GROWTH = 1.5 / 256;

// Background weight of the subject itself: where no background is near, it gives the plain blur instead of 0 / 0.
const SUBJECT_WEIGHT = 1e-4;

/**
 * How much background each pixel of the blurred picture is.
 *
 * @param {Uint8Array} coverage of the subject, rows x columns, 0..255.
 * @param {number} columns
 * @param {number} rows
 * @param {import("./aperture.js").Lens} lens
 * @returns {Float32Array} lens.height x lens.width, 1e-4..1.
 */
export function backgroundWeights(coverage, columns, rows, { width, height }) {
  const subject = resizeArea(coverage, columns, rows, 1, width, height);
  const grown = dilated(subject, width, height, Math.max(1, Math.round(GROWTH * Math.max(width, height))));
  return new Float32Array(grown).map((value) => Math.max(1 - value / 255, SUBJECT_WEIGHT));
}

/** The greatest value within an ellipse as OpenCV draws it: a disc of a radius of whole pixels. */
function dilated(values, width, height, radius) {
  const halves = Array.from({ length: 2 * radius + 1 }, (_, i) => Math.round(Math.sqrt(radius ** 2 - (i - radius) ** 2)));
  const out = new Uint8Array(values.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let most = 0;
      for (let down = -radius; down <= radius; down++) {
        if (y + down < 0 || y + down >= height) continue;
        const half = halves[down + radius];
        const end = Math.min(x + half, width - 1);
        for (let at = Math.max(x - half, 0); at <= end; at++) most = Math.max(most, values[(y + down) * width + at]);
      }
      out[y * width + x] = most;
    }
  }
  return out;
}

/**
 * The blurred background, by the processor alone: where there is no WebGL2.
 *
 * @param {Uint8ClampedArray} rgba of the frame, height x width x 4.
 * @param {number} width
 * @param {number} height
 * @param {Float32Array} weights as of backgroundWeights.
 * @param {import("./aperture.js").Lens} lens
 * @returns {Uint8ClampedArray} RGBA, opaque, lens.height x lens.width x 4.
 */
export function blurredBackground(rgba, width, height, weights, lens) {
  return spread(weighedLight(rgba, width, height, weights, lens), lens);
}

/** The frame in linear light at the lens's size, times its weight: red, green, blue, weight; float32. */
function weighedLight(rgba, width, height, weights, lens) {
  let code = rgba;
  let [columns, rows] = [width, height];
  if (lens.factor > 1) {
    // Halving before linear light loses little, and saves three quarters of the look-ups.
    [columns, rows] = [Math.ceil(width / 2), Math.ceil(height / 2)];
    code = resizeArea(rgba, width, height, 4, columns, rows);
  }
  const light = new Float32Array(code.length);
  for (let i = 0; i < code.length; i++) light[i] = SRGB_TO_LINEAR[code[i]]; // Float32Array.from takes ten times as long
  const out = shrunk(light, columns, rows, 4, lens.width, lens.height);
  for (let i = 0; i < out.length; i += 4) {
    const weight = weights[i / 4];
    out[i] *= weight;
    out[i + 1] *= weight;
    out[i + 2] *= weight;
    out[i + 3] = weight; // in place of the frame's alpha
  }
  return out;
}

/** The kernel over colours and weights alike, their quotient, and back to code values. */
function spread(light, { width, height, reach, kernel }) {
  const size = 2 * reach + 1;
  const out = new Uint8ClampedArray(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let [red, green, blue, weight] = [0, 0, 0, 0];
      for (let k = 0; k < kernel.length; k++) {
        if (kernel[k] === 0) continue;
        const row = mirrored(y + Math.floor(k / size) - reach, height);
        const from = (row * width + mirrored(x + (k % size) - reach, width)) * 4;
        red += kernel[k] * light[from];
        green += kernel[k] * light[from + 1];
        blue += kernel[k] * light[from + 2];
        weight += kernel[k] * light[from + 3];
      }
      const to = (y * width + x) * 4;
      out[to] = codeOf(red / weight);
      out[to + 1] = codeOf(green / weight);
      out[to + 2] = codeOf(blue / weight);
      out[to + 3] = 255;
    }
  }
  return out;
}
