// From the network's bytes to the subject's coverage: demo_app/matte/tighten.py, as a table.

// Probabilities below and above these are taken as certain: a veil of 5 % over the whole background shows.
const SURELY_OUT = 0.2;
const SURELY_IN = 0.8;

/**
 * The coverage that each value of the network's output stands for.
 *
 * @param {number} scale probability of one step of the output.
 * @param {number} zeroPoint the output that means 0.
 * @returns {Uint8Array} 256 entries: 0 is background, 255 is subject; certain where the network was nearly sure.
 */
export function tightenTable(scale, zeroPoint) {
  return Uint8Array.from({ length: 256 }, (_, value) => {
    const probability = (value - zeroPoint) * scale;
    const step = Math.min(Math.max((probability - SURELY_OUT) / (SURELY_IN - SURELY_OUT), 0), 1);
    return Math.round(255 * step * step * (3 - 2 * step));
  });
}

/**
 * One class of the network's output, through a table.
 *
 * @param {Uint8Array} output rows x columns x classes.
 * @param {number} classes
 * @param {number} index of the person.
 * @param {Uint8Array} table of 256 entries.
 * @returns {Uint8Array} rows x columns.
 */
export function coverageOf(output, classes, index, table) {
  const coverage = new Uint8Array(output.length / classes);
  for (let i = 0; i < coverage.length; i++) coverage[i] = table[output[i * classes + index]];
  return coverage;
}
