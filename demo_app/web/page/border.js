// What lies beyond a picture's border.

/**
 * The index inside of an axis that stands for one beyond its ends (OpenCV's BORDER_REFLECT_101).
 *
 * @param {number} index
 * @param {number} size of the axis.
 */
export function mirrored(index, size) {
  if (size === 1) return 0;
  const period = 2 * (size - 1);
  const folded = ((index % period) + period) % period;
  return folded < size ? folded : period - folded;
}
