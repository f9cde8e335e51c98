// MediaPipe's web segmenter behind the same camera and before the same compositor as the page's own network.

import { lensFor } from "../aperture.js";
import { chooseCompositor } from "../compositor.js";
import { tightened } from "../matte.js";
import { Player } from "../player.js";
import { FrameReader } from "../reader.js";
import { openCamera } from "../sources.js";
import { Statistics } from "../statistics.js";
import { FilesetResolver, ImageSegmenter } from "./mediapipe/vision_bundle.mjs";

const F_NUMBER = 2;

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

/** The person's probability in the frame, at the size that MediaPipe gives: the frame's. */
function alphaOf(element) {
  let alpha, size;
  segmenter.segmentForVideo(element, performance.now(), ({ confidenceMasks }) => {
    const mask = confidenceMasks[confidenceMasks.length - 1];
    size = [mask.width, mask.height];
    alpha = mask.getAsFloat32Array().slice();
  });
  return [alpha, ...size];
}

const reader = new FrameReader();
const statistics = new Statistics();
const player = new Player(async ({ element, width, height }) => {
  const began = performance.now();
  const pixels = reader.read(element, width, height);
  const [alpha, columns, rows] = alphaOf(reader.canvas);
  const coverage = tightened(alpha);
  const found = performance.now();
  const lens = lensFor(F_NUMBER, width, height);
  const frame = { element: reader.canvas, pixels, width, height, still: false, alpha, coverage, columns, rows };
  compositor.draw(frame, { view: "portrait", divider: 0, lens });
  statistics.add(performance.now(), found - began, performance.now() - found);
  const { fps, network, drawing } = statistics.means;
  document.querySelector("#status").textContent =
    `${fps.toFixed(1)} frames a second, network ${network.toFixed(1)} ms, picture ${drawing.toFixed(1)} ms`;
});
await player.play(await openCamera());
