// Where pictures come from: a camera, a file that was dropped, a picture of this site.

/** No picture, and why: a sentence for whoever sits before the page. */
export class SourceError extends Error {}

// What a texture may measure on nearly every device; larger photos are shrunk to it.
const MOST_PIXELS_A_SIDE = 4096;

const CAMERA = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 }, facingMode: "user" };

const REFUSALS = {
  NotAllowedError: "The camera was refused: allow it beside the address, or open a photo or a video.",
  NotFoundError: "There is no camera here: open a photo or a video.",
  NotReadableError: "The camera is in use by another program: close that one, or open a photo or a video.",
};

/** A picture that stands still. */
class Still {
  /** @param {ImageBitmap} element @param {string} label */
  constructor(element, label) {
    this.element = element;
    this.label = label;
    this.moving = false;
    this.mirrored = false;
    this.width = element.width;
    this.height = element.height;
  }

  close() {
    this.element.close();
  }
}

/** A film or a camera. */
class Moving {
  element = document.createElement("video");
  moving = true;
  #release;
  #waiting = null;
  #lost = null;

  /**
   * @param {string} label
   * @param {boolean} mirrored shown as in a mirror.
   * @param {() => void} release frees what the element plays.
   */
  constructor(label, mirrored, release) {
    this.label = label;
    this.mirrored = mirrored;
    this.#release = release;
    this.element.muted = true;
    this.element.playsInline = true;
  }

  get width() {
    return this.element.videoWidth;
  }

  get height() {
    return this.element.videoHeight;
  }

  /**
   * Begin to play what the element was given.
   *
   * @param {string} sentence for whom it does not play, or has sound alone.
   * @throws {SourceError} with that sentence; this is closed then.
   */
  async start(sentence) {
    const plays = await this.element.play().then(
      () => this.width > 0,
      () => false,
    );
    if (plays) return;
    this.close();
    throw new SourceError(sentence);
  }

  /** No frame will come any more, and why: whoever waits for the next one is told. */
  lose(sentence) {
    this.#lost = new SourceError(sentence);
    this.#waiting?.reject(this.#lost);
  }

  /**
   * Resolves when there is another frame, or when this is closed.
   *
   * @throws {SourceError} it was lost.
   */
  next() {
    if (this.#lost !== null) return Promise.reject(this.#lost);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      if ("requestVideoFrameCallback" in this.element) this.element.requestVideoFrameCallback(resolve);
      else requestAnimationFrame(resolve);
    });
  }

  close() {
    this.element.pause();
    this.#release();
    this.#waiting?.resolve();
  }
}

/**
 * Ask for a camera.
 *
 * @returns {Promise<Moving>}
 * @throws {SourceError} there is none, or it was refused.
 */
export async function openCamera() {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new SourceError("Browsers give the camera to https pages and to localhost only: open a photo or a video.");
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: CAMERA, audio: false });
  } catch (error) {
    throw new SourceError(REFUSALS[error.name] ?? `The camera does not start (${error.message}): open a photo.`);
  }
  const [track] = stream.getVideoTracks();
  const camera = new Moving("camera", true, () => track.stop());
  track.addEventListener("ended", () => camera.lose("The camera is gone: plug it in and start it again."));
  camera.element.srcObject = stream;
  await camera.start("The camera gives no picture: start it again, or open a photo or a video.");
  return camera;
}

/**
 * A photo or a film of the user's; it stays on this machine.
 *
 * @param {File} file
 * @throws {SourceError} neither.
 */
export async function openFile(file) {
  if (file.size === 0) throw new SourceError(`${file.name} is empty: choose another photo or video.`);
  if (file.type.startsWith("video/")) return openFilm(file);
  try {
    return await openPhoto(file, file.name);
  } catch (error) {
    if (file.type !== "") throw error;
    return openFilm(file); // the system does not know its ending
  }
}

/**
 * A picture of this site.
 *
 * @param {string} address
 * @param {string} label
 * @throws {SourceError} it is not there, or no picture.
 */
export async function openAddress(address, label) {
  const response = await fetch(address);
  if (!response.ok) throw new SourceError(`${address} is missing from this site.`);
  return openPhoto(await response.blob(), label);
}

async function openPhoto(blob, label) {
  try {
    const bitmap = await createImageBitmap(blob);
    const shrink = MOST_PIXELS_A_SIDE / Math.max(bitmap.width, bitmap.height);
    if (shrink >= 1) return new Still(bitmap, label);
    const [resizeWidth, resizeHeight] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * shrink)));
    const smaller = await createImageBitmap(bitmap, { resizeWidth, resizeHeight, resizeQuality: "high" });
    bitmap.close();
    return new Still(smaller, `${label}, shrunk to ${resizeWidth} x ${resizeHeight}`);
  } catch {
    throw new SourceError(`${label} is no photo or video that this browser can read: try JPEG, PNG or MP4.`);
  }
}

async function openFilm(file) {
  const address = URL.createObjectURL(file);
  const film = new Moving(file.name, false, () => URL.revokeObjectURL(address));
  film.element.addEventListener("error", () => film.lose(`${file.name} is damaged in the middle: open another one.`));
  film.element.loop = true;
  film.element.src = address;
  await film.start(`${file.name} is no video that this browser can play: try MP4 (H.264) or WebM.`);
  return film;
}
