// The matte's edge pulled to the frame's own, and the old background's colour taken out of it, by WebGL2:
// demo_app/matte/live.py, guided_filter.py and foreground.py.
//
// A colour guided filter (He, Sun and Tang 2013, "Guided Image Filtering"): in every small window the coverage is a
// linear function of the colour. The functions are found on a grid of cells, and evaluated at every pixel.

import { MIRRORED } from "./shaders.js";
import { Target, draw, program } from "./webgl.js";

// Cells along the longer side of a frame.
const CELLS = 160;

// Cells to each side: of the guided filter's windows, and over which the colours of both sides are averaged.
const WINDOW = 2;
const SIDES = 4;

const HEADER = `#version 300 es
precision highp float;
precision highp sampler2D;
uniform vec2 size;
${MIRRORED}
`;

/** Mean colour of each cell and, as alpha, its mean probability, tightened as in matte.js. */
const SHRINK = `${HEADER}
uniform sampler2D frame, alpha;
uniform vec2 frameSize;
uniform float cell;
uniform int samples;
out vec4 shrunk;

void main() {
  vec4 sum = vec4(0.0);
  for (int y = 0; y < samples; y++) {
    for (int x = 0; x < samples; x++) {
      vec2 inside = (vec2(x, y) + 0.5) / float(samples);
      vec2 place = (floor(gl_FragCoord.xy) + inside) * cell / frameSize;
      sum += vec4(texture(frame, place).rgb, texture(alpha, place).r);
    }
  }
  vec4 mean = sum / float(samples * samples);
  shrunk = vec4(mean.rgb, smoothstep(0.2, 0.8, mean.a));
}`;

/** The function coverage = rgb . colour + a that fits a window best; steps of colour of about 4 % count as flat. */
const FIT = `${HEADER}
uniform sampler2D cells;
out vec4 function;
const int WINDOW = ${WINDOW};
const float REGULARISATION = 2e-3;

vec4 near(int x, int y) {
  return texelFetch(cells, mirrored(ivec2(gl_FragCoord.xy) + ivec2(x, y), ivec2(size)), 0);
}

void main() {
  float count = float((2 * WINDOW + 1) * (2 * WINDOW + 1));
  vec4 mean = vec4(0.0);
  for (int y = -WINDOW; y <= WINDOW; y++) for (int x = -WINDOW; x <= WINDOW; x++) mean += near(x, y) / count;
  function = vec4(0.0, 0.0, 0.0, mean.a);
  if (mean.a < 1e-4 || mean.a > 1.0 - 1e-4) return; // the same everywhere
  mat3 colours = mat3(REGULARISATION);
  vec3 withTarget = vec3(0.0);
  for (int y = -WINDOW; y <= WINDOW; y++) {
    for (int x = -WINDOW; x <= WINDOW; x++) {
      vec4 off = near(x, y) - mean;
      colours += outerProduct(off.rgb, off.rgb) / count;
      withTarget += off.rgb * off.a / count;
    }
  }
  vec3 slope = inverse(colours) * withTarget;
  function = vec4(slope, mean.a - dot(slope, mean.rgb));
}`;

/** The mean of the functions of all windows around a cell; it is a little soft, and 0.2..0.8 of it become 0..1. */
const AVERAGE = `${HEADER}
uniform sampler2D fitted;
out vec4 function;
const int WINDOW = ${WINDOW};

void main() {
  vec4 sum = vec4(0.0);
  for (int y = -WINDOW; y <= WINDOW; y++) {
    for (int x = -WINDOW; x <= WINDOW; x++) {
      sum += texelFetch(fitted, mirrored(ivec2(gl_FragCoord.xy) + ivec2(x, y), ivec2(size)), 0);
    }
  }
  function = (sum / float((2 * WINDOW + 1) * (2 * WINDOW + 1)) - vec4(0.0, 0.0, 0.0, 0.2)) / 0.6;
}`;

/**
 * Local mean colour of the subject less that of the background (after Forte 2021, "blurred fusion"); alpha: 1 or 0
 * where the functions of all cells nearby give nothing but subject or background, whatever the colour, and 1/2 elsewhere.
 */
