// The matte in time: demo_app/temporal/smoothing.py and cuts.py without their optical flow.
//
// The last matte is mixed with the network's new one; the new one weighs more where the new picture does not look like
// the last one. So the matte is steady where the picture stands, and new where something moves: nothing drags behind.
// At the ten frames a second of a browser this is as steady as with flow, and lags no more.

import { mirrored } from "./border.js";

// The new matte's weight where the pictures agree.
const WEIGHT = 0.2;

// They agree up to this difference, in codes averaged over a window of so many pixels to each side, and from the second
// one on only the new matte counts.
const SAME = 2;
const OTHER = 8;
const REACH = 2;

// Codes^2 added to every variance: the sensor's noise, so that pictures without any structure match.
const NOISE = 9;

// A camera's automatic exposure moves by less than this from frame to frame.
const MOST_GAIN = 2;

// Share of a picture's variance that the last one does not explain: above it, they are of different views.
const CUT = 0.6;

/** Smooths the mattes of one source in its order; another source needs another one. */
export class MatteSmoother {
  #past = null;

  /**
   * @param {Uint8Array} picture luma, rows x columns.
   * @param {Float32Array} alpha the network's matte of it, rows x columns, 0..1.
   * @param {number} columns
   * @param {number} rows
   * @returns {Float32Array} rows x columns, 0..1; the first one, and those after a cut or another size, as they came.
   */
  smooth(picture, alpha, columns, rows) {
    const past = this.#past;
    let smooth = alpha;
    if (past !== null && past.columns === columns && past.rows === rows) {
      const difference = absoluteDifference(picture, equalExposure(past.picture, picture));
      if (!isCut(difference, picture)) smooth = mixed(past.alpha, alpha, boxMean(difference, columns, rows));
    }
    this.#past = { picture, alpha: smooth, columns, rows };
    return smooth;
  }
}

/**
 * Luma as OpenCV computes it (Rec. 601, 15 bits).
 *
 * @param {Uint8Array} rgb rows x columns x 3.
 * @returns {Uint8Array} rows x columns.
 */
export function luma(rgb) {
  const grey = new Uint8Array(rgb.length / 3);
  for (let i = 0, from = 0; i < grey.length; i++, from += 3) {
    grey[i] = (9798 * rgb[from] + 19235 * rgb[from + 1] + 3735 * rgb[from + 2] + 16384) >> 15;
  }
  return grey;
}

/** A picture with the mean and the contrast of another: what automatic exposure and white balance did is undone. */
function equalExposure(picture, reference) {
  const [is, wanted] = [moments(picture), moments(reference)];
  const gain = Math.sqrt((wanted.variance + NOISE) / (is.variance + NOISE));
  const limited = Math.min(Math.max(gain, 1 / MOST_GAIN), MOST_GAIN);
  const table = Uint8ClampedArray.from({ length: 256 }, (_, code) => (code - is.mean) * limited + wanted.mean);
  const out = new Uint8Array(picture.length);
  for (let i = 0; i < out.length; i++) out[i] = table[picture[i]];
  return out;
}

function isCut(difference, picture) {
  let squares = 0;
  for (let i = 0; i < difference.length; i++) squares += difference[i] * difference[i];
  return squares / difference.length / (moments(picture).variance + NOISE) > CUT;
}

function moments(values) {
  let [sum, squares] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    sum += values[i];
    squares += values[i] * values[i];
  }
  const mean = sum / values.length;
  return { mean, variance: squares / values.length - mean * mean };
}

function absoluteDifference(one, other) {
  const out = new Uint8Array(one.length);
  for (let i = 0; i < out.length; i++) out[i] = Math.abs(one[i] - other[i]);
  return out;
}

/** The mean over the window around each pixel, rounded. */
function boxMean(values, columns, rows) {
  const size = 2 * REACH + 1;
  const window = (at, length) => Array.from({ length: size }, (_, k) => mirrored(at + k - REACH, length));
  const places = (length) => Array.from({ length }, (_, at) => window(at, length));
  const down = new Uint16Array(columns);
  const out = new Uint8Array(values.length);
  const [near, lines] = [places(columns), places(rows)];
  for (let y = 0; y < rows; y++) {
    down.fill(0);
    for (const line of lines[y]) for (let x = 0; x < columns; x++) down[x] += values[line * columns + x];
    for (let x = 0; x < columns; x++) {
      let sum = 0;
      for (let k = 0; k < size; k++) sum += down[near[x][k]];
      out[y * columns + x] = Math.round(sum / size ** 2);
    }
  }
  return out;
}

function mixed(last, alpha, difference) {
  const weights = Float32Array.from({ length: 256 }, (_, code) => {
    const share = Math.min(Math.max((code - SAME) / (OTHER - SAME), 0), 1);
    return WEIGHT + (1 - WEIGHT) * share;
  });
  const out = new Float32Array(alpha.length);
  for (let i = 0; i < out.length; i++) out[i] = last[i] + weights[difference[i]] * (alpha[i] - last[i]);
  return out;
}
