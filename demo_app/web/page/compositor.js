// What a compositor takes, and which one this browser gets.

import { CanvasCompositor } from "./compositor_canvas.js";
import { WebGlCompositor, WebGlError } from "./compositor_webgl.js";

/**
 * @typedef {object} Frame a picture with its subject.
 * @property {HTMLCanvasElement} element
 * @property {Uint8ClampedArray} pixels of the element, RGBA, height x width x 4.
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array} coverage of the subject, rows x columns, 0..255.
 * @property {number} columns
 * @property {number} rows
 *
 * @typedef {object} Look how it is shown.
 * @property {"portrait" | "compare" | "mask"} view
 * @property {number} divider left of this share of the width "compare" shows the frame itself.
 * @property {import("./aperture.js").Lens} lens
 *
 * @typedef {WebGlCompositor | CanvasCompositor} Compositor has a canvas, a name and draw(frame, look).
 */

/**
 * @param {(why: string) => void} onFallback called with a sentence where WebGL2 is missing, or is lost later.
 * @param {(compositor: Compositor) => void} onChange called with the compositor to use, now and whenever it changes.
 */
export function chooseCompositor(onFallback, onChange) {
  const fall = (why) => {
    onFallback(`${why}: pictures are put together on a 2D canvas, which is slower.`);
    onChange(new CanvasCompositor());
  };
  try {
    const compositor = new WebGlCompositor();
    compositor.canvas.addEventListener("webglcontextlost", () => fall("The browser took WebGL2 away"));
    onChange(compositor);
  } catch (error) {
    if (!(error instanceof WebGlError)) throw error;
    fall(error.message);
  }
}
