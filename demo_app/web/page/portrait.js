// From a picture to its portrait on a canvas: read, resize, run the network, compose.

import { resizeArea, withoutAlpha } from "./area.js";
import { lensFor } from "./aperture.js";
import { probabilitiesOf, tightened } from "./matte.js";
import { FrameReader } from "./reader.js";
import { MatteSmoother, luma } from "./temporal.js";

/**
 * @typedef {object} Settings
 * @property {number} fNumber
 * @property {"portrait" | "compare" | "mask"} view
 * @property {number} divider 0..1, see Look.
 */

/** Makes portraits of one picture after the other. */
export class Portrait {
  #session;
  #reader = new FrameReader();
  #frame = null;
  #film = { source: null, width: 0, height: 0, smoother: null };
  #lens = { of: "", is: null };

  /** @type {import("./compositor.js").Compositor} */
  compositor;

  /** @param {import("./session.js").Session} session */
  constructor(session) {
    this.#session = session;
  }

  /**
   * Find the subject of a source's picture, which the pictures before it make steady; draw() then shows it.
   *
   * @param {{element: CanvasImageSource, width: number, height: number, moving: boolean}} source as it is now.
   */
  async look(source) {
    const { element, width, height } = source;
    const { model } = this.#session;
    const pixels = this.#reader.read(element, width, height);
    const input = withoutAlpha(resizeArea(pixels, width, height, 4, model.width, model.height));
    const alpha = probabilitiesOf(await this.#session.run(input), model);
    const picture = resizeArea(luma(input), model.width, model.height, 1, model.columns, model.rows);
    const steady = this.#smootherOf(source, width, height).smooth(picture, alpha, model.columns, model.rows);
    this.#frame = {
      element: this.#reader.canvas,
      pixels,
      width,
      height,
      still: !source.moving,
      alpha: steady,
      coverage: tightened(steady),
      columns: model.columns,
      rows: model.rows,
    };
  }

  /** Pictures of one source smooth each other, as long as they keep their size: a phone may be turned. */
  #smootherOf(source, width, height) {
    const film = this.#film;
    if (film.source !== source || film.width !== width || film.height !== height) {
      this.#film = { source, width, height, smoother: new MatteSmoother() };
    }
    return this.#film.smoother;
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
