// The page's functions on arrays, without a browser: node arithmetic.mjs FOLDER, with call.json and pixels.bin in it.

import { readFileSync, writeFileSync } from "node:fs";

const folder = process.argv[2];
const call = JSON.parse(readFileSync(`${folder}/call.json`));
const input = new Uint8Array(readFileSync(`${folder}/pixels.bin`));

const functions = {
  async resize({ width, height, channels, toWidth, toHeight }) {
    const { resizeArea } = await import("./page/area.js");
    return resizeArea(input, width, height, channels, toWidth, toHeight);
  },
  async lens({ fNumber, width, height }) {
    const { lensFor } = await import("./page/aperture.js");
    const { factor, kernel } = lensFor(fNumber, width, height);
    return Float32Array.of(factor, ...kernel);
  },
  async software({ renderers }) {
    const { isSoftwareRenderer } = await import("./page/webgl.js");
    return Uint8Array.from(renderers, isSoftwareRenderer);
  },
  async tighten({ scale, zeroPoint }) {
    const { probabilitiesOf, tightened } = await import("./page/matte.js");
    return tightened(probabilitiesOf(input, { classes: 2, person: 1, scale, zero_point: zeroPoint }));
  },
  async smooth({ columns, rows, frames }) {
    const { MatteSmoother, luma } = await import("./page/temporal.js");
    const smoother = new MatteSmoother();
    const area = columns * rows;
    const alphas = new Float32Array(input.buffer, input.byteOffset, frames * area);
    const pictures = input.subarray(alphas.byteLength);
    const smooth = new Float32Array(alphas.length);
    for (let i = 0; i < frames; i++) {
      const picture = luma(pictures.subarray(3 * i * area, 3 * (i + 1) * area));
      smooth.set(smoother.smooth(picture, alphas.subarray(i * area, (i + 1) * area), columns, rows), i * area);
    }
    return new Uint8Array(smooth.buffer);
  },
  async blur({ fNumber, width, height, columns, rows }) {
    const { lensFor } = await import("./page/aperture.js");
    const { backgroundWeights, blurredBackground } = await import("./page/backdrop.js");
    const lens = lensFor(fNumber, width, height);
    const rgba = new Uint8ClampedArray(input.subarray(0, width * height * 4));
    const weights = backgroundWeights(input.subarray(width * height * 4), columns, rows, lens);
    return blurredBackground(rgba, width, height, weights, lens);
  },
};

writeFileSync(`${folder}/result.bin`, await functions[call.name](call));
