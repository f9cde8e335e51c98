// The portrait by WebGL2: the frame to linear light and small, blurred by its weights, and under the subject again.

import { backgroundWeights } from "./backdrop.js";
import { EdgeRefiner } from "./edge_refiner.js";
import { COMPOSE, COMPOSE_REFINED, SPREAD, WEIGH } from "./shaders.js";
import { Target, WebGlError, draw, isSoftwareRenderer, program, texture } from "./webgl.js";

// Half floats hold colours times weights down to 1e-4 * 1e-4 only if they are lifted: the quotient does not change.
const LIFT = 4096;

const VIEWS = { portrait: 0, compare: 1, mask: 2 };

/** The renderer is a program. A headless Chromium gives its SwiftShader without the caveat that would say so. */
function drawsInSoftware(gl) {
  const information = gl.getExtension("WEBGL_debug_renderer_info");
  return isSoftwareRenderer(gl.getParameter(information?.UNMASKED_RENDERER_WEBGL ?? gl.RENDERER));
}

/** Draws portraits on its canvas; textures are made anew only where a size changes. */
export class WebGlCompositor {
  name = "WebGL2";
  #gl;
  #weigh;
  #spread;
  #compose;
  #composeRefined;
  #refiner;
  #hasGpu;
  #frame;
  #alpha;
  #mask;
  #weights;
  #kernel;
  #light;
  #backdrop;

  /**
   * @param {HTMLCanvasElement} canvas to draw on; nothing of it is known yet, or its context was lost and restored.
   * @throws {WebGlError} there is no WebGL2, or it cannot draw to half floats.
   */
  constructor(canvas) {
    this.canvas = canvas;
    const opened = (failIfMajorPerformanceCaveat) =>
      canvas.getContext("webgl2", { alpha: false, antialias: false, failIfMajorPerformanceCaveat });
    const gl = opened(true) ?? opened(false);
    if (gl === null) throw new WebGlError("This browser has no WebGL2");
    if (!gl.getExtension("EXT_color_buffer_float") && !gl.getExtension("EXT_color_buffer_half_float")) {
      throw new WebGlError("WebGL2 draws to no half floats here");
    }
    this.#gl = gl;
    this.#hasGpu = (gl.getContextAttributes()?.failIfMajorPerformanceCaveat ?? false) && !drawsInSoftware(gl);
    this.#weigh = program(gl, WEIGH);
    this.#spread = program(gl, SPREAD);
    this.#compose = program(gl, COMPOSE);
    this.#composeRefined = program(gl, COMPOSE_REFINED);
    this.#refiner = new EdgeRefiner(gl);
    this.#frame = texture(gl, gl.LINEAR);
    this.#alpha = texture(gl, gl.LINEAR);
    this.#mask = texture(gl, gl.LINEAR);
    this.#weights = texture(gl, gl.NEAREST);
    this.#kernel = texture(gl, gl.NEAREST);
    this.#light = new Target(gl, gl.RGBA16F, gl.HALF_FLOAT, gl.NEAREST);
    this.#backdrop = new Target(gl, gl.RGBA8, gl.UNSIGNED_BYTE, gl.LINEAR);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  }

  /** @param {import("./compositor.js").Frame} frame @param {import("./compositor.js").Look} look */
  draw(frame, look) {
    const gl = this.#gl;
    const { width, height, columns, rows, alpha, coverage } = frame;
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    gl.bindTexture(gl.TEXTURE_2D, this.#frame);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, frame.element);
    gl.bindTexture(gl.TEXTURE_2D, this.#mask);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R8, columns, rows, 0, gl.RED, gl.UNSIGNED_BYTE, coverage);
    const blurs = look.lens.reach > 0 && look.view !== "mask";
    if (blurs) this.#blur(backgroundWeights(coverage, columns, rows, look.lens), look.lens);
    const textures = { frame: this.#frame, mask: this.#mask, backdrop: blurs ? this.#backdrop.texture : this.#frame };
    const uniforms = (place) => {
      gl.uniform1i(place("view"), VIEWS[look.view]);
      gl.uniform1f(place("divider"), look.divider * width);
    };
    // Without a GPU the page's own processor refines, and a film has no time for that.
    if (!blurs || !(frame.still || this.#hasGpu)) {
      draw(gl, this.#compose, null, frame, textures, uniforms);
      return;
    }
    gl.bindTexture(gl.TEXTURE_2D, this.#alpha);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R16F, columns, rows, 0, gl.RED, gl.FLOAT, alpha);
    const { functions, difference, share } = this.#refiner.refine(this.#frame, this.#alpha, width, height);
    draw(gl, this.#composeRefined, null, frame, { ...textures, functions, difference }, (place) => {
      uniforms(place);
      gl.uniform2f(place("share"), ...share);
    });
  }

  #blur(weights, lens) {
    const gl = this.#gl;
    const { width, height, reach, factor, kernel } = lens;
    const lifted = weights.map((weight) => weight * LIFT);
    gl.bindTexture(gl.TEXTURE_2D, this.#weights);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R32F, width, height, 0, gl.RED, gl.FLOAT, lifted);
    gl.bindTexture(gl.TEXTURE_2D, this.#kernel);
    const size = 2 * reach + 1;
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R32F, size, size, 0, gl.RED, gl.FLOAT, kernel);
    this.#light.resize(width, height);
    this.#backdrop.resize(width, height);

    draw(gl, this.#weigh, this.#light, lens, { frame: this.#frame, weights: this.#weights }, (place) =>
      gl.uniform1i(place("samples"), Math.max(1, factor / 2)),
    );
    draw(gl, this.#spread, this.#backdrop, lens, { light: this.#light.texture, kernel: this.#kernel }, (place) =>
      gl.uniform1i(place("reach"), reach),
    );
  }
}
