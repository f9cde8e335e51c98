// The portrait on a 2D canvas, the blur by the processor: for browsers without WebGL2.

import { backgroundWeights, blurredBackground } from "./backdrop.js";

/** See WebGlCompositor: the same picture, more slowly. */
export class CanvasCompositor {
  name = "2D canvas";
  canvas = document.createElement("canvas");
  #context = this.canvas.getContext("2d", { alpha: false });
  #subject = document.createElement("canvas").getContext("2d");
  #mask = document.createElement("canvas").getContext("2d");
  #backdrop = document.createElement("canvas").getContext("2d");

  /** @param {import("./compositor.js").Frame} frame @param {import("./compositor.js").Look} look */
  draw(frame, look) {
    const { element, width, height } = frame;
    resized(this.#context, width, height);
    if (look.view === "mask") {
      this.#drawMask(frame, false);
      this.#context.drawImage(this.#mask.canvas, 0, 0, width, height);
      return;
    }
    if (look.lens.reach > 0) this.#drawPortrait(frame, look.lens);
    else this.#context.drawImage(element, 0, 0, width, height);
    if (look.view === "compare") {
      const edge = Math.round(look.divider * width);
      this.#context.save();
      this.#context.beginPath();
      this.#context.rect(0, 0, edge, height);
      this.#context.clip();
      this.#context.drawImage(element, 0, 0, width, height);
      this.#context.restore();
      this.#context.fillStyle = "white";
      this.#context.fillRect(edge - 1, 0, 2, height);
    }
  }

  #drawPortrait(frame, lens) {
    const { element, width, height } = frame;
    const weights = backgroundWeights(frame.coverage, frame.columns, frame.rows, lens);
    const blurred = blurredBackground(frame.pixels, width, height, weights, lens);
    resized(this.#backdrop, lens.width, lens.height);
    this.#backdrop.putImageData(new ImageData(blurred, lens.width), 0, 0);
    this.#context.imageSmoothingQuality = "high";
    this.#context.drawImage(this.#backdrop.canvas, 0, 0, width, height);

    this.#drawMask(frame, true);
    resized(this.#subject, width, height);
    this.#subject.globalCompositeOperation = "copy";
    this.#subject.drawImage(element, 0, 0, width, height);
    this.#subject.globalCompositeOperation = "destination-in";
    this.#subject.drawImage(this.#mask.canvas, 0, 0, width, height);
    this.#context.drawImage(this.#subject.canvas, 0, 0);
  }

  /** The coverage as a small canvas: grey, or as its alpha. */
  #drawMask({ coverage, columns, rows }, asAlpha) {
    resized(this.#mask, columns, rows);
    const image = new ImageData(columns, rows);
    coverage.forEach((value, i) => image.data.set(asAlpha ? [0, 0, 0, value] : [value, value, value, 255], 4 * i));
    this.#mask.putImageData(image, 0, 0);
  }
}

function resized({ canvas }, width, height) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
}
