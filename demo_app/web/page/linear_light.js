// sRGB code values to linear light and back (IEC 61966-2-1): lenses add light, not code values.

/** Linear light, 0..1, of each of the 256 sRGB code values. */
export const SRGB_TO_LINEAR = Float32Array.from({ length: 256 }, (_, code) => {
  const value = code / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
});

/**
 * The sRGB code value, 0..255 and not rounded, of linear light, 0..1.
 *
 * @param {number} light
 */
export function codeOf(light) {
  return 255 * (light <= 0.0031308 ? light * 12.92 : 1.055 * light ** (1 / 2.4) - 0.055);
}
