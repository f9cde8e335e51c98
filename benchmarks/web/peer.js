// MediaPipe's web segmenter behind the same camera and before the same compositor as the page's own network.

import { lensFor } from "../aperture.js";
import { chooseCompositor } from "../compositor.js";
import { tightenTable } from "../matte.js";
import { Player } from "../player.js";
import { FrameReader } from "../reader.js";
import { openCamera } from "../sources.js";
import { Statistics } from "../statistics.js";
import { FilesetResolver, ImageSegmenter } from "./mediapipe/vision_bundle.mjs";

const F_NUMBER = 2;
const TABLE = tightenTable(1 / 255, 0);

const segmenter = await ImageSegmenter.createFromOptions(await FilesetResolver.forVisionTasks("mediapipe/wasm"), {
  baseOptions: { modelAssetPath: "peer.tflite", delegate: "CPU" },
  runningMode: "VIDEO",
  outputConfidenceMasks: true,
  outputCategoryMask: false,
});

let compositor;
chooseCompositor(console.warn, (chosen) => {
  compositor = chosen;
  document.querySelector("#stage").replaceChildren(chosen.canvas);
});

/** The person's coverage in the frame, at the size that MediaPipe gives: the frame's. */
function coverageOf(element) {
  let coverage, size;
  segmenter.segmentForVideo(element, performance.now(), ({ confidenceMasks }) => {
    const mask = confidenceMasks[confidenceMasks.length - 1];
    size = [mask.width, mask.height];
    coverage = Uint8Array.from(mask.getAsFloat32Array(), (probability) => TABLE[Math.round(255 * probability)]);
  });
  return [coverage, ...size];
}

const reader = new FrameReader();
const statistics = new Statistics();
const player = new Player(async ({ element, width, height }) => {
  const began = performance.now();
  const pixels = reader.read(element, width, height);
  const [coverage, columns, rows] = coverageOf(reader.canvas);
  const found = performance.now();
  const lens = lensFor(F_NUMBER, width, height);
  const frame = { element: reader.canvas, pixels, width, height, coverage, columns, rows };
  compositor.draw(frame, { view: "portrait", divider: 0, lens });
  statistics.add(performance.now(), found - began, performance.now() - found);
  const { fps, network, drawing } = statistics.means;
  document.querySelector("#status").textContent =
    `${fps.toFixed(1)} frames a second, network ${network.toFixed(1)} ms, picture ${drawing.toFixed(1)} ms`;
});
await player.play(await openCamera());
