// The pixels of whatever a browser can draw.

/** Reads frames; its canvas is made once. */
export class FrameReader {
  #context = document.createElement("canvas").getContext("2d", { willReadFrequently: true, alpha: false });

  /** The frame that was read last, to be drawn: a film has gone on by the time that its mask is found. */
  get canvas() {
    return this.#context.canvas;
  }

  /**
   * @param {CanvasImageSource} element
   * @param {number} width
   * @param {number} height
   * @returns {Uint8ClampedArray} RGBA, opaque, sRGB, height x width x 4.
   */
  read(element, width, height) {
    const { canvas } = this.#context;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    this.#context.drawImage(element, 0, 0, width, height);
    return this.#context.getImageData(0, 0, width, height).data;
  }
}
