// From a picture to its portrait on a canvas: read, resize, run the network, compose.

import { resizeArea, withoutAlpha } from "./area.js";
import { lensFor } from "./aperture.js";
import { coverageOf, tightenTable } from "./matte.js";
import { FrameReader } from "./reader.js";

/**
 * @typedef {object} Settings
 * @property {number} fNumber
 * @property {"portrait" | "compare" | "mask"} view
 * @property {number} divider 0..1, see Look.
 */

/** Makes portraits of one picture after the other. */
export class Portrait {
  #session;
  #table;
  #reader = new FrameReader();
  #frame = null;
  #lens = { of: "", is: null };

  /** @type {import("./compositor.js").Compositor} */
  compositor;

  /** @param {import("./session.js").Session} session */
  constructor(session) {
    this.#session = session;
    this.#table = tightenTable(session.model.scale, session.model.zero_point);
  }

  /**
   * Find the subject of a picture; draw() then shows it.
   *
   * @param {{element: CanvasImageSource, width: number, height: number}} picture as it is now.
   */
  async look({ element, width, height }) {
    const { model } = this.#session;
    const pixels = this.#reader.read(element, width, height);
    const input = withoutAlpha(resizeArea(pixels, width, height, 4, model.width, model.height));
    const output = await this.#session.run(input);
    this.#frame = {
      element: this.#reader.canvas,
      pixels,
      width,
      height,
      coverage: coverageOf(output, model.classes, model.person, this.#table),
      columns: model.columns,
      rows: model.rows,
    };
  }

  /**
   * Draw the picture that was looked at last; nothing before the first.
   *
   * @param {Settings} settings
   */
  draw({ fNumber, view, divider }) {
    if (this.#frame === null) return;
    const { width, height } = this.#frame;
    const of = [fNumber, width, height].join();
    if (this.#lens.of !== of) this.#lens = { of, is: lensFor(fNumber, width, height) };
    this.compositor.draw(this.#frame, { view, divider, lens: this.#lens.is });
  }
}
