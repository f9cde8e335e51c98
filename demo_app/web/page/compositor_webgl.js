// The portrait by WebGL2: the frame to linear light and small, blurred by its weights, and under the subject again.

import { backgroundWeights } from "./backdrop.js";
import { COMPOSE, SPREAD, VERTEX, WEIGH } from "./shaders.js";

/** WebGL2 is not what this needs; the message is the beginning of a sentence. */
export class WebGlError extends Error {}

// Half floats hold colours times weights down to 1e-4 * 1e-4 only if they are lifted: the quotient does not change.
const LIFT = 4096;

const VIEWS = { portrait: 0, compare: 1, mask: 2 };

/** Draws portraits on its canvas; textures are made anew only where a size changes. */
export class WebGlCompositor {
  name = "WebGL2";
  #gl;
  #weigh;
  #spread;
  #compose;
  #frame;
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
    const gl = this.canvas.getContext("webgl2", { alpha: false, antialias: false });
    if (gl === null) throw new WebGlError("This browser has no WebGL2");
    if (!gl.getExtension("EXT_color_buffer_float") && !gl.getExtension("EXT_color_buffer_half_float")) {
      throw new WebGlError("WebGL2 draws to no half floats here");
    }
    this.#gl = gl;
    this.#weigh = program(gl, WEIGH);
    this.#spread = program(gl, SPREAD);
    this.#compose = program(gl, COMPOSE);
    this.#frame = texture(gl, gl.LINEAR);
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
    const { width, height, columns, rows, coverage } = frame;
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    gl.bindTexture(gl.TEXTURE_2D, this.#frame);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, frame.element);
    gl.bindTexture(gl.TEXTURE_2D, this.#mask);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R8, columns, rows, 0, gl.RED, gl.UNSIGNED_BYTE, coverage);
    const blurs = look.lens.reach > 0;
    if (blurs && look.view !== "mask") this.#blur(backgroundWeights(coverage, columns, rows, look.lens), look.lens);

    this.#use(this.#compose, null, width, height, {
      frame: this.#frame,
      mask: this.#mask,
      backdrop: blurs ? this.#backdrop.texture : this.#frame,
    });
    gl.uniform1i(gl.getUniformLocation(this.#compose, "view"), VIEWS[look.view]);
    gl.uniform1f(gl.getUniformLocation(this.#compose, "divider"), look.divider * width);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
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

    this.#use(this.#weigh, this.#light, width, height, { frame: this.#frame, weights: this.#weights });
    gl.uniform1i(gl.getUniformLocation(this.#weigh, "samples"), Math.max(1, factor / 2));
    gl.drawArrays(gl.TRIANGLES, 0, 3);

    this.#use(this.#spread, this.#backdrop, width, height, { light: this.#light.texture, kernel: this.#kernel });
    gl.uniform1i(gl.getUniformLocation(this.#spread, "reach"), reach);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /** A program, where it draws (null: the canvas), and the textures of its samplers. */
  #use(used, target, width, height, textures) {
    const gl = this.#gl;
    gl.useProgram(used);
    Object.entries(textures).forEach(([name, bound], unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, bound);
      gl.uniform1i(gl.getUniformLocation(used, name), unit);
    });
    gl.activeTexture(gl.TEXTURE0);
    gl.bindFramebuffer(gl.FRAMEBUFFER, target?.framebuffer ?? null);
    gl.viewport(0, 0, width, height);
    gl.uniform2f(gl.getUniformLocation(used, "size"), width, height);
  }
}

/** A texture that can be drawn to. */
class Target {
  #gl;
  #format;
  #type;
  #width = 0;
  #height = 0;

  constructor(gl, format, type, filter) {
    this.#gl = gl;
    this.#format = format;
    this.#type = type;
    this.texture = texture(gl, filter);
    this.framebuffer = gl.createFramebuffer();
  }

  resize(width, height) {
    if (width === this.#width && height === this.#height) return;
    const gl = this.#gl;
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, this.#format, width, height, 0, gl.RGBA, this.#type, null);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.framebuffer);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.texture, 0);
    [this.#width, this.#height] = [width, height];
  }
}

function texture(gl, filter) {
  const made = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, made);
  for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
  for (const way of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, way, filter);
  return made;
}

function program(gl, fragment) {
  const made = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new WebGlError(`WebGL2 refused a program (${gl.getProgramInfoLog(made)})`);
  }
  return made;
}