const COMPARE = `${HEADER}
uniform sampler2D cells, functions;
out vec4 difference;
const int SIDES = ${SIDES};
const int NEARBY = 2;
const float LEAST = 0.004;
const float CERTAIN = 0.25 / 255.0;

ivec2 near(int x, int y) {
  return mirrored(ivec2(gl_FragCoord.xy) + ivec2(x, y), ivec2(size));
}

void main() {
  vec2 limits = vec2(1.0, 0.0);
  for (int y = -NEARBY; y <= NEARBY; y++) {
    for (int x = -NEARBY; x <= NEARBY; x++) {
      vec4 function = texelFetch(functions, near(x, y), 0);
      float middle = function.a + 0.5 * dot(function.rgb, vec3(1.0));
      float reach = 0.5 * dot(abs(function.rgb), vec3(1.0));
      limits = vec2(min(limits.x, middle - reach), max(limits.y, middle + reach));
    }
  }
  if (limits.x >= 1.0 - CERTAIN || limits.y <= CERTAIN) {
    difference = vec4(0.0, 0.0, 0.0, limits.x >= 1.0 - CERTAIN ? 1.0 : 0.0);
    return;
  }
  float count = float((2 * SIDES + 1) * (2 * SIDES + 1));
  vec3 all = vec3(0.0);
  vec4 subject = vec4(0.0);
  for (int y = -SIDES; y <= SIDES; y++) {
    for (int x = -SIDES; x <= SIDES; x++) {
      ivec2 place = near(x, y);
      vec3 colour = texelFetch(cells, place, 0).rgb;
      vec4 function = texelFetch(functions, place, 0);
      float coverage = clamp(dot(function.rgb, colour) + function.a, 0.0, 1.0);
      all += colour / count;
      subject += vec4(colour, 1.0) * coverage / count;
    }
  }
  vec3 ofSubject = (subject.rgb + LEAST * all) / (subject.a + LEAST);
  vec3 ofBackground = (all - subject.rgb + LEAST * all) / (1.0 - subject.a + LEAST);
  difference = vec4(ofSubject - ofBackground, 0.5);
}`;

/** Refines the edges of frames of any size, one after the other. */
export class EdgeRefiner {
  #gl;
  #shrink;
  #fit;
  #average;
  #compare;
  #cells;
  #fitted;
  #functions;
  #difference;

  /**
   * @param {WebGL2RenderingContext} gl that can draw to half floats.
   * @throws {import("./webgl.js").WebGlError}
   */
  constructor(gl) {
    this.#gl = gl;
    this.#shrink = program(gl, SHRINK);
    this.#fit = program(gl, FIT);
    this.#average = program(gl, AVERAGE);
    this.#compare = program(gl, COMPARE);
    this.#cells = new Target(gl, gl.RGBA8, gl.UNSIGNED_BYTE, gl.NEAREST);
    const [fitted, functions, difference] = [gl.NEAREST, gl.LINEAR, gl.LINEAR].map(
      (filter) => new Target(gl, gl.RGBA16F, gl.HALF_FLOAT, filter),
    );
    [this.#fitted, this.#functions, this.#difference] = [fitted, functions, difference];
  }

  /**
   * @param {WebGLTexture} frame filtered.
   * @param {WebGLTexture} alpha probability of the subject, filtered, stretched over the frame.
   * @param {number} width of the frame.
   * @param {number} height of it.
   * @returns {{functions: WebGLTexture, difference: WebGLTexture, share: [number, number]}} filtered: coverage =
   *   rgb . colour + a, for colours in 0..1, to be clipped; the subject's colour less the background's, and as alpha,
   *   not filtered, 1/2 where the functions must be looked at (else: the coverage); and how much of both textures, across
   *   and down, lies over the frame.
   */
  refine(frame, alpha, width, height) {
    const gl = this.#gl;
    const cell = Math.ceil(Math.max(width, height) / CELLS);
    const grid = { width: Math.ceil(width / cell), height: Math.ceil(height / cell) };
    for (const target of [this.#cells, this.#fitted, this.#functions, this.#difference]) {
      target.resize(grid.width, grid.height);
    }
    const [cells, functions] = [this.#cells.texture, this.#functions.texture];
    draw(gl, this.#shrink, this.#cells, grid, { frame, alpha }, (place) => {
      gl.uniform2f(place("frameSize"), width, height);
      gl.uniform1f(place("cell"), cell);
      gl.uniform1i(place("samples"), Math.ceil(cell / 2)); // each between four pixels
    });
    draw(gl, this.#fit, this.#fitted, grid, { cells });
    draw(gl, this.#average, this.#functions, grid, { fitted: this.#fitted.texture });
    draw(gl, this.#compare, this.#difference, grid, { cells, functions });
    const share = [width / (cell * grid.width), height / (cell * grid.height)];
    return { functions, difference: this.#difference.texture, share };
  }
}
