// The few things that every pass of WebGL2 needs.

import { VERTEX } from "./shaders.js";

/** WebGL2 is not what this needs; the message is the beginning of a sentence. */
export class WebGlError extends Error {}

/**
 * Whether a renderer is a program instead of a GPU.
 *
 * @param {string} name as WebGL gives it: "ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (Subzero)), ...)".
 */
export function isSoftwareRenderer(name) {
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(name);
}

/**
 * Run a program over all of a target.
 *
 * @param {WebGL2RenderingContext} gl
 * @param {WebGLProgram} used
 * @param {Target | null} target null: the canvas.
 * @param {{width: number, height: number}} size of the target; the program's "size" too.
 * @param {Record<string, WebGLTexture>} textures of its samplers.
 * @param {(set: (name: string) => WebGLUniformLocation) => void} uniforms sets the others.
 */
export function draw(gl, used, target, { width, height }, textures, uniforms = () => {}) {
  const place = (name) => gl.getUniformLocation(used, name);
  gl.useProgram(used);
  Object.entries(textures).forEach(([name, bound], unit) => {
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D, bound);
    gl.uniform1i(place(name), unit);
  });
  gl.activeTexture(gl.TEXTURE0);
  gl.bindFramebuffer(gl.FRAMEBUFFER, target?.framebuffer ?? null);
  gl.viewport(0, 0, width, height);
  gl.uniform2f(place("size"), width, height);
  uniforms(place);
  gl.drawArrays(gl.TRIANGLES, 0, 3);
}

/** A texture that can be drawn to. */
export class Target {
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

/** An empty texture; beyond its border it continues. */
export function texture(gl, filter) {
  const made = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, made);
  for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
  for (const way of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, way, filter);
  return made;
}

/**
 * A program that draws one triangle over all of its target.
 *
 * @throws {WebGlError} it is refused.
 */
export function program(gl, fragment) {
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
