// What a compositor takes, and which one this browser gets.

import { CanvasCompositor } from "./compositor_canvas.js";
import { WebGlCompositor } from "./compositor_webgl.js";
import { WebGlError } from "./webgl.js";

/**
 * @typedef {object} Frame a picture with its subject.
 * @property {HTMLCanvasElement} element
 * @property {Uint8ClampedArray} pixels of the element, RGBA, height x width x 4.
 * @property {number} width
 * @property {number} height
 * @property {boolean} still no other comes after it: there is time to refine its edge, whatever that costs.
 * @property {Float32Array} alpha probability of the subject, rows x columns, 0..1.
 * @property {Uint8Array} coverage the same, tightened: of the subject, rows x columns, 0..255.
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

// Canvases whose context was lost: one that nobody holds is collected, and its context never given back.
const waiting = new Set();

/**
 * @param {(why: string) => void} onFallback called with a sentence where WebGL2 is missing, or is lost later.
 * @param {(compositor: Compositor) => void} onChange called with the compositor to use, now and whenever it changes.
 */
export function chooseCompositor(onFallback, onChange) {
  const fall = (why, until = "") => {
    onFallback(`${why}: pictures are put together on a 2D canvas, more slowly and with a coarser edge${until}.`);
    onChange(new CanvasCompositor());
  };
  const canvas = document.createElement("canvas");
  const begin = () => {
    try {
      onChange(new WebGlCompositor(canvas));
    } catch (error) {
      if (!(error instanceof WebGlError)) throw error;
      fall(error.message);
    }
  };
  canvas.addEventListener("webglcontextlost", (event) => {
    event.preventDefault(); // or the browser gives it back to nobody
    waiting.add(canvas);
    fall("The browser took WebGL2 away", ", until it is back");
  });
  canvas.addEventListener("webglcontextrestored", () => {
    waiting.delete(canvas);
    begin();
  });
  begin();
}
