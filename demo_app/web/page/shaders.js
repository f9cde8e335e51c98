// GLSL ES 3.00. Row 0 of every texture is the top of the picture; only the canvas is turned over, at the very end.

/** One triangle over all of the target. */
export const VERTEX = `#version 300 es
void main() {
  gl_Position = vec4(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0, 0.0, 1.0);
}`;

/** The place inside of a picture that stands for one beyond its border (OpenCV's BORDER_REFLECT_101). */
export const MIRRORED = `
ivec2 mirrored(ivec2 place, ivec2 size) {
  ivec2 last = max(size - 1, 1);
  ivec2 folded = abs(place) % (2 * last);
  return min(min(folded, 2 * last - folded), size - 1);
}`;

/**
 * The frame at the lens's size, in linear light times its weight; alpha is the weight. Each sample lies between four
 * pixels and is their mean in code values: halving before linear light loses little.
 */
export const WEIGH = `#version 300 es
precision highp float;
precision highp sampler2D;
uniform sampler2D frame, weights;
uniform vec2 size;
uniform int samples;
out vec4 weighed;

vec3 linear(vec3 code) {
  return mix(code / 12.92, pow((code + 0.055) / 1.055, vec3(2.4)), greaterThan(code, vec3(0.04045)));
}

void main() {
  vec2 corner = floor(gl_FragCoord.xy);
  vec3 sum = vec3(0.0);
  for (int y = 0; y < samples; y++) {
    for (int x = 0; x < samples; x++) {
      vec2 place = corner + (vec2(x, y) + 0.5) / float(samples);
      sum += linear(texture(frame, place / size).rgb);
    }
  }
  float weight = texelFetch(weights, ivec2(corner), 0).r;
  weighed = vec4(sum / float(samples * samples) * weight, weight);
}`;

/** The kernel over colours and weights alike, their quotient, and back to code values. */
export const SPREAD = `#version 300 es
precision highp float;
precision highp sampler2D;
uniform sampler2D light, kernel;
uniform vec2 size;
uniform int reach;
out vec4 blurred;
${MIRRORED}

vec3 code(vec3 light) {
  return mix(light * 12.92, 1.055 * pow(light, vec3(1.0 / 2.4)) - 0.055, greaterThan(light, vec3(0.0031308)));
}

void main() {
  ivec2 middle = ivec2(gl_FragCoord.xy);
  vec4 sum = vec4(0.0);
  for (int y = -reach; y <= reach; y++) {
    for (int x = -reach; x <= reach; x++) {
      float share = texelFetch(kernel, ivec2(x, y) + reach, 0).r;
      sum += share * texelFetch(light, mirrored(middle + ivec2(x, y), ivec2(size)), 0);
    }
  }
  blurred = vec4(code(sum.rgb / sum.a), 1.0);
}`;

/** What is shown of a frame and its portrait, in code values; how a portrait's pixel is put together differs. */
const composing = (portrait) => `#version 300 es
precision highp float;
precision highp sampler2D;
uniform sampler2D frame, mask, backdrop, functions, difference;
uniform vec2 size, share;
uniform int view;
uniform float divider;
out vec4 colour;
${portrait}
void main() {
  vec2 place = vec2(gl_FragCoord.x, size.y - gl_FragCoord.y) / size;
  vec3 before = texture(frame, place).rgb;
  vec3 shown = portrait(before, place);
  if (view == 1) {
    float right = gl_FragCoord.x - divider;
    shown = abs(right) < 1.0 ? vec3(1.0) : right < 0.0 ? before : shown;
  }
  colour = vec4(view == 2 ? texture(mask, place).rrr : shown, 1.0);
}`;

/** The subject by its stretched mask over the stretched backdrop. */
export const COMPOSE = composing(`
vec3 portrait(vec3 before, vec2 place) {
  return mix(texture(backdrop, place).rgb, before, texture(mask, place).r);
}
`);

/** The coverage as a function of the frame's colour, and the old background taken out of that (edge_refiner.js). */
export const COMPOSE_REFINED = composing(`
vec3 portrait(vec3 before, vec2 place) {
  vec2 inCells = place * share;
  float certain = texelFetch(difference, ivec2(inCells * vec2(textureSize(difference, 0))), 0).a;
  if (certain == 1.0) return before;
  vec3 behind = texture(backdrop, place).rgb;
  if (certain == 0.0) return behind;
  vec4 function = texture(functions, inCells);
  float coverage = clamp(dot(function.rgb, before) + function.a, 0.0, 1.0);
  vec3 own = clamp(before + (1.0 - coverage) * texture(difference, inCells).rgb, 0.0, 1.0);
  return mix(behind, own, coverage);
}
`);
