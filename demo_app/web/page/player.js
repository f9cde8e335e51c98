// One source at a time, one frame after the other: what comes meanwhile is left out, nothing waits in line.

/** Plays sources. */
export class Player {
  #show;
  #source = null;
  #ended = Promise.resolve();

  /** @param {(source: object) => Promise<void>} show one frame of a source. */
  constructor(show) {
    this.#show = show;
  }

  /** What is played, or null. */
  get source() {
    return this.#source;
  }

  /**
   * Play a source in place of the one before, which is closed.
   *
   * @returns {Promise<void>} resolves after the last frame; rejects if one cannot be shown.
   */
  async play(source) {
    const before = this.#source;
    this.#source = source;
    before?.close();
    await this.#ended; // no frame of it comes late
    if (this.#source !== source) return;
    const playing = this.#frames(source);
    this.#ended = playing.catch(() => {});
    await playing;
  }

  async #frames(source) {
    await this.#show(source);
    while (source.moving && this.#source === source) {
      await source.next();
      if (this.#source === source) await this.#show(source);
    }
  }
}
