// The network in WebAssembly: LiteRT.js, with threads where the page may share memory.

import { Tensor, loadAndCompile, loadLiteRt, supportsFeature } from "@litertjs/core";

/** More threads gain nothing at these sizes and starve the rest. */
const MOST_THREADS = 4;

/**
 * @typedef {object} Model what edge-deeplab web wrote about the file.
 * @property {string} file
 * @property {string} name
 * @property {number} height of the network's input.
 * @property {number} width of it.
 * @property {number} rows of its output.
 * @property {number} columns of it.
 * @property {number} classes channels of its output.
 * @property {number} person which of them is the person.
 * @property {number} scale probability of one step of the output.
 * @property {number} zero_point the output that means 0.
 */

/** An opened network: RGB bytes in, quantized probabilities out. */
export class Session {
  #compiled;

  /**
   * @param {Model} model
   * @param {import("@litertjs/core").CompiledModel} compiled
   * @param {number} threads
   */
  constructor(model, compiled, threads) {
    this.model = model;
    this.threads = threads;
    this.#compiled = compiled;
  }

  /**
   * Run the network once.
   *
   * @param {Uint8Array} rgb height x width x 3.
   * @returns {Promise<Uint8Array>} rows x columns x classes.
   */
  async run(rgb) {
    const input = new Tensor(rgb, [1, this.model.height, this.model.width, 3]);
    try {
      const outputs = await this.#compiled.run(input);
      const values = outputs[0].toTypedArray(); // a copy
      for (const output of outputs) output.delete();
      return values;
    } finally {
      input.delete();
    }
  }
}

/**
 * Load the runtime and a network; both come from this site.
 *
 * @param {string} address of the model's description, a JSON file beside the model.
 * @param {string} runtime address of the folder with the runtime's files.
 * @returns {Promise<Session>}
 */
export async function openSession(address, runtime) {
  const described = fetched(address).then((response) => response.json());
  const [model, threads] = await Promise.all([described, threadCount()]);
  const bytes = fetched(new URL(model.file, new URL(address, document.baseURI)).href);
  quieten();
  await loadLiteRt(runtime, { threads: threads > 1 });
  const compiled = await loadAndCompile(new Uint8Array(await (await bytes).arrayBuffer()), {
    accelerator: "wasm",
    cpuOptions: { numThreads: threads },
  });
  return new Session(model, compiled, threads);
}

async function fetched(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status} ${response.statusText}`);
  return response;
}

/** One thread without shared memory, or without the instructions that LiteRT.js's threads are built with. */
async function threadCount() {
  if (!globalThis.crossOriginIsolated) return 1;
  const able = (await supportsFeature("threads")) && (await supportsFeature("relaxedSimd"));
  return able ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1;
}

/** The runtime writes its diary to standard error: only what it calls an error is one. */
function quieten() {
  globalThis.Module = {
    printErr: (line) => (/^(ERROR|FATAL)/.test(line) ? console.error(line) : console.debug(line)),
  };
}
