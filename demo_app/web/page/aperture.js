// How a lens of an f-number blurs pictures of a size: demo_app/aperture.py and demo_app/backdrops/disc.py.

// Diameter of the blur circle at f/1, in shares of the picture's diagonal.
const DIAMETER_AT_F1 = 0.08;

// How many pixels of the shrunk picture a disc's radius has at least where it is shrunk by 2, by 4, by 8 or more.
const SAMPLING = { 2: 0.9, 4: 0.9, 8: 2.775 };
const LEAST_SIDE = 64;
const LEAST_DISC = 2;
const LEAST_DISC_VARIANCE = 0.5;
const SHARPENING = 0.04;
const SLIVER = 0.05;
const SUPERSAMPLING = 16;

/**
 * @typedef {object} Lens
 * @property {number} factor a power of two, by which the blurred picture is smaller.
 * @property {number} width of the blurred picture.
 * @property {number} height of it.
 * @property {number} reach the kernel has 2 * reach + 1 rows and columns; 0: there is nothing to blur.
 * @property {Float32Array} kernel row by row, of sum 1.
 */

/**
 * What the blur of an f-number is for pictures of a size.
 *
 * @param {number} fNumber 0.5 or more; small numbers blur most.
 * @param {number} width of the picture in pixels.
 * @param {number} height of it.
 * @returns {Lens}
 */
export function lensFor(fNumber, width, height) {
  const radius = (0.5 * DIAMETER_AT_F1 * Math.hypot(height, width)) / fNumber;
  const factor = shrinkFactor(radius, width, height);
  const kernel =
    factor > 1 && radius / factor < LEAST_DISC
      ? kernelOfVariance(remainingVariance(radius ** 2 / 4, factor))
      : discKernel(radius / factor);
  const reach = (Math.sqrt(kernel.length) - 1) / 2;
  return { factor, width: Math.ceil(width / factor), height: Math.ceil(height / factor), reach, kernel };
}

function shrinkFactor(radius, width, height) {
  let factor = 2;
  while (radius / factor >= SAMPLING[Math.min(factor, 8)] && Math.max(width, height) / factor >= LEAST_SIDE) factor *= 2;
  return factor / 2;
}

/** What is left to the blur of a shrunk picture, in its pixels^2: taking means of squares has blurred it already. */
function remainingVariance(variance, factor) {
  return Math.max(0, (variance - (factor ** 2 - 1) / 12) / factor ** 2 + SHARPENING);
}

function kernelOfVariance(variance) {
  if (variance > LEAST_DISC_VARIANCE) return discKernel(2 * Math.sqrt(variance - 1 / 12));
  const beside = variance / 3;
  const corner = beside / 4;
  const centre = 1 - 4 * (beside + corner);
  return Float32Array.of(corner, beside, corner, beside, centre, beside, corner, beside, corner);
}

/** A disc whose edge pixels count by how much of them it covers. */
function discKernel(radius) {
  const reach = Math.max(0, Math.ceil(radius - 0.5 - SLIVER));
  const size = 2 * reach + 1;
  const cover = new Float32Array(size * size);
  const limit = Math.max(radius, 0.5) ** 2;
  for (let y = 0; y < size * SUPERSAMPLING; y++) {
    for (let x = 0; x < size * SUPERSAMPLING; x++) {
      const across = (x + 0.5) / SUPERSAMPLING - size / 2;
      const down = (y + 0.5) / SUPERSAMPLING - size / 2;
      if (across * across + down * down <= limit) {
        cover[Math.floor(y / SUPERSAMPLING) * size + Math.floor(x / SUPERSAMPLING)] += 1;
      }
    }
  }
  const sum = cover.reduce((total, value) => total + value, 0);
  return cover.map((value) => value / sum);
}
