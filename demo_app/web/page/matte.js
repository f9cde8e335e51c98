// From the network's bytes to the subject's coverage.

// Probabilities below and above these are taken as certain: a veil of 5 % over the whole background shows.
const SURELY_OUT = 0.2;
const SURELY_IN = 0.8;

/**
 * The probabilities of one class of the network's output.
 *
 * @param {Uint8Array} output rows x columns x classes.
 * @param {object} model
 * @param {number} model.classes
 * @param {number} model.person which of them.
 * @param {number} model.scale probability of one step of the output.
 * @param {number} model.zero_point the output that means 0.
 * @returns {Float32Array} rows x columns, 0..1.
 */
export function probabilitiesOf(output, { classes, person, scale, zero_point }) {
  const alpha = new Float32Array(output.length / classes);
  for (let i = 0, from = person; i < alpha.length; i++, from += classes) {
    alpha[i] = Math.min(Math.max((output[from] - zero_point) * scale, 0), 1);
  }
  return alpha;
}

/**
 * Nearly certain pixels certain, and the edge between them steeper: demo_app/matte/tighten.py.
 *
 * @param {Float32Array} alpha 0..1, rows x columns.
 * @returns {Uint8Array} rows x columns: 0 is background, 255 is subject.
 */
export function tightened(alpha) {
  const coverage = new Uint8Array(alpha.length);
  for (let i = 0; i < alpha.length; i++) {
    const step = Math.min(Math.max((alpha[i] - SURELY_OUT) / (SURELY_IN - SURELY_OUT), 0), 1);
    coverage[i] = Math.round(255 * step * step * (3 - 2 * step));
  }
  return coverage;
}
