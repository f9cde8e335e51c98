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
  async tighten({ scale, zeroPoint }) {
    const { tightenTable } = await import("./page/matte.js");
    return tightenTable(scale, zeroPoint);
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
