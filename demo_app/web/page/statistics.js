// How fast it goes, over the last frames.

const FRAMES = 30;

/** Times of the last frames, in milliseconds. */
export class Statistics {
  #frames = [];

  /** A frame was shown: when, and how long the network and the drawing took. */
  add(at, network, drawing) {
    this.#frames.push({ at, network, drawing });
    if (this.#frames.length > FRAMES) this.#frames.shift();
  }

  reset() {
    this.#frames = [];
  }

  /** @returns {{fps: number, network: number, drawing: number}} frames a second (0 for one alone), mean milliseconds. */
  get means() {
    const count = this.#frames.length;
    const mean = (name) => this.#frames.reduce((sum, frame) => sum + frame[name], 0) / Math.max(1, count);
    const span = count > 1 ? this.#frames[count - 1].at - this.#frames[0].at : 0;
    return { fps: span > 0 ? (1000 * (count - 1)) / span : 0, network: mean("network"), drawing: mean("drawing") };
  }
}
